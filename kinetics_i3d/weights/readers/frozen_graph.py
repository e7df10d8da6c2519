"""`read_frozen_graph`: the constants of a frozen TensorFlow graph, without TensorFlow.

A `GraphDef` in the protocol buffers' wire format:
https://github.com/tensorflow/tensorflow/tree/master/tensorflow/core/framework (graph.proto,
node_def.proto, attr_value.proto, tensor.proto), https://protobuf.dev/programming-guides/encoding.
"""

import pathlib

import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.values import check_total, count, warn_unchecked
from kinetics_i3d.weights.readers.varint import read_varint

NODE, NODE_NAME, NODE_OP, NODE_ATTR = 1, 1, 2, 5
ENTRY_KEY, ENTRY_VALUE, ATTR_TENSOR = 1, 2, 8
TENSOR_DTYPE, TENSOR_SHAPE, TENSOR_CONTENT, TENSOR_FLOATS = 1, 2, 4, 5
SHAPE_DIM, DIM_SIZE = 2, 1
FLOAT32 = 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def read_frozen_graph(path):
    """Reads the float constants of a frozen graph; nothing in the file is executed.

    Args:
        path: A `*.pb` file.

    Returns:
        {node's name: float32 array} of all constants of one axis or more.

    Raises:
        WeightsError: If the file is missing, damaged, or no graph with constants.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    arrays = parse_frozen_graph(path.read_bytes(), path)
    warn_unchecked(path)
    return arrays


def parse_frozen_graph(data, path):
    """Reads the float constants of a frozen graph in memory, see `read_frozen_graph`.

    Args:
        data: The bytes of a `GraphDef`.
        path: The file, for errors.

    Returns:
        {node's name: float32 array}.

    Raises:
        WeightsError: If the bytes are no graph with constants, or name one twice.
    """
    arrays: dict = {}
    try:
        for number, node in _fields(memoryview(data)):
            if number != NODE:
                continue
            constant = _constant(node, path)
            if constant is None:
                continue
            name, array = constant
            if name in arrays:
                raise WeightsError(f"{path}: {name} stands there twice")
            arrays[name] = array
            check_total(sum(each.nbytes for each in arrays.values()), path)
    except (ValueError, IndexError, TypeError) as error:
        raise WeightsError(f"{path}: not a frozen graph of TensorFlow ({error})") from error
    if not arrays:
        raise WeightsError(f"{path}: not a frozen graph of TensorFlow: it has no constants")
    return arrays


def _constant(node, path):
    """(name, array) of a node, or `None` where it is no constant of floats."""
    name, operation, tensor = None, None, None
    for number, value in _fields(node):
        if number == NODE_NAME:
            name = _text(value)
        elif number == NODE_OP:
            operation = _text(value)
        elif number == NODE_ATTR:
            entry = dict(_fields(value))
            if _text(entry.get(ENTRY_KEY, b"")) == "value":
                tensor = dict(_fields(entry[ENTRY_VALUE])).get(ATTR_TENSOR)
    if operation != "Const" or tensor is None or not name:
        return None
    shape, content, floats, dtype = (), None, [], None
    for number, value in _fields(tensor):
        if number == TENSOR_DTYPE:
            dtype = value
        elif number == TENSOR_SHAPE:
            dims = [size for field, size in _fields(value) if field == SHAPE_DIM]
            shape = tuple(dict(_fields(dim)).get(DIM_SIZE, 0) for dim in dims)
        elif number == TENSOR_CONTENT:
            content = value
        elif number == TENSOR_FLOATS:
            floats.append(value)
    if dtype != FLOAT32 or not shape:
        return None
    size = count(shape, name, path)
    values = np.frombuffer(b"".join(floats) if content is None else content, "<f4")
    if len(values) == 1 and size > 1:  # one value stands for all
        check_total(4 * size, path)
        values = np.repeat(values, size)
    if len(values) != size:
        raise ValueError(f"{name[:80]} has {len(values)} values for the shape {shape}")
    return name, values.reshape(shape).astype(np.float32)


def _fields(data):
    """(field number, value) pairs of a message: whole numbers, or the bytes of what has a length.

    Of fixed 32 bits the value is their bytes.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = read_varint(data, at)
        elif kind in (FIXED64, FIXED32, BYTES):
            size = {FIXED64: 8, FIXED32: 4}.get(kind)
            if size is None:
                size, at = read_varint(data, at)
            if size > end - at:
                raise ValueError("a field reaches beyond its message")
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"a field of the unknown kind {kind}")
        yield number, value


def _text(data):
    return bytes(data).decode("utf-8", "replace")
