"""Reads Google's ImageNet Inception-V1 of 2014 ("inception5h") in its published forms.

These are TensorFlow's `inception5h.zip`, the `tensorflow_inception_graph.pb` inside it, and the
folder with one HDF5 file per tensor of the repository soumith/inception.torch; all Apache-2.0.
https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip
"""

import pathlib

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import INCEPTION5H
from kinetics_i3d.core.errors import WeightsError, list_faults
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo
from kinetics_i3d.weights.readers.archive import open_archive
from kinetics_i3d.weights.readers.hdf5 import read_hdf5
from kinetics_i3d.weights.readers.tensorflow import read_varint
from kinetics_i3d.weights.readers.values import (
    check_total,
    count,
    digest,
    tensor_digest,
    warn_unchecked,
)

STEM = {
    "conv2d0": "Conv2d_1a_7x7_conv",
    "conv2d1": "Conv2d_2b_1x1_conv",
    "conv2d2": "Conv2d_2c_3x3_conv",
    "softmax2": "Conv2d_0c_1x1",
}
MODULES = {
    "mixed3a": "Mixed_3b",
    "mixed3b": "Mixed_3c",
    "mixed4a": "Mixed_4b",
    "mixed4b": "Mixed_4c",
    "mixed4c": "Mixed_4d",
    "mixed4d": "Mixed_4e",
    "mixed4e": "Mixed_4f",
    "mixed5a": "Mixed_5b",
    "mixed5b": "Mixed_5c",
}
UNITS = {
    "1x1": "Branch_0_Conv2d_0a_1x1_conv",
    "3x3_bottleneck": "Branch_1_Conv2d_0a_1x1_conv",
    "3x3": "Branch_1_Conv2d_0b_3x3_conv",
    "5x5_bottleneck": "Branch_2_Conv2d_0a_1x1_conv",
    "5x5": "Branch_2_Conv2d_0b_5x5_conv",
    "pool_reduce": "Branch_3_Conv2d_0b_1x1_conv",
}
# Digest of the tensors of the release; its files have no checksums.
DIGEST = "89db7a08d9e22169f0c901f8cf0368e1ceb6bdbb2aab50fe6310c76f3885fb28"
GRAPH = "tensorflow_inception_graph.pb"
LABELS = "imagenet_comp_graph_label_strings.txt"
MAX_GRAPH, MAX_LABELS = 2**28, 2**20
# The two auxiliary classifiers of training; some copies of the folder lack parts of them.
UNUSED = ("head0_bottleneck", "head1_bottleneck", "nn0", "nn1", "softmax0", "softmax1")


def layer_names():
    """{stem of a tensor's name: layer of `InceptionV1`}."""
    mixed = {
        f"{source}_{unit}": f"{module}_{layer}"
        for source, module in MODULES.items()
        for unit, layer in UNITS.items()
    }
    return STEM | mixed


def is_inception5h(path):
    """Whether `path` looks like the release: a folder, a frozen graph or a zip archive of one."""
    path = pathlib.Path(path)
    if path.is_file() and path.suffix.lower() == ".zip":
        with open_archive(path) as archive:
            return _graph_in(archive) is not None
    if path.is_dir():
        return (path / "conv2d0_w.h5").is_file() or (path / GRAPH).is_file()
    return path.is_file() and path.suffix.lower() == ".pb"


def read_inception5h(path):
    """Reads the release into the names of `InceptionV1(architecture="googlenet")`.

    Args:
        path: `inception5h.zip`; its `tensorflow_inception_graph.pb`, or the folder with it; or a
            folder with `conv2d0_w.h5` ... `softmax2_b.h5` and `synsets.txt`. An archive is not
            unpacked.

    Returns:
        A `Checkpoint` with kernels (height, width, in, out). The labels are the lines of
        `synsets.txt`, or of the list in the archive or beside the graph, and `"unnamed N"` for
        further outputs. A warning is logged if the tensors are not those of the release.

    Raises:
        WeightsError: If tensors are missing or unknown, or a file cannot be read.
    """
    path = pathlib.Path(path)
    if (path / "conv2d0_w.h5").is_file():
        return _read_folder(path)
    labels: tuple = ()
    if path.is_dir():  # an archive that was unpacked
        path /= GRAPH
    if path.suffix.lower() == ".zip":
        with open_archive(path) as archive:
            data = archive.read(_graph_in(archive), MAX_GRAPH)
            listed = [name for name in archive.sizes if name.split("/")[-1] == LABELS]
            if listed:
                labels = _lines(archive.read(listed[0], MAX_LABELS))
        constants = parse_frozen_graph(data, path)
    else:
        constants = read_frozen_graph(path)
        beside = path.with_name(LABELS)
        if beside.is_file():
            with beside.open("rb") as file:
                labels = _lines(file.read(MAX_LABELS))
    names = layer_names()
    wanted = {f"{stem}_{part}" for stem in names for part in "wb"}
    missing = sorted(wanted - set(constants))
    if missing:
        raise WeightsError(f"{path}: not the inception5h release; missing constants: {missing}")
    arrays = {}
    for stem, layer in names.items():
        kernel = constants[f"{stem}_w"]  # (height, width, in, out); of softmax2 a matrix
        if kernel.ndim == 2:
            kernel = kernel[None, None]
        if kernel.ndim != 4:
            raise WeightsError(
                f"{path}: {stem}_w has shape {kernel.shape}, which is not the shape of a kernel"
            )
        arrays[f"{layer}/kernel"] = kernel
        arrays[f"{layer}/bias"] = constants[f"{stem}_b"].reshape(-1)
    return _checkpoint(arrays, labels, path)


