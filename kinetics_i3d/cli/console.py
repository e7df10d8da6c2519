"""The command's stderr: one line per error or notice, and a log without TensorFlow's messages.

`--quiet` leaves results, warnings and errors. `--verbose` adds what other packages log.
"""

import contextlib
import gc
import importlib.util
import io
import json
import logging
import os
import pathlib
import re
import sys
import tempfile

import absl.flags
import absl.logging

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.progress import Progress

PROGRAM = "kinetics-i3d"
PACKAGE = str(pathlib.Path(__file__).parents[1])
LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_RETRACING = "triggered tf.function retracing"
QUIET, NORMAL, VERBOSE = "quiet", "normal", "verbose"
COLORS = {"error": "1;31", "warning": "1;33", "note": "36", "heading": "1"}  # ANSI's SGR codes

_verbosity = NORMAL


def set_verbosity(verbosity):
    """Sets what the rest of this command prints on stderr: QUIET, NORMAL or VERBOSE."""
    global _verbosity
    _verbosity = verbosity
    if verbosity == VERBOSE:
        os.environ[LEVEL] = "1"


def has_colors(stream):
    """Whether a stream is a terminal that shows colors, and NO_COLOR (no-color.org) is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def colored(text, color, stream):
    """Text in a color of `COLORS` if the stream has colors, otherwise unchanged."""
    return f"\033[{COLORS[color]}m{text}\033[0m" if has_colors(stream) else text


def complain(error):
    """Prints an error as one line on stderr."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        if error.filename and isinstance(error, (FileExistsError, NotADirectoryError)):
            path = pathlib.Path(os.fsdecode(error.filename))
            file = next(filter(os.path.isfile, [path, *path.parents]), None)
            text = text if file is None else f"{file}: a folder is needed, and this is a file"
    _print_line("error", text)


def notify(text):
    """Prints a notice as one line on stderr, unless the command is quiet."""
    if _verbosity != QUIET:
        _print_line("note", text)


def inform(text):
    """Prints a plain line on stderr, unless the command is quiet."""
    if _verbosity != QUIET:
        print(escape_controls(text), file=sys.stderr, flush=True)


def try_to_draw(draw, path, *arguments, **options):
    """Draws a picture; reports its path or the error, and returns whether it worked."""
    try:
        draw(path, *arguments, **options)
    except (UserError, OSError) as error:
        complain(error)
        return False
    inform(f"picture: {path}")
    return True


def _print_line(kind, text):
    line = escape_controls(" ".join(text.split()))
    kind = colored(f"{kind}:", kind, sys.stderr)
    print(f"{PROGRAM}: {kind} {line}", file=sys.stderr, flush=True)


def is_about_argument(error):
    """Whether a `ValueError` was raised by this package itself, and names an invalid argument.

    One from Keras or NumPy is a bug in this package, and its traceback is printed.
    """
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("kinetics_i3d.")


