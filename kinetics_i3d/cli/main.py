"""`kinetics-i3d VERB`: results on stdout, logs on stderr, a user's mistake on one line.

Exit codes: 0 success, 1 some of several inputs failed or a bug, 2 the user's mistake, 75 a training
stopped by SIGTERM with its state saved, 130 interrupted, 141 stdout closed, 143 ended by SIGTERM.
"""

import contextlib
import logging
import os
import signal
import sys
import traceback

from kinetics_i3d.cli import (
    benchmark,
    classify,
    completion,
    convert,
    datasets,
    demo,
    doctor,
    draw,
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
from kinetics_i3d.cli.arguments import add_decoder_argument
from kinetics_i3d.cli.console import (
    NORMAL,
    PROGRAM,
    QUIET,
    VERBOSE,
    complain,
    is_about_argument,
    open_standard_streams,
    set_up_logging,
    set_verbosity,
)
from kinetics_i3d.cli.parser import Parser, with_option_names
from kinetics_i3d.cli.version import ShowVersion
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.file_warnings import one_warning_per_file
from kinetics_i3d.core.interrupts import (
    check_interrupt,
    interrupted_code,
    remember_interrupts,
)
from kinetics_i3d.core.progress import hide_progress, show_progress
from kinetics_i3d.video.limits import bounded_decoder

# A verb is a module with `EXAMPLES`, `add_arguments(parser)` and `run(options) -> exit code`. Its
# docstring is the help.
TOPICS = {
    "Recognize actions and compute features": {
        "classify": classify,
        "timeline": timeline,
        "watch": watch,
        "demo": demo,
        "features": features,
        "scale": scale,
    },
    "Train on your own videos": {
        "train": train,
        "datasets": datasets,
        "prepare": prepare,
        "flow": flow,
        "figures": figures,
    },
    "Check, explain and measure": {
        "doctor": doctor,
        "draw": draw,
        "evaluate": evaluate,
        "fvd": fvd,
        "benchmark": benchmark,
    },
    "Get, convert and deploy models": {
        "weights": weights,
        "export": export,
        "convert": convert,
        "inflate": inflate,
    },
    "Reproduce the paper": {"systems": systems, "tables": tables},
    "Set up the shell": {"completion": completion},
}
# Verbs that decode untrusted files; `draw` and `scale` add the option themselves.
DECODING = (
    *("classify", "timeline", "features", "doctor", "evaluate", "fvd"),
    *("train", "prepare", "flow", "tables"),
)
VERBS = {name: module for verbs in TOPICS.values() for name, module in verbs.items()}
INTERRUPTED = 128 + signal.SIGINT

SUMMARY = "Recognize the actions in videos, and train models of your own."
START = f"""\
{SUMMARY}

The action in a video, one of the 400 in Kinetics:
  {PROGRAM} classify video.mp4

Features of the videos in a folder, for a model of your own:
  {PROGRAM} features my_videos --output my_features

A model of your own classes, from a folder with one subfolder of videos per class:
  {PROGRAM} train InceptionI3D --data my_videos --output RUN --recipe finetune_kinetics

All verbs: {PROGRAM} --help
A verb, with examples: {PROGRAM} VERB --help"""
OPTIONS = (
    "  VERB --help    the examples and options of a verb",
    "  --version      the versions of this package, the backends and the optional packages",
    "  -q, --quiet    print only results, warnings and errors",
    "  -v, --verbose  also print what other packages log, and the traceback of an error",
)


def run():
    """The console command: runs `main` on the process's arguments and exits with its code."""
    open_standard_streams()
    set_up_logging()
    remember_interrupts()
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


def main(arguments):
    """Runs one verb with the given arguments, and returns the exit code.

    `--help` and `--version` raise `SystemExit` with code 0.
    """
    set_verbosity(verbosity := NORMAL)
    options = None
    try:
        if not arguments:
            print(START)
            return 0
        parser = make_parser()
        options = parser.parse_args(arguments)
        options.command = [PROGRAM, *arguments]
        set_verbosity(verbosity := getattr(options, "verbosity", NORMAL))
        progress = hide_progress() if verbosity == QUIET else show_progress()
        is_bounded = getattr(options, "bounded_decoder", None)
        with progress, one_warning_per_file(), bounded_decoder(is_bounded):
            code = VERBS[options.verb].run(options)
            check_interrupt()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if code := interrupted_code():  # a library has wrapped the exception of a signal
            return code
        if isinstance(error, BrokenPipeError):
            # The reader closed its end. Python would report that again when it flushes on exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 128 + signal.SIGPIPE
        is_argument = isinstance(error, ValueError) and is_about_argument(error)
        if not (isinstance(error, (UserError, OSError)) or is_argument):
            raise
        if verbosity == VERBOSE:
            traceback.print_exc()
        if is_argument and options is not None:
            error = UserError(with_option_names(str(error), parser, options))
        complain(error)
        return 2


class _VerbsParser(Parser):
    """The parser of all verbs; its help lists them."""

    def format_help(self):
        return verbs_text() + "\n"


def make_parser():
    """The parser of all verbs."""
    parser = _VerbsParser(prog=PROGRAM, description=SUMMARY)
    parser.add_argument("--version", action=ShowVersion, help="print the versions and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for name, module in VERBS.items():
        summary, more = _documentation(module)
        description = f"{summary[0].upper()}{summary[1:]}.\n\n{more}"
        verb = verbs.add_parser(
            name, help=summary, description=description, examples=module.EXAMPLES
        )
        module.add_arguments(verb)
        if name in DECODING:
            add_decoder_argument(verb)
    return parser


def verbs_text():
    """The verbs by topic, a line each, and the options of every verb."""
    lines = [SUMMARY, "", f"usage: {PROGRAM} VERB [options]"]
    for topic, verbs in TOPICS.items():
        lines += ["", f"{topic}:"]
        lines += [f"  {name:<11} {_documentation(module)[0]}" for name, module in verbs.items()]
    return "\n".join([*lines, "", "Options:", *OPTIONS])


def _documentation(module):
    """(the summary of a verb without its full stop, the rest of its docstring)."""
    summary, _, more = module.__doc__.partition(": ")[2].partition("\n")
    return summary.rstrip("."), more.strip()
