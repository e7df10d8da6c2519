"""`read_path`: reads the weights in a file or folder of any known format.

Tar archives and frozen graphs (`.pb`) are recognized by their suffixes, all other formats by their
content. Every reader returns {name: array} under the names of the file, which `layouts` translates.
"""

import dataclasses
import json
import pathlib
import re
import zipfile

import numpy as np

from kinetics_i3d.core.clip_spec import parse_spec
from kinetics_i3d.core.errors import DAMAGE, WeightsError
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo, read_checkpoint, read_info
from kinetics_i3d.weights.inception5h import is_inception5h, read_inception5h
from kinetics_i3d.weights.layouts import translate
from kinetics_i3d.weights.readers.archive import checkpoint_in_tar, is_tar, open_archive
from kinetics_i3d.weights.readers.flax import read_flax
from kinetics_i3d.weights.readers.hdf5 import SIGNATURE
from kinetics_i3d.weights.readers.keras import read_keras
from kinetics_i3d.weights.readers.safetensors import read_safetensors, read_safetensors_metadata
from kinetics_i3d.weights.readers.tensorflow import checkpoint_prefix, read_tensorflow
from kinetics_i3d.weights.readers.torch import LEGACY_START, read_torch

READERS = {
    "tensorflow": read_tensorflow,
    "torch": read_torch,
    "safetensors": read_safetensors,
    "keras": read_keras,
    "flax": read_flax,
}
_KNOWN = (
    "TensorFlow checkpoints and SavedModels, PyTorch state dicts (.pt, .pth), safetensors, "
    "Keras' .keras, .weights.h5 and .h5, and pickled dictionaries of NumPy arrays (Flax)"
)
# {rank of the network: a variable that only files with this package's names have}.
_OWN_NAMES = {rank: f"Mixed_3b_Branch_0_Conv{rank}d_0a_1x1_conv/kernel" for rank in (2, 3)}
_HEAD_BIAS = re.compile(r"((rgb|flow)/)?(Conv[23]d_0c_1x1|Classifier)/bias")


def read_path(path):
    """Reads weights of any known format and layout.

    Args:
        path: A file, a folder, or the prefix of a TensorFlow checkpoint.

    Returns:
        A `Checkpoint`. For a file with this package's names but without information, such as a
        `.weights.h5`, architecture and spec are `None`.

    Raises:
        WeightsError: If the file is damaged, or its format or layout is unknown.
    """
    checkpoint = _read_any(pathlib.Path(path))
    for name, array in checkpoint.arrays.items():
        if not np.isfinite(array).all():
            raise WeightsError(
                f"{path}: {name} has values that are not finite; the training that made these "
                "weights may have diverged"
            )
    info = checkpoint.info
    classes = {np.size(array) for name, array in checkpoint.arrays.items() if _is_head_bias(name)}
    if info.architecture is not None and classes - {info.classes}:
        outputs = " and ".join(map(str, sorted(classes)))
        raise WeightsError(f"{path}: has {outputs} outputs, but declares {info.classes}")
    return checkpoint


def _is_head_bias(name):
    return _HEAD_BIAS.fullmatch(name) is not None


def _read_any(path):
    if is_inception5h(path):
        return read_inception5h(path)
    if is_tar(path):
        with checkpoint_in_tar(path) as prefix:
            return dataclasses.replace(read_path(prefix), path=path)
    kind = recognize(path)
    if kind == "keras" and read_info(path) is not None:
        return read_checkpoint(path)
    return _checkpoint(path, kind, READERS[kind](path))


def read_path_info(path):
    """The `WeightsInfo` of weights of any format; reads the arrays if `stored_info` is `None`."""
    return stored_info(path) or read_path(path).info


