"""Conversion: weights of any known kind to another format, verified before the file is named."""

import os
import pathlib

import keras
import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.types import Labels, PathLike
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import checkpoint_of
from kinetics_i3d.models.systems import builder_of
from kinetics_i3d.weights.checkpoint import write_checkpoint
from kinetics_i3d.weights.layouts import LAYOUTS, to_layout
from kinetics_i3d.weights.read import read_weights
from kinetics_i3d.weights.readers.safetensors import write_safetensors
from kinetics_i3d.weights.readers.torch import write_torch

# Endings that say the format; the longer one is asked first.
ENDINGS = {
    ".weights.h5": "weights.h5",
    ".h5": "h5",
    ".keras": "keras",
    ".safetensors": "safetensors",
    ".pt": "torch",
    ".pth": "torch",
}
FORMATS = tuple(dict.fromkeys(ENDINGS.values()))
TOLERANCE = 1e-5  # of the largest logit: sums in another order, nothing else


def convert(
    source: PathLike,
    output: PathLike,
    *,
    to: str | None = None,
    architecture: str | None = None,
    labels: Labels | None = None,
) -> pathlib.Path:
    """Converts weights, and runs the network from both files before the new one gets its name.

    Args:
        source: A catalog name or a path, as `weights=` takes it.
        output: The file to write.
        to: `"h5"` (this package's own, with spec and labels), `"keras"` (a whole model),
            `"weights.h5"`, `"safetensors"`, or `"torch"` (a state dict under the names of PyTorch's
            I3D). By default what the ending of `output` says.
        architecture: A name in `ARCHITECTURES`, where the source does not say it.
        labels: Class names in the order of the outputs, for weights that bring none; `.h5`,
            `.keras` and safetensors keep them.

    Returns:
        `output` as a `pathlib.Path`.

    Raises:
        ValueError: If the format is unknown, or `labels` are not as many as the classes.
        WeightsError: If the source cannot be read, the format cannot hold it, or the written file
            answers otherwise than the source.

    Example:

    >>> ki3d.convert("rgb_figures", folder / "figures.safetensors").name
    'figures.safetensors'
    """
    output = pathlib.Path(output)
    to = to or next((to for end, to in ENDINGS.items() if output.name.endswith(end)), None)
    if to not in FORMATS:
        raise ValueError(
            f"`to` must be one of {FORMATS}, or `output` must end in one of {tuple(ENDINGS)}. "
            f"Received: to={to!r}, output={str(output)!r}"
        )
    model = build(read_weights(source), architecture=architecture)
    if labels is not None:
        if len(labels) != model.output_shape[-1]:
            raise ValueError(
                f"`labels` must name the {model.output_shape[-1]} classes. "
                f"Received: {len(labels)} labels"
            )
        model.labels = tuple(labels)
    with atomic_path(output) as temporary:
        _WRITERS[to](model, temporary)
        if to == "keras":
            written = keras.saving.load_model(temporary, compile=False)
        else:
            written = build(read_weights(temporary), architecture=model.architecture)
            written.clip_specs = model.clip_specs  # not every format keeps them
        verify(written, model, output)
    return output


def build(checkpoint, *, architecture=None):
    """The model of a `Checkpoint`, whichever it is, with the top if the checkpoint has one."""
    info = checkpoint.info
    builder = InceptionV1 if info.rank == 2 else builder_of(checkpoint)
    return builder(weights=checkpoint, include_top=bool(info.classes), architecture=architecture)


def verify(written, model, path):
    """Compares two models on one random input.

    Raises:
        WeightsError: If they differ by more than rounding.
    """
    inputs = _random_inputs(model)
    wanted, actual = (
        keras.ops.convert_to_numpy(network(inputs, training=False)) for network in (model, written)
    )
    off = np.abs(actual - wanted).max() / max(np.abs(wanted).max(), 1e-12)
    if not off <= TOLERANCE:
        raise WeightsError(f"{path}: not written; its answers would be off by {off:.2g}")


def _random_inputs(model):
    """A batch of one, of the least size that the model reads or a little more."""
    random, made = np.random.default_rng(0), {}
    both = isinstance(model.input, dict)
    for stream, least in model.minimums.items():
        shape = (model.input[stream] if both else model.input).shape[1:]
        # Streams must stay in their ratio of frames, which the least have.
        usual = (0 if both else 17, 64, 64)[-len(least) :]
        size = [
            fixed or max(low, more)
            for fixed, low, more in zip(shape[:-1], least, usual, strict=True)
        ]
        spec = model.clip_specs[stream]
        made[stream] = random.uniform(spec.low, spec.high, (1, *size, shape[-1])).astype(np.float32)
    return made if both else made[stream]


def _write_own(model, path):
    write_checkpoint(path, checkpoint_of(model))


def _write_keras(model, path):
    model.save(path)


def _write_keras_weights(model, path):
    _check_plain(model, path)
    # Keras insists on the double ending.
    beside = path.with_name(f"{path.name}.weights.h5")
    try:
        model.save_weights(beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _write_safetensors(model, path):
    checkpoint = checkpoint_of(model)
    write_safetensors(path, checkpoint.arrays, metadata={"kinetics_i3d": checkpoint.info.to_json()})


def _write_torch(model, path):
    _check_plain(model, path)
    checkpoint = checkpoint_of(model)
    if checkpoint.info.rank != 3:
        raise WeightsError(f"{path}: PyTorch's I3D reads clips; inflate the image network first")
    arrays = to_layout(checkpoint.arrays, LAYOUTS["torch"])
    units = [name.removesuffix(".running_var") for name in arrays if name.endswith(".running_var")]
    counts = {f"{unit}.num_batches_tracked": np.int64(0) for unit in units}
    write_torch(path, arrays | counts)


def _check_plain(model, path):
    if model.system is not None:
        raise WeightsError(
            f"{path}: this format holds an InceptionI3D alone; "
            f"take .h5, .safetensors or .keras for {model.system}"
        )


_WRITERS = {
    "h5": _write_own,
    "keras": _write_keras,
    "weights.h5": _write_keras_weights,
    "safetensors": _write_safetensors,
    "torch": _write_torch,
}
