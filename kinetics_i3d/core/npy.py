"""`parse_npy`: an array out of the bytes of an .npy file, in any thread.

`numpy.load` reads the header as Python. Python 3.11 fails at that, with a SystemError, while
another thread reads Python too: a second `numpy.load`, or AutoGraph, which traces beside it.
"""

import math
import re

import numpy as np

HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|]?[a-zA-Z]\d+)', 'fortran_order': False, "
    rb"'shape': \((\d*(?:, ?\d+)*),?\), \} *\n",
    re.DOTALL,
)


def parse_npy(data):
    """Reads an array of numbers or text.

    Args:
        data: The bytes of an .npy file of version 1.0, in C order.

    Returns:
        A read-only array.

    Raises:
        ValueError: If they are not that, or too few or too many.

    Example:

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(6).reshape(2, 3))
    >>> parse_npy(file.getvalue()).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    head = HEADER.match(data)
    if head is None:
        raise ValueError("no header of an array")
    shape = tuple(int(side) for side in head[2].split(b",") if side)
    kind = np.dtype(head[1].decode())
    expected = kind.itemsize * math.prod(shape)
    if len(data) - head.end() != expected:
        raise ValueError(f"an array of {len(data) - head.end()} bytes that should be {expected}")
    return np.frombuffer(data, kind, offset=head.end(), count=math.prod(shape)).reshape(shape)