def _lines(data):
    return tuple(data.decode("utf-8", "replace").splitlines())


def _graph_in(archive):
    """The name of the frozen graph in an archive, or `None`."""
    return next((name for name in archive.sizes if name.split("/")[-1] == GRAPH), None)


def _read_folder(folder):
    names = layer_names()
    wanted = {f"{stem}_{part}" for stem in names for part in "wb"}
    spare = {f"{stem}_{part}" for stem in UNUSED for part in "wb"}
    stems = {file.stem for file in folder.glob("*.h5")}
    missing, unknown = sorted(wanted - stems), sorted(stems - wanted - spare)
    faults = {"missing": missing, "unknown": unknown}
    if any(faults.values()):
        raise WeightsError(f"{folder}: not the inception5h release; {list_faults(faults)}")
    arrays = {}
    for stem, layer in names.items():
        # (out, height, width, in) in the files, (height, width, in, out) in Keras.
        arrays[f"{layer}/kernel"] = _read(folder, f"{stem}_w").transpose(1, 2, 3, 0)
        arrays[f"{layer}/bias"] = _read(folder, f"{stem}_b")
    synsets = folder / "synsets.txt"
    labels = ()
    if synsets.is_file():
        labels = tuple(synsets.read_text(encoding="utf-8", errors="replace").splitlines())
    return _checkpoint(arrays, labels, folder)


def _checkpoint(arrays, labels, path):
    if digest(tensor_digest(*pair) for pair in arrays.items()) != DIGEST:
        logging.warning("%s: its tensors are not those of the release", path)
    classes = len(arrays["Conv2d_0c_1x1/bias"])
    if labels:  # the network has more outputs than the list in the archive
        labels += tuple(f"unnamed {number}" for number in range(len(labels), classes))
    info = WeightsInfo("googlenet", 2, INCEPTION5H, classes, labels[:classes])
    return Checkpoint(info, arrays, path)


def _read(folder, name):
    path = folder / f"{name}.h5"
    file = read_hdf5(path)
    if [*file.shapes] != [name]:
        raise WeightsError(f"{path}: must hold the tensor {name!r} and nothing else")
    array = file.read(name)
    if array.ndim != (4 if name.endswith("_w") else 1):
        raise WeightsError(f"{path}: {name} has the impossible shape {array.shape}")
    return array


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
        {name of the node: float32 array} of all constants with one axis or more.

    Raises:
        WeightsError: If the file is missing, damaged, or not a graph with constants.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    size = path.stat().st_size
    if size > MAX_GRAPH:
        raise WeightsError(f"{path}: has {size} bytes; a frozen graph has at most {MAX_GRAPH}")
    arrays = parse_frozen_graph(path.read_bytes(), path)
    warn_unchecked(path)
    return arrays


def parse_frozen_graph(data, path):
    """Reads the float constants of a frozen graph in memory, see `read_frozen_graph`.

    Args:
        data: The bytes of a `GraphDef`.
        path: The file, for errors.

    Returns:
        {name of the node: float32 array}.

    Raises:
        WeightsError: If the bytes are not a graph with constants, or a name occurs twice.
    """
    arrays: dict = {}
    total = 0
    try:
        for number, node in _fields(memoryview(data)):
            if number != NODE:
                continue
            constant = _constant(node, path)
            if constant is None:
                continue
            name, array = constant
            if name in arrays:
                raise WeightsError(f"{path}: {name} occurs twice")
            arrays[name] = array
            total += array.nbytes
            check_total(total, path)
    except (ValueError, IndexError, TypeError) as error:
        raise WeightsError(f"{path}: not a frozen graph of TensorFlow ({error})") from error
    if not arrays:
        raise WeightsError(f"{path}: not a frozen graph of TensorFlow: it has no constants")
    return arrays


def _constant(node, path):
    """(name, array) of a node, or `None` unless it is a constant of floats."""
    name, operation, tensor = None, None, None
    for number, value in _fields(node):
        if number == NODE_NAME:
            name = _text(value)
        elif number == NODE_OP:
            operation = _text(value)
        elif number == NODE_ATTR:
            entry = dict(_fields(value))
            if _text(entry.get(ENTRY_KEY, b"")) == "value":
                tensor = dict(_fields(entry.get(ENTRY_VALUE, b""))).get(ATTR_TENSOR)
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
    if len(values) == 1 and size > 1:  # a single value fills the tensor
        check_total(4 * size, path)
        values = np.repeat(values, size)
    if len(values) != size:
        raise ValueError(f"{name[:80]} has {len(values)} values for the shape {shape}")
    return name, values.reshape(shape).astype(np.float32)


def _fields(data):
    """(field number, value) of a message; values are integers or bytes."""
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
                raise ValueError("a field is longer than its message")
            value, at = data[at : at + size], at + size
        else:
            raise ValueError(f"unknown wire type {kind}")
        yield number, value


def _text(data):
    if isinstance(data, int):
        raise TypeError("a number in place of a text")
    return bytes(data).decode("utf-8", "replace")
