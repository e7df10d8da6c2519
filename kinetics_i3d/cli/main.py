"""`kinetics-i3d VERB`: results on stdout, logs on stderr, a user's mistake in one line.

Exit codes: 0 success, 1 some of several inputs failed, 2 the user's mistake, 75 a training stopped
by SIGTERM with its state saved, 130 interrupted, 143 ended by SIGTERM.
"""

import contextlib
import logging
import os
import signal
import sys

from kinetics_i3d.cli import (
    benchmark,
    classify,
    completion,
    convert,
    datasets,
    doctor,
    evaluate,
    export,
    features,
    figures,
    flow,
    fvd,
    inflate,
    prepare,
    scale,
    systems,
    tables,
    timeline,
    train,
    watch,
    weights,
)
from kinetics_i3d.cli.console import (
    PROGRAM,
    complain,
    is_about_argument,
    open_standard_streams,
    set_up_logging,
)
from kinetics_i3d.cli.parser import Parser, ShowVersion
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.file_warnings import one_warning_per_file
from kinetics_i3d.core.progress import show_progress

# A verb is a module with `EXAMPLES`, `add_arguments(parser)` and `run(options) -> exit code`. Its
# docstring is the help.
TOPICS = {
    "Use a model": {
        "classify": classify,
        "timeline": timeline,
        "watch": watch,
        "features": features,
        "evaluate": evaluate,
        "doctor": doctor,
        "fvd": fvd,
    },
    "Train a model": {
        "train": train,
        "datasets": datasets,
        "prepare": prepare,
        "flow": flow,
        "figures": figures,
    },
    "Many machines": {"scale": scale},
    "Weights": {"weights": weights, "convert": convert, "inflate": inflate, "export": export},
    "Paper and measurements": {"systems": systems, "tables": tables, "benchmark": benchmark},
    "Shell": {"completion": completion},
}
VERBS = {name: module for verbs in TOPICS.values() for name, module in verbs.items()}
INTERRUPTED = 128 + signal.SIGINT


def run():
    """The console command: runs `main` on the process's arguments and exits with its code."""
    open_standard_streams()
    set_up_logging()
    signal.signal(signal.SIGTERM, _exit_on_signal)
    sys.excepthook = _report_bug
    try:
        code = main(sys.argv[1:])
    except SystemExit as stop:
        code = stop.code
    if code:
        _end_threads(code)
    sys.exit(code)


def _report_bug(*error):
    """Prints the traceback of an error of this package, and ends the process."""
    sys.__excepthook__(*error)
    _end_threads(1)


def _end_threads(code):
    """Ends the process at once if TensorFlow may have threads.

    Python's own exit would wait for threads of tf.data, which wait for Python.
    """
    if "tensorflow" in sys.modules:
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # a full disk, a closed pipe
                stream.flush()
        os._exit(code)


def _exit_on_signal(number, _frame):
    """Ends the process by way of `finally`, which removes unfinished files."""
    raise SystemExit(128 + number)


def main(arguments):
    """Runs one verb on the words after the program's name, and returns the exit code.

    `--help` and `--version` raise `SystemExit` with code 0.
    """
    try:
        if not arguments:
            print(start_text())
            return 0
        options = make_parser().parse_args(arguments)
        options.command = [PROGRAM, *arguments]
        with show_progress(), one_warning_per_file():
            code = VERBS[options.verb].run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader closed its end. Python would report that again when it flushes on exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (UserError, OSError, ValueError) as error:
        if isinstance(error, ValueError) and not is_about_argument(error):
            raise
        complain(error)
        return 2


class _StartParser(Parser):
    """The parser of all verbs; its help is the short start."""

    def format_help(self):
        return start_text() + "\n"


def make_parser():
    """The parser of all verbs."""
    parser = _StartParser(prog=PROGRAM, description="Name actions in videos, and train models.")
    parser.add_argument("--version", action=ShowVersion, help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name, module in VERBS.items():
        summary, more = _documentation(module)
        description = f"{summary[0].upper()}{summary[1:]}.\n\n{more}"
        verb = verbs.add_parser(
            name, help=summary, description=description, examples=module.EXAMPLES
        )
        module.add_arguments(verb)
    return parser


def start_text():
    """The verbs by topic, a line each."""
    lines = ["Name the actions in videos, and train models that do."]
    for topic, verbs in TOPICS.items():
        lines += ["", f"{topic}:"]
        lines += [f"  {name:<11} {_documentation(module)[0]}" for name, module in verbs.items()]
    return "\n".join(
        [
            *lines,
            "",
            f"Start with:          {PROGRAM} classify video.mp4",
            f"Options of a verb:   {PROGRAM} VERB --help",
            f"Version:             {PROGRAM} --version",
        ]
    )


def _documentation(module):
    """(the summary of a verb without its full stop, the rest of its docstring)."""
    summary, _, more = module.__doc__.partition(": ")[2].partition("\n")
    return summary.rstrip("."), more.strip()
