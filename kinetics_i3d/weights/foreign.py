"""Reads weights that this package did not write, or wrote as Keras, safetensors or SavedModel."""

import json
import pathlib
import re
import zipfile

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo
from kinetics_i3d.weights.readers import read_arrays
from kinetics_i3d.weights.readers.safetensors import read_safetensors_metadata
from kinetics_i3d.weights.translate import translate

_OURS = {rank: f"Mixed_3b_Branch_0_Conv{rank}d_0a_1x1_conv/kernel" for rank in (2, 3)}
HEAD_BIAS = re.compile(r"((rgb|flow)/)?(Conv[23]d_0c_1x1|Classifier)/bias")


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
        info = _info_of(path, kind, arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: what it says about itself cannot be read ({error})") from error
    if info is None and rank is None:
        return translate(arrays, path)
    return Checkpoint(info or WeightsInfo(None, rank, None, classes), arrays, path)


def _info_of(path, kind, arrays):
    """The `WeightsInfo` that a file brings along, or `None`."""
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
    """The `WeightsInfo` of a `ClipModel` whose configuration a `.keras` file holds."""
    specs = [ClipSpec(**fields) for fields in config.get("clip_specs", [config["clip_spec"]])]
    bias = next((array for name, array in arrays.items() if HEAD_BIAS.fullmatch(name)), ())
    flow_architecture = None
    if len(specs) > 1:
        (flow,) = (
            layer["config"]
            for layer in config["functional"]["config"]["layers"]
            if layer["name"] == "flow_stream"
        )
        if flow["architecture"] != config["architecture"]:
            flow_architecture = flow["architecture"]
    return WeightsInfo(
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