class LogFormatter(logging.Formatter):
    """Formats a log line as time and message; a level above INFO is named."""

    def __init__(self):
        super().__init__("%(asctime)s %(level)s%(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record):
        record.level = ""
        if record.levelno > logging.INFO:
            color = "warning" if record.levelno <= logging.WARNING else "error"
            record.level = colored(f"{record.levelname.lower()}:", color, sys.stderr) + " "
        return super().formatMessage(record)


def is_shown(record):
    """Whether a log line is shown: every warning, and unless it is quiet what this package logs.

    TensorFlow uses the same logger while it writes a SavedModel, and warns when it traces a
    function again for videos of another size. `--verbose`, and TF_CPP_MIN_LOG_LEVEL=0 or 1, show
    these messages too.
    """
    is_detailed = os.environ.get(LEVEL) in ("0", "1")
    if record.levelno > logging.INFO:
        return is_detailed or _RETRACING not in str(record.msg)
    is_ours = record.pathname.startswith(PACKAGE + os.sep)
    return _verbosity != QUIET and (is_ours or is_detailed)


def open_standard_streams():
    """Makes stdout accept any text, and connects closed standard streams to the null device."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Otherwise the next opened file would get the number, and TensorFlow's output.
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.dup(1), "w")
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.dup(2), "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        _replaced.append(sys.stdout)
        sys.stdout = EscapedText(
            sys.stdout.buffer,
            encoding=sys.stdout.encoding,
            errors="backslashreplace",  # file names need not be valid text
            line_buffering=sys.stdout.line_buffering,
            write_through=sys.stdout.write_through,
        )


_replaced: list = []  # keeps replaced streams alive, which would close their buffers


# Control characters of terminals, and those that change the direction of text.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escape_controls(text):
    r"""Text with its control characters, other than tabs and line ends, escaped, such as `\u001b`.

    Labels and file names are untrusted, and could otherwise move the cursor of a terminal. The
    escapes are those of JSON, which remains valid.
    """
    return _CONTROLS.sub(_escape, text)


def _escape(match):
    code = ord(match[0])
    return f"\\u{code:04x}" if code < 0x100 else json.dumps(match[0])[1:-1]


class EscapedText(io.TextIOWrapper):
    """A text stream that escapes control characters."""

    def write(self, text):
        """Writes text by `escape_controls`."""
        super().write(escape_controls(text))
        return len(text)

    def write_colored(self, text):
        """Writes trusted text with its colors."""
        super().write(text)


def set_up_logging():
    """Sends the log of the whole process to stderr, a line as time and message."""
    # absl's flags are not used; while they are unparsed, its logging warns.
    absl.flags.FLAGS.mark_as_parsed()
    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)
    handler = absl.logging.get_absl_handler()
    handler.setFormatter(LogFormatter())
    handler.addFilter(is_shown)


def load_keras():
    """Imports Keras without TensorFlow's messages on stderr. The first import takes seconds.

    The messages would hide the single line that reports a user's mistake.
    """
    # Level 3 shows only fatal errors; 2 would still report a missing GPU. Messages about oneDNN and
    # CUDA are printed before TensorFlow reads this level, so stderr is buffered too.
    verbose = os.environ.setdefault(LEVEL, "3") in ("0", "1")
    with contextlib.nullcontext() if verbose else _buffered_stderr(), _no_collection():
        import keras
    return keras


def load_keras_for_flow():
    """As `load_keras`, if TensorFlow will compute optical flow because Numba is not installed."""
    if importlib.util.find_spec("numba") is None:
        load_keras()


@contextlib.contextmanager
def _no_collection():
    """Turns the garbage collector off, and excludes the new objects from later collections.

    The import creates a million permanent objects. Collecting them repeatedly takes a quarter of
    the time that TensorFlow needs to load.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextlib.contextmanager
def _buffered_stderr():
    """Buffers the stderr of the process, C++ included, and prints it only after an error."""
    sys.stderr.flush()
    stderr = os.dup(2)
    succeeded = False
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
            succeeded = True
        finally:
            if not succeeded:
                buffer.seek(0)
                os.write(stderr, buffer.read())
            os.dup2(stderr, 2)
            os.close(stderr)


@contextlib.contextmanager
def windows_progress(jobs, extractor, results):
    """Shows the windows of a single video, or how many of several videos are done.

    Args:
        jobs: The videos of `features_files.feature_jobs`.
        extractor: A `FeatureExtractor`.
        results: A list with an item for each video that is done.

    Yields:
        (`Progress`, function to call with the windows of the current video and the frames per
        second).
    """
    total, noun = len(jobs), "videos"
    if total == 1:
        total, noun = extractor.count_windows(jobs[0].video), "windows"
    with Progress(total, noun) as progress:

        def show(windows, rate):
            rate = f"{rate:.0f} frames/s"
            if noun == "windows":
                progress(windows, rate)
            else:
                progress(len(results), f"{windows} windows of the next, {rate}")

        yield progress, show
