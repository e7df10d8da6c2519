"""Reads Google's ImageNet Inception-V1 of 2014 ("inception5h") in the forms that people hold.

They are TensorFlow's `inception5h.zip`, the `tensorflow_inception_graph.pb` inside, and the folder
of one HDF5 file a tensor of the public repository soumith/inception.torch; all Apache-2.0.
https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip
"""

import pathlib

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import INCEPTION5H
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo
from kinetics_i3d.weights.readers.archive import open_archive
from kinetics_i3d.weights.readers.frozen_graph import parse_frozen_graph, read_frozen_graph
from kinetics_i3d.weights.readers.values import digest, tensor_digest

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
# Of the release's tensors as they are read here; its files have no checksum of their own.
DIGEST = "89db7a08d9e22169f0c901f8cf0368e1ceb6bdbb2aab50fe6310c76f3885fb28"
GRAPH = "tensorflow_inception_graph.pb"
LABELS = "imagenet_comp_graph_label_strings.txt"
MAX_GRAPH, MAX_LABELS = 2**28, 2**20
# The two auxiliary classifiers of training; some copies of the folder leave parts of them out.
UNUSED = ("head0_bottleneck", "head1_bottleneck", "nn0", "nn1", "softmax0", "softmax1")


def layer_names():
    """Every tensor's stem in the folder, to the layer of `InceptionV1` that it belongs to."""
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
    return (path / "conv2d0_w.h5").is_file() or (path.is_file() and path.suffix.lower() == ".pb")


def read_inception5h(path):
    """Reads the release into the names of `InceptionV1(architecture="googlenet")`.

    Args:
        path: `inception5h.zip`, its `tensorflow_inception_graph.pb`, or a folder with
            `conv2d0_w.h5` ... `softmax2_b.h5` and `synsets.txt`. An archive is read where it lies
            and not unpacked.

    Returns:
        A `Checkpoint`; kernels are (height, width, in, out), labels the lines of `synsets.txt` or
        of the archive's list, and `"unnamed N"` for outputs beyond it; a graph alone has none. The
        log tells if the tensors are not the release's.

    Raises:
        WeightsError: If a tensor is missing or unknown, all of them in one message, or a file
            cannot be read.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _read_folder(path)
    labels = ()
    if path.suffix.lower() == ".zip":
        with open_archive(path) as archive:
            data = archive.read(_graph_in(archive), MAX_GRAPH)
            listed = [name for name in archive.sizes if name.split("/")[-1] == LABELS]
            if listed:
                text = archive.read(listed[0], MAX_LABELS).decode("utf-8", "replace")
                labels = tuple(text.splitlines())
        constants = parse_frozen_graph(data, path)
    else:
        constants = read_frozen_graph(path)
    names = layer_names()
    wanted = {f"{stem}_{part}" for stem in names for part in "wb"}
    missing = sorted(wanted - set(constants))
    if missing:
        raise WeightsError(
            f"{path}: not the inception5h release; constants that are missing: {missing}"
        )
    arrays = {}
    for stem, layer in names.items():
        kernel = constants[f"{stem}_w"]  # (height, width, in, out); the last is a matrix there
        if kernel.ndim == 2:
            kernel = kernel[None, None]
        if kernel.ndim != 4:
            raise WeightsError(f"{path}: {stem}_w has the shape {kernel.shape}, not of a kernel")
        arrays[f"{layer}/kernel"] = kernel
        arrays[f"{layer}/bias"] = constants[f"{stem}_b"].reshape(-1)
    return _checkpoint(arrays, labels, path)


def _graph_in(archive):
    """The name of the frozen graph in an archive, or `None`."""
    return next((name for name in archive.sizes if name.split("/")[-1] == GRAPH), None)


def _read_folder(folder):
    names = layer_names()
    wanted = {f"{stem}_{part}" for stem in names for part in "wb"}
    spare = {f"{stem}_{part}" for stem in UNUSED for part in "wb"}
    found = {file.stem for file in folder.glob("*.h5")}
    missing, unknown = sorted(wanted - found), sorted(found - wanted - spare)
    if missing or unknown:
        raise WeightsError(
            f"{folder}: not the inception5h release; missing: {missing}, unknown: {unknown}"
        )
    arrays = {}
    for stem, layer in names.items():
        # (out, height, width, in) there, (height, width, in, out) in Keras.
        arrays[f"{layer}/kernel"] = _read(folder, f"{stem}_w").transpose(1, 2, 3, 0)
        arrays[f"{layer}/bias"] = _read(folder, f"{stem}_b")
    synsets = folder / "synsets.txt"
    labels = tuple(synsets.read_text().splitlines()) if synsets.is_file() else ()
    return _checkpoint(arrays, labels, folder)


def _checkpoint(arrays, labels, path):
    if digest(tensor_digest(*pair) for pair in arrays.items()) != DIGEST:
        logging.warning("%s: its tensors are not those of the release", path)
    classes = len(arrays["Conv2d_0c_1x1/bias"])
    if labels:  # the network has more outputs than the archive's list has lines
        labels += tuple(f"unnamed {number}" for number in range(len(labels), classes))
    info = WeightsInfo("googlenet", 2, INCEPTION5H, classes, labels[:classes])
    return Checkpoint(info, arrays, path)


def _read(folder, name):
    import h5py

    path = folder / f"{name}.h5"
    try:
        with h5py.File(path, "r") as file:
            return np.asarray(file[name], np.float32)
    except (OSError, KeyError) as error:
        raise WeightsError(f"{path}: cannot read the tensor {name!r} ({error})") from error
