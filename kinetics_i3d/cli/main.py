"""`kinetics-i3d VERB`: results to stdout, logs to stderr, a user's mistake in one line.

Exit codes: 0 all well, 1 some of several videos failed, 2 the user's mistake, 130 interrupted.
"""

import io
import os
import signal
import sys

from kinetics_i3d.cli import (
    benchmark,
    classify,
    convert,
    datasets,
    doctor,
    evaluate,
    export,
    figures,
    flow,
    fvd,
    inflate,
    prepare,
    systems,
    tables,
    train,
    weights,
)
from kinetics_i3d.cli.arguments import PROGRAM, Parser, ShowVersion
from kinetics_i3d.cli.complaints import complain, is_about_argument
from kinetics_i3d.cli.log import set_up_logging
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.file_warnings import one_warning_per_file
from kinetics_i3d.core.progress import show_progress

# A verb is a module with `add_arguments(parser)` and `run(options) -> exit code`; its docstring is
# the help.
VERBS = {
    "classify": classify,
    "doctor": doctor,
    "evaluate": evaluate,
    "fvd": fvd,
    "train": train,
    "inflate": inflate,
    "convert": convert,
    "export": export,
    "datasets": datasets,
    "figures": figures,
    "flow": flow,
    "prepare": prepare,
    "systems": systems,
    "tables": tables,
    "weights": weights,
    "benchmark": benchmark,
}
INTERRUPTED = 128 + signal.SIGINT


def run():
    """The console command: runs `main` on the process's arguments and exits with its code."""
    set_up_logging()
    # File names need not be valid text.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    code = main(sys.argv[1:])
    if code == INTERRUPTED:
        # Python's own exit would wait for threads of tf.data, which wait for Python.
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def main(arguments):
    """Runs one verb.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code.

    Raises:
        SystemExit: With 0, after `--help` and `--version`.
    """
    try:
        options = make_parser().parse_args(arguments)
        options.command = [PROGRAM, *arguments]
        with show_progress(), one_warning_per_file():
            code = VERBS[options.verb].run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more when it flushes on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (UserError, OSError, ValueError) as error:
        if isinstance(error, ValueError) and not is_about_argument(error):
            raise
        complain(error)
        return 2


def make_parser():
    """The parser of all verbs."""
    parser = Parser(prog=PROGRAM, description="Names actions in videos, and trains what does.")
    parser.add_argument("--version", action=ShowVersion, help="show the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, module in VERBS.items():
        summary, _, more = module.__doc__.partition(": ")[2].partition("\n")
        description = f"{summary[0].upper()}{summary[1:]}{more}"
        summary = summary.rstrip(".")
        module.add_arguments(verbs.add_parser(name, help=summary, description=description))
    return parser