def stored_info(path):
    """The `WeightsInfo` in an `.h5` or `.safetensors` of this package, or `None`; reads no arrays.

    Raises:
        WeightsError: If the information is damaged.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        return None
    if not _is_safetensors(path):
        return read_info(path)
    try:
        return _info_in(path, "safetensors", {})
    except DAMAGE as error:
        raise WeightsError(f"{path}: its information cannot be read ({error})") from error


def read_arrays(path):
    """Reads the arrays of a file under its own names.

    Args:
        path: A file, a folder, or the prefix of a TensorFlow checkpoint.

    Returns:
        (a key of `READERS`, {name: array}).

    Raises:
        WeightsError: If the file is missing or damaged, or its format is unknown.

    Example:

    >>> model.save(folder / "mine.keras")
    >>> read_arrays(folder / "mine.keras")[0]
    'keras'
    """
    kind = recognize(path)
    return kind, READERS[kind](path)


def recognize(path):
    """The format of weights, a key of `READERS`, by their content."""
    path = pathlib.Path(path)
    if path.is_dir():
        if checkpoint_prefix(path):
            return "tensorflow"
        raise WeightsError(
            f"{path}: a folder must be a SavedModel or contain exactly one checkpoint"
        )
    if not path.is_file():
        if checkpoint_prefix(path):
            return "tensorflow"
        raise WeightsError(f"{path}: no such file")
    with path.open("rb") as file:
        start = file.read(32)
    if start.startswith(b"PK"):
        return _recognize_zip(path)
    if start.startswith(SIGNATURE):
        return "keras"
    # Before pickles: the header length of safetensors may begin with any byte.
    if _is_safetensors(path):
        return "safetensors"
    if start.startswith(b"\x80"):
        return "torch" if LEGACY_START in start else "flax"
    if checkpoint_prefix(path):
        return "tensorflow"
    raise WeightsError(f"{path}: unknown format; supported are {_KNOWN}")


def _is_safetensors(path):
    """Whether a file begins with the length of a JSON header that fits into it."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size


def _recognize_zip(path):
    """The format of a zip archive, by its members."""
    with open_archive(path) as archive:
        if any(name.split("/")[1:] == ["data.pkl"] for name in archive.sizes):
            return "torch"
        if "config.json" in archive.sizes:
            return "keras"
        if any(name.endswith("serialized_exported_program.json") for name in archive.sizes):
            raise WeightsError(
                f"{path}: a program of torch.export, not a state dict; save one with "
                f"torch.save(torch.export.load({path.name!r}).state_dict, 'weights.pt') and use "
                "that file"
            )
    raise WeightsError(f"{path}: a zip archive without weights; supported are {_KNOWN}")


def _checkpoint(path, kind, arrays):
    """The `Checkpoint` of a file that is not this package's HDF5."""
    rank = next((rank for rank, name in _OWN_NAMES.items() if name in arrays), None)
    try:
        info = _info_in(path, kind, arrays)
    except DAMAGE as error:
        raise WeightsError(f"{path}: its information cannot be read ({error})") from error
    if info is None and rank is None:
        return translate(arrays, path)
    classes = np.size(arrays.get(f"Conv{rank}d_0c_1x1/bias", ()))
    return Checkpoint(info or WeightsInfo(None, rank, None, classes), arrays, path)


def _info_in(path, kind, arrays):
    """The `WeightsInfo` that a file contains, or `None`."""
    if kind == "safetensors":
        text = read_safetensors_metadata(path).get("kinetics_i3d")
        return WeightsInfo.from_json(text) if text else None
    if kind == "keras" and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))["config"]
        if "clip_spec" in config:
            return _info_of_clip_model(config, arrays)
    return None


def _info_of_clip_model(config, arrays):
    """The `WeightsInfo` of a `ClipModel` from its configuration in a `.keras` file."""
    specs = [
        parse_spec("clip_spec", fields)
        for fields in config.get("clip_specs", [config["clip_spec"]])
    ]
    bias = next((array for name, array in arrays.items() if _HEAD_BIAS.fullmatch(name)), ())
    flow_architecture = None
    if len(specs) > 1:
        (flow,) = (
            layer["config"]
            for layer in config["functional"]["config"]["layers"]
            if layer["name"] == "flow_stream"
        )
        if flow["architecture"] != config["architecture"]:
            flow_architecture = flow["architecture"]
    info = WeightsInfo(
        config["architecture"],
        len(config["minimum"]),
        specs[0],
        len(bias),
        tuple(config["labels"]),
        system=config.get("system"),
        flow_spec=specs[1] if len(specs) > 1 else None,
        flow_architecture=flow_architecture,
        activation=config.get("activation", "softmax"),
    )
    return WeightsInfo.from_json(info.to_json())  # which checks its fields
