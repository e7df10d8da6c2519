"""The checks and conversions that all readers share, and digests of tensors.

Sizes are checked before memory is allocated, since a file may declare any size.
"""

import hashlib
import math

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import WeightsError

MAX_BYTES = 2**31  # of all arrays of one file; the largest known I3D takes 103 MB
MAX_RANK = 16
BOOKKEEPING = ("int64", "int32", "int16", "int8", "uint8", "bool")


def as_float32(array, name, path):
    """Converts floats of any width to float32; single integers, such as a step counter, are kept.

    Args:
        array: A NumPy array.
        name: Its name in the file.
        path: The file, for the error.

    Returns:
        A C-contiguous array that owns its memory.

    Raises:
        WeightsError: If weights cannot have this dtype, or a value is too large for float32.
    """
    kind = str(array.dtype.newbyteorder("="))
    if kind in ("float16", "bfloat16", "float32", "float64"):
        with np.errstate(over="ignore"):
            # Not np.ascontiguousarray, which makes a scalar a vector.
            converted = array.astype(np.float32, order="C", copy=True)
        if kind == "float64" and (np.isinf(converted) & np.isfinite(array)).any():
            raise WeightsError(f"{path}: {name} has values that do not fit into float32")
        return converted
    if kind in BOOKKEEPING and array.size == 1:
        return array.copy()
    raise WeightsError(
        f"{path}: {name} is {kind} of shape {array.shape}; weights are float16, bfloat16, "
        "float32 or float64"
    )


def count(shape, name, path):
    """The number of elements of the shape that a file declares.

    Args:
        shape: The declared shape.
        name: The name of the array.
        path: The file, for the error.

    Returns:
        An integer.

    Raises:
        WeightsError: If it is not a short list of nonnegative integers.
    """
    plain = isinstance(shape, (list, tuple)) and all(
        type(length) is int and length >= 0 for length in shape
    )
    # NumPy refuses (2**40, 2**40, 0), although it is empty.
    if not plain or len(shape) > MAX_RANK or math.prod(n or 1 for n in shape) > 2**48:
        raise WeightsError(f"{path}: {name} has an impossible shape")
    return math.prod(shape)


def check_total(size, path):
    """Refuses a file whose arrays are larger than any weights, before they are read.

    Args:
        size: Bytes of all arrays together.
        path: The file, for the error.

    Raises:
        WeightsError: If that is more than `MAX_BYTES`.
    """
    if size > MAX_BYTES:
        raise WeightsError(
            f"{path}: declares {size / 2**30:.1f} GiB of tensors; "
            f"at most {MAX_BYTES / 2**30:.0f} GiB are read"
        )


def tensor_digest(name, array):
    """The SHA-256 of the name, dtype, shape and values of a tensor, as hexadecimal digits."""
    array = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    state = hashlib.sha256(repr((name, array.dtype.name, array.shape)).encode())
    state.update(array.tobytes())
    return state.hexdigest()


def digest(tensor_digests):
    """The SHA-256 of the `tensor_digest`s of a file, in any order, as hexadecimal digits."""
    return hashlib.sha256("".join(sorted(tensor_digests)).encode()).hexdigest()


def warn_unchecked(path):
    """Logs a warning that the format of a file has no checksum."""
    logging.warning(
        "%s: its format has no checksum, so damaged values would not be noticed; "
        "`kinetics-i3d convert` to .h5 or .safetensors adds one",
        path,
    )
