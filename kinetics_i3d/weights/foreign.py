"""Reads weights that this package did not write, or wrote as Keras, safetensors or SavedModel."""

import json
import pathlib
import zipfile

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo
from kinetics_i3d.weights.readers import read_arrays
from kinetics_i3d.weights.readers.safetensors import read_safetensors_metadata
from kinetics_i3d.weights.translate import translate

_OURS = {rank: f"Mixed_3b_Branch_0_Conv{rank}d_0a_1x1_conv/kernel" for rank in (2, 3)}


def read_foreign(path):
    """Reads any format of `readers` in any layout of `layouts`, or under our own names.

    Args:
        path: A file, a folder, or the prefix of a TensorFlow checkpoint.

    Returns:
        A `Checkpoint`. Of a file that has our names but says nothing about itself, `.weights.h5`
        among them, architecture and spec are `None`.

    Raises:
        WeightsError: If the file is damaged, of no known format, or of no known layout.
    """
    path = pathlib.Path(path)
    kind, arrays = read_arrays(path)
    rank = next((rank for rank, name in _OURS.items() if name in arrays), None)
    classes = len(arrays.get(f"Conv{rank}d_0c_1x1/bias", ()))
    try:
        info = _info_of(path, kind, rank, classes)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: what it says about itself cannot be read ({error})") from error
    if info is None and rank is None:
        return translate(arrays, path)
    return Checkpoint(info or WeightsInfo(None, rank, None, classes), arrays, path)


def _info_of(path, kind, rank, classes):
    """The `WeightsInfo` that a file brings along, or `None`."""
    if kind == "safetensors":
        text = read_safetensors_metadata(path).get("kinetics_i3d")
        return WeightsInfo.from_json(text) if text else None
    if kind == "keras" and rank is not None and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            config = json.loads(file.read("config.json"))["config"]
        if "clip_spec" in config:
            labels = tuple(config["labels"])
            spec = ClipSpec(**config["clip_spec"])
            return WeightsInfo(config["architecture"], rank, spec, classes, labels)
    return None
