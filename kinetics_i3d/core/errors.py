"""The errors that a user's input can cause; the command line prints them as one line.

Wrong arguments of a Python call are `ValueError` or `TypeError`, as in Keras.
"""

import lzma
import struct
import tokenize
import zipfile
import zlib

# Errors that Python, NumPy, zipfile and HDF5 raise for a file that is damaged or has the wrong
# format: the header of an array is parsed as Python, JSON may be nested too deeply, and sizes may
# be arbitrary.
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
    """User input is invalid. The message states what, where, and what is expected."""


class VideoError(UserError):
    """A video cannot be opened, or has no picture that can be decoded."""


class WeightsError(UserError):
    """Weights are unknown, unreadable or do not fit the model."""


class DatasetError(UserError):
    """A dataset's folder or table is incomplete or inconsistent."""


class ExportError(UserError):
    """An artifact cannot be made, or its outputs differ from those of its model."""


_LONGEST = 300  # characters of a line
_LISTED = 5  # items of a list


def first_line(error):
    """The first line of another library's error, or its type if it has no message.

    Long lines are truncated: `zipfile` repeats up to 65,535 bytes of a damaged file.
    """
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."


def join_items(items):
    """The first items of a list, joined with commas, and how many more there are.

    Example:

    >>> join_items(list("abcdefg"))
    'a, b, c, d, e and 2 more'
    """
    rest = f" and {len(items) - _LISTED} more" if len(items) > _LISTED else ""
    return ", ".join(items[:_LISTED]) + rest


def list_faults(faults):
    """Items by the kind of fault as text; kinds without items are left out.

    Example:

    >>> list_faults({"missing": ["a", "b"], "unused": []})
    'missing: a, b'
    """
    return "; ".join(f"{kind}: {join_items(items)}" for kind, items in faults.items() if items)
