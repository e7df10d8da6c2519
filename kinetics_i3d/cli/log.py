"""`set_up_logging`: what the command writes to stderr as its log."""

import logging
import os
import pathlib

import absl.flags
import absl.logging

from kinetics_i3d.cli.quiet import LEVEL

PACKAGE = str(pathlib.Path(__file__).parents[1])


class LogFormatter(logging.Formatter):
    """Formats a line as time and message; a message above INFO also names its level."""

    def __init__(self):
        super().__init__("%(asctime)s %(level)s%(message)s", "%Y-%m-%d %H:%M:%S")

    def formatMessage(self, record):
        record.level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return super().formatMessage(record)


def is_shown(record):
    """Whether a line belongs into the log of the command.

    TensorFlow logs how it writes a SavedModel, by the same logger as this package. That is shown
    only where TF_CPP_MIN_LOG_LEVEL=0 or 1 asks for it; warnings always are.
    """
    return (
        record.levelno > logging.INFO
        or record.pathname.startswith(PACKAGE + os.sep)
        or os.environ.get(LEVEL) in ("0", "1")
    )


def set_up_logging():
    """Sends the log to stderr, a line as time and message, for the whole process."""
    # absl's flags are not used; unparsed, they would make its logging complain.
    absl.flags.FLAGS.mark_as_parsed()
    absl.logging.use_absl_handler()
    absl.logging.set_verbosity(absl.logging.INFO)
    handler = absl.logging.get_absl_handler()
    handler.setFormatter(LogFormatter())
    handler.addFilter(is_shown)
