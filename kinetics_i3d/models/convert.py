"""Converts weights of any known format to another one, and verifies the result."""

import math
import os
import pathlib

import keras
import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.files import atomic_path, check_space
from kinetics_i3d.core.types import Labels, PathLike
from kinetics_i3d.models.clip_model import set_labels
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import checkpoint_of
from kinetics_i3d.models.systems import builder_of
from kinetics_i3d.weights.checkpoint import write_checkpoint
from kinetics_i3d.weights.layouts import LAYOUTS, to_layout
from kinetics_i3d.weights.read import read_weights
from kinetics_i3d.weights.readers.safetensors import write_safetensors
from kinetics_i3d.weights.readers.torch import write_torch

# Suffixes of the formats; longer ones match first.
ENDINGS = {
    ".weights.h5": "weights.h5",
    ".h5": "h5",
    ".keras": "keras",
    ".safetensors": "safetensors",
    ".pt": "torch",
    ".pth": "torch",
}
FORMATS = tuple(dict.fromkeys(ENDINGS.values()))
TOLERANCE = 1e-5  # of the largest logit: rounding of sums in another order


def convert(
    source: PathLike,
    output: PathLike,
    *,
    to: str | None = None,
    architecture: str | None = None,
    labels: Labels | None = None,
) -> pathlib.Path:
    """Converts weights to another format.

    The network is run from both files, and `output` is written only if the outputs agree.

    Args:
        source: A catalog name or a path, as for `weights=`.
        output: The file to write.
        to: `"h5"` (the format of this package, with spec and labels), `"keras"` (a whole model),
            `"weights.h5"`, `"safetensors"`, or `"torch"` (a state dict with the names of PyTorch's
            I3D). By default chosen by the suffix of `output`.
        architecture: A name in `ARCHITECTURES`, for a source that does not name it.
        labels: Class names in the order of the outputs, for weights without them; `.h5`, `.keras`
            and `.safetensors` keep them.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ValueError: If the format is unknown, or the number of `labels` is not the number of
            classes.
        WeightsError: If the source cannot be read, the format cannot hold it, or the outputs of the
            written file differ from those of the source.

    Example:

    >>> ki3d.convert("rgb_figures", folder / "figures.safetensors").name
    'figures.safetensors'
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(
            "`source` must be a name or a path; save_weights(model, path) writes a model. "
            f"Received: {type(source).__name__}"
        )
    output = pathlib.Path(output)
    to = to or next((to for end, to in ENDINGS.items() if output.name.endswith(end)), None)
    if to not in FORMATS:
        raise ValueError(
            f"`to` must be one of {FORMATS}, or `output` must end in one of {tuple(ENDINGS)}. "
            f"Received: to={to!r}, output={str(output)!r}"
        )
    if to == "keras" and output.suffix != ".keras":
        raise ValueError(
            f"`output` must end in .keras for a whole model. Received: output={str(output)!r}"
        )
    checkpoint = read_weights(source)
    model = build(checkpoint, architecture=architecture)
    if labels is not None:
        set_labels(model, labels)
    if to in ("torch", "weights.h5"):
        _check_plain(model, output)
    if to == "torch" and checkpoint.info.rank != 3:
        raise WeightsError(f"{output}: PyTorch's I3D reads clips; inflate the image network first")
    with atomic_path(output) as temporary:
        _WRITERS[to](model, temporary, checkpoint.info.about)
        if to == "keras":
            written = keras.saving.load_model(temporary, compile=False)
        else:
            read = read_weights(temporary)
            unnamed = read.info.architecture is None
            written = build(read, architecture=model.architecture if unnamed else None)
            written.clip_specs = model.clip_specs  # not every format keeps them
        verify(written, model, output)
    return output


def build(checkpoint, *, architecture=None):
    """The model of a `Checkpoint`, with the classifier if the checkpoint has one."""
    info = checkpoint.info
    builder = InceptionV1 if info.rank == 2 else builder_of(checkpoint)
    return builder(weights=checkpoint, include_top=bool(info.classes), architecture=architecture)


def verify(written, model, path):
    """Raises `WeightsError` unless two models agree on a random input up to rounding."""
    inputs = _random_inputs(model)
    wanted, actual = (
        keras.ops.convert_to_numpy(network(inputs, training=False)) for network in (model, written)
    )
    off = np.abs(actual - wanted).max() / max(np.abs(wanted).max(), 1e-12)
    if not off <= TOLERANCE:
        raise WeightsError(f"{path}: not written; its outputs differ by {off:.2g}")


def _random_inputs(model):
    """A batch of one, of about the minimum size of the model."""
    random, made = np.random.default_rng(0), {}
    both = isinstance(model.input, dict)
    for stream, minimum in model.minimums.items():
        shape = (model.input[stream] if both else model.input).shape[1:]
        # The minimum sizes have the ratio of frames that two streams need.
        usual = (0 if both else 17, 64, 64)[-len(minimum) :]
        size = [
            fixed or max(low, more)
            for fixed, low, more in zip(shape[:-1], minimum, usual, strict=True)
        ]
        spec = model.clip_specs[stream]
        made[stream] = random.uniform(spec.low, spec.high, (1, *size, shape[-1])).astype(np.float32)
    return made if both else made[stream]


def _write_own(model, path, about):
    write_checkpoint(path, checkpoint_of(model, about=about))


def _write_keras(model, path, about):
    model.save(path)


def _write_keras_weights(model, path, about):
    # Keras requires the double suffix.
    beside = path.with_name(f"{path.name}.weights.h5")
    try:
        # On a full disk HDF5 fails a second time, in a destructor, which cannot be caught.
        check_space(beside, 2**20 + sum(4 * math.prod(v.shape) for v in model.variables))
        model.save_weights(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_safetensors(model, path, about):
    checkpoint = checkpoint_of(model, about=about)
    write_safetensors(path, checkpoint.arrays, metadata={"kinetics_i3d": checkpoint.info.to_json()})


def _write_torch(model, path, about):
    checkpoint = checkpoint_of(model)
    arrays = to_layout(checkpoint.arrays, LAYOUTS["torch"])
    units = [name.removesuffix(".running_var") for name in arrays if name.endswith(".running_var")]
    counts = {f"{unit}.num_batches_tracked": np.int64(0) for unit in units}
    write_torch(path, arrays | counts)


def _check_plain(model, path):
    if model.system is not None:
        raise WeightsError(
            f"{path}: this format holds only an InceptionI3D; "
            f"use .h5, .safetensors or .keras for {model.system}"
        )


_WRITERS = {
    "h5": _write_own,
    "keras": _write_keras,
    "weights.h5": _write_keras_weights,
    "safetensors": _write_safetensors,
    "torch": _write_torch,
}
