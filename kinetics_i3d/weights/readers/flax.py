"""`read_flax`: reads pickled dictionaries of NumPy arrays, a common format for Flax parameters."""

import math
import mmap
import pathlib

import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.pickled import NUMPY, Array, load_pickle
from kinetics_i3d.weights.readers.values import as_float32, check_total, count, warn_unchecked

COLLECTIONS = {"params", "batch_stats"}
MAX_DEPTH = 16
MAX_KEY = 200  # characters


def read_flax(path, *, warn=True):
    """Reads a pickle of nested dictionaries of NumPy arrays; nothing in the file is executed.

    The name of an array consists of the keys that lead to it, joined by slashes. Flax's collections
    `params` and `batch_stats` are omitted if they are the outermost keys.

    Args:
        path: The file.
        warn: Whether to log a warning that the format has no checksum.

    Returns:
        {name: array}, floats in float32.

    Raises:
        WeightsError: If the file is missing or damaged, contains anything but dictionaries of
            arrays, or attempts to call a function.

    Example:

    >>> import pickle
    >>> tree = {"params": {"Conv_0": {"bias": np.ones(2)}}, "batch_stats": {}}
    >>> _ = (folder / "mine.ckpt").write_bytes(pickle.dumps(tree, 4))
    >>> read_flax(folder / "mine.ckpt")
    {'Conv_0/bias': array([1., 1.], dtype=float32)}
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    check_total(path.stat().st_size, path)
    with path.open("rb") as file:
        if file.read(1) != b"\x80":
            raise WeightsError(f"{path}: not a pickle of protocol 2 or later")
        # Unlike a file, a memory map never allocates more than its own size, even if a pickle
        # declares a greater length.
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with data:
        tree = load_pickle(data, path, NUMPY)
        if data.tell() != len(data):
            raise WeightsError(f"{path}: {len(data) - data.tell()} bytes follow the pickle")
    described = _flatten(tree, path)
    for name, array in described.items():
        _check(array, name, path)
    # All are read as float32, regardless of their dtype in the file.
    check_total(sum(4 * math.prod(array.shape) for array in described.values()), path)
    del tree
    arrays = {}
    for name in list(described):
        arrays[name] = _array(described.pop(name), name, path)
    if warn:
        warn_unchecked(path)
    return arrays


def _flatten(tree, path):
    """{name: `Array`} of nested dictionaries."""
    if not isinstance(tree, dict) or not tree:
        raise WeightsError(f"{path}: a pickle, but not of a dictionary of arrays")
    bare = tree.keys() <= COLLECTIONS and all(isinstance(part, dict) for part in tree.values())
    todo = [("", part) for part in (tree.values() if bare else [tree])]
    arrays: dict = {}
    seen: set = set()
    while todo:
        prefix, branch = todo.pop()
        if id(branch) in seen:
            raise WeightsError(f"{path}: it contains the same dictionary twice")
        seen.add(id(branch))
        for key, value in branch.items():
            if not isinstance(key, str) or not key.isprintable() or not 0 < len(key) <= MAX_KEY:
                # Not the key itself: Python refuses to print very large integers.
                shown = repr(key[:80]) if isinstance(key, str) else f"of type {type(key).__name__}"
                raise WeightsError(f"{path}: one of its keys is not a name: {shown}")
            name = f"{prefix}{key}"
            if isinstance(value, dict):
                if name.count("/") >= MAX_DEPTH:
                    raise WeightsError(f"{path}: nested more than {MAX_DEPTH} dictionaries deep")
                todo.append((f"{name}/", value))
            elif not isinstance(value, Array):
                raise WeightsError(
                    f"{path}: a pickle, but not of a dictionary of arrays: {name[:80]!r} is not one"
                )
            elif name in arrays:
                raise WeightsError(f"{path}: has two arrays {name[:80]!r}")
            else:
                arrays[name] = value
    if not arrays:
        raise WeightsError(f"{path}: a pickle without arrays")
    return arrays


def _check(array, name, path):
    if array.dtype is None:
        raise WeightsError(f"{path}: {name} has no values")
    size = count(array.shape, name, path) * int(array.dtype.code[1])
    if size != len(array.data):
        raise WeightsError(
            f"{path}: {name} has {len(array.data)} bytes, its shape and dtype need {size}"
        )


def _array(array, name, path):
    dtype = np.dtype(array.dtype.order + array.dtype.code)
    order = "F" if array.fortran else "C"
    values = np.frombuffer(array.data, dtype).reshape(array.shape, order=order)
    return as_float32(values, name, path)
