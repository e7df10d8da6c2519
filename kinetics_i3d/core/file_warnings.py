"""`warn_about`: warnings about files, at most one per file and run.

Training reads each video in every epoch; without this, a broken one would fill the log.
"""

import contextlib
import os

from absl import logging

_runs: list = []  # those in progress, nested; all share one set of paths
_receivers: list = []  # functions that receive the warnings of this process instead of the log


@contextlib.contextmanager
def one_warning_per_file():
    """Within the block, `warn_about` logs only the first warning about each file.

    Blocks may be nested: an inner one belongs to the run of the outermost.

    Example:

    >>> with one_warning_per_file():
    ...     warn_about("a.mp4", "skipped: %s", "a.mp4")
    ...     warn_about("a.mp4", "skipped: %s", "a.mp4")  # logs nothing
    """
    _runs.append(_runs[0] if _runs else set())
    try:
        yield
    finally:
        _runs.pop()


def warn_about(path, message, *args):
    """Logs a warning about a file, unless the current run has already logged one about it.

    Args:
        path: The file. Warnings about objects without a path, such as frames in memory, are never
            suppressed.
        message: The text, with the placeholders of `logging`.
        *args: The values of the placeholders.

    Example:

    >>> warn_about("a.mp4", "skipped: %s", "a.mp4: the file is empty")
    """
    if _runs and isinstance(path, str | os.PathLike):
        path = os.path.abspath(path)
        if path in _runs[0]:
            return
        _runs[0].add(path)
    if _receivers:
        _receivers[-1](str(path), message % args)
    else:
        logging.warning(message, *args)


def forward_warnings(receiver):
    """Passes all later warnings of this process to a function of the path and the text."""
    _receivers.append(receiver)
