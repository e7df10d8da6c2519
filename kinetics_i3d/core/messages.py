"""`read_message`, `write_message`: plain values and arrays between two processes.

A message is JSON followed by the bytes of its arrays. Nothing that is read is executed, so the
process that decodes untrusted files may write anything.
"""

import fractions
import json
import math
import struct
import typing

import numpy as np

_HEAD = struct.Struct("<I")  # bytes of the JSON
_MAX_TEXT = 2**26
# Errors of a message that is not as `write_message` writes it.
_MALFORMED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class MessageError(Exception):
    """The data is not a message, or exceeds the limit."""


def write_message(file, kind, value):
    """Writes a message.

    Args:
        file: A buffered binary file.
        kind: Text.
        value: None, booleans, numbers, fractions, text and arrays; lists, tuples and dictionaries
            of them.

    Raises:
        TypeError: If the value is of another type.
    """
    arrays: list = []
    text = encode(value, arrays)
    shapes = [(array.dtype.str, array.shape) for array in arrays]
    head = json.dumps((kind, text, shapes)).encode()
    file.write(_HEAD.pack(len(head)) + head)
    for array in arrays:
        file.write(array.reshape(-1).view(np.uint8).data)
    file.flush()


def read_message(file, *, limit):
    """Reads a message.

    Args:
        file: A buffered binary file.
        limit: Maximum number of bytes of an array.

    Returns:
        (kind, value); arrays own their memory.

    Raises:
        EOFError: If the file ends.
        MessageError: If the data is not a message, or an array exceeds the limit.
    """
    (size,) = _HEAD.unpack(_fill(file, bytearray(_HEAD.size)))
    if size > _MAX_TEXT:
        raise MessageError("the text is too large")
    head = _fill(file, bytearray(size))
    try:
        kind, value, shapes = json.loads(bytes(head))
        arrays = []
        for name, shape in shapes:
            dtype = np.dtype(name)
            if dtype.hasobject or dtype.itemsize * math.prod(shape) > limit:
                raise MessageError("an array is too large")
            array = np.empty(shape, dtype)
            if array.nbytes:
                _fill(file, array.reshape(-1).view(np.uint8).data)
            arrays.append(array)
        return kind, decode(value, arrays)
    except _MALFORMED as error:
        raise MessageError(str(error)) from error


def _fill(file, buffer):
    if file.readinto(buffer) != len(buffer):
        raise EOFError("the file ends within a message")
    return buffer


def encode(value: typing.Any, arrays: list | None) -> typing.Any:
    """A value as JSON, with tuples, fractions and dictionaries marked.

    Args:
        value: As for `write_message`.
        arrays: A list for the arrays; None refuses them.

    Returns:
        A value that `json.dumps` accepts.

    Raises:
        TypeError: If it is of another type.

    Example:

    >>> encode((fractions.Fraction(1, 3), "a"), None)
    {'tuple': [{'fraction': '1/3'}, 'a']}
    """
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [encode(item, arrays) for item in value]
        case tuple():
            return {"tuple": [encode(item, arrays) for item in value]}
        case fractions.Fraction():
            return {"fraction": str(value)}
        case dict():
            return {"dict": {key: encode(item, arrays) for key, item in value.items()}}
        case np.ndarray() if arrays is not None:
            arrays.append(np.asarray(value, order="C"))
            return {"array": len(arrays) - 1}
    raise TypeError(f"a {type(value).__name__} cannot be sent to or from a child process")


def decode(value: typing.Any, arrays: list) -> typing.Any:
    """The inverse of `encode`."""
    if isinstance(value, list):
        return [decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    match kind:
        case "tuple":
            return tuple(decode(item, arrays) for item in content)
        case "fraction":
            return fractions.Fraction(content)
        case "dict":
            return {key: decode(item, arrays) for key, item in content.items()}
        case "array":
            return arrays[content]
    raise ValueError(f"an unknown kind of value: {kind}")
