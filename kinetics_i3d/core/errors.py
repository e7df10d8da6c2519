"""The errors that a user's input can cause; the command line prints them as one line.

Wrong arguments of a Python call are `ValueError` or `TypeError`, as in Keras.
"""

import lzma
import struct
import tokenize
import zipfile
import zlib

# What Python, NumPy, zipfile and HDF5 raise for a file that is damaged, or of another kind than its
# name says: the header of an array is Python, JSON may be nested too deeply, and sizes may be any.
DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class UserError(Exception):
    """Something from outside is wrong. The message says what, where, and what would be right."""


class VideoError(UserError):
    """A video cannot be opened, or has no picture that can be decoded."""


class WeightsError(UserError):
    """Weights are unknown, unreadable or do not fit the model."""


class DatasetError(UserError):
    """A dataset's folder or table is missing something or contradicts itself."""


class ExportError(UserError):
    """An artifact cannot be made, or its outputs differ from those of its model."""


def first_line(error):
    """The first line of another library's error, or its type if it has no message."""
    return (str(error).splitlines() or [type(error).__name__])[0]
