"""What the tests of child processes run in a child, some of it hostile."""

import ctypes
import fractions
import os
import pathlib
import time

import numpy as np
from absl import logging

from kinetics_i3d.core.child_worker import memory_is_short
from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.core.file_warnings import warn_about


class OtherVideoError(VideoError):
    """An error that the parent does not know by name."""


def process_id():
    return os.getpid()


def echo(*values):
    return values


def current_state(variable):
    return os.environ.get(variable), os.getcwd()


def numbers(count, pause=0):
    for number in range(count):
        time.sleep(pause)
        yield fractions.Fraction(number, 2), np.full((2, 3), number, np.uint8)


def counted(path):
    for number in range(10_000):
        pathlib.Path(path).write_text(str(number))
        yield number


def hang(*_):
    time.sleep(1000)


def bloat(*_):
    blocks = []
    while True:
        blocks.append(np.ones(2**23))


def is_short_of_memory(size):
    block = np.ones(size, np.uint8)
    return memory_is_short() and len(block) == size


def abort(*_):
    ctypes.CDLL(None).abort()


def leave(*_):
    os._exit(3)


def fail(name):
    raise {"video": VideoError, "data": DatasetError, "other": OtherVideoError}[name]("why")


def fail_after(count):
    yield from range(count)
    raise ValueError("`count` is over")


def print_and_warn():
    os.write(1, b"a library prints on stdout")
    warn_about("a.mp4", "%s is damaged", "a.mp4")
    logging.warning("another library's")
    return 1


def unknown_type():
    return {1, 2}
