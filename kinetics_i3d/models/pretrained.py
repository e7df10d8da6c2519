"""What `weights=` means: from a name or a path to a row, its information and its arrays."""

import dataclasses
import difflib

from absl import logging

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.architecture import Architecture
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.weights.assign import assign, named_variables
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo, write_checkpoint
from kinetics_i3d.weights.read import read_weights

HEAD = r"Conv[23]d_0c_1x1/"


def resolve(weights, architecture, rows, default, *, rank):
    """Reads `weights` and agrees on the architecture.

    Args:
        weights: A catalog name, a path, a `Checkpoint`, or `None`.
        architecture: A name in `rows`, an `Architecture`, or `None` for the weights' or `default`.
        rows: Known architectures by name.
        default: The `Architecture` without weights.
        rank: 2 or 3, that of the model to build.

    Returns:
        (`Architecture`, `WeightsInfo`, `Checkpoint` or `None`).

    Raises:
        ValueError: If `architecture` is unknown or is not that of the weights.
        WeightsError: If the weights cannot be read or belong to a model of the other rank.
    """
    given = weights is None or isinstance(weights, Checkpoint)
    checkpoint = weights if given else read_weights(weights)
    stored = checkpoint.info.architecture if checkpoint else None
    if architecture is None and stored is not None and stored not in rows:
        raise WeightsError(
            f"{checkpoint.path}: unknown architecture {stored!r}; "
            "pass the Architecture that it was trained with"
        )
    if architecture is None:
        architecture = stored or default
    if not isinstance(architecture, Architecture):
        if architecture not in rows:
            near = difflib.get_close_matches(str(architecture), rows, n=3, cutoff=0) or list(rows)
            raise ValueError(
                f"`architecture` must be one of {sorted(rows)}, or an Architecture; "
                f"near: {near[0]!r}. Received: architecture={architecture!r}"
            )
        architecture = rows[architecture]
    if checkpoint is None:
        return architecture, WeightsInfo(architecture.name, rank, architecture.clip_spec), None
    if checkpoint.info.rank != rank:
        kinds = {2: "images (InceptionV1); inflate it first", 3: "clips (InceptionI3D)"}
        raise WeightsError(f"{checkpoint.path} holds a model of {kinds[checkpoint.info.rank]}")
    if stored not in (None, architecture.name):
        raise ValueError(
            f"`architecture` must be {stored!r} for {checkpoint.path}. "
            f"Received: architecture={architecture.name!r}"
        )
    info = dataclasses.replace(checkpoint.info, architecture=architecture.name)
    if info.clip_spec is None:  # A file of variables and nothing else.
        first = checkpoint.arrays[f"Conv{rank}d_1a_7x7_conv/kernel"]
        stream = "flow" if first.shape[-2] == 2 else "rgb"
        spec = dataclasses.replace(architecture.clip_spec, stream=stream)
        info = dataclasses.replace(info, clip_spec=spec)
    return architecture, info, checkpoint


def check_head(head):
    """Raises `ValueError` where `head` is neither `None` nor `"new"`."""
    if head not in (None, "new"):
        raise ValueError(f"`head` must be None or 'new'. Received: head={head!r}")


def assemble(inputs, outputs, resolved, *, include_top, minimum, name, head=None):
    """The model between two Keras tensors, with the arrays of its checkpoint, if it has one.

    Args:
        inputs: Keras tensor of images or clips.
        outputs: Keras tensor of logits, predictions or features.
        resolved: What `resolve` gave.
        include_top: Whether `outputs` come from the classifier.
        minimum: The least size of an input.
        name: The model's name.
        head: `"new"` leaves the checkpoint's classifier out.

    Returns:
        A `ClipModel`.

    Raises:
        WeightsError: If the arrays do not fit.
    """
    row, info, checkpoint = resolved
    named = include_top and head is None and outputs.shape[-1] == len(info.labels)
    model = ClipModel(
        inputs,
        outputs,
        clip_spec=info.clip_spec,
        labels=info.labels if named else (),
        architecture=row.name,
        minimum=minimum,
        name=name,
    )
    if checkpoint is not None:
        if include_top and head is None and outputs.shape[-1] != info.classes:
            raise WeightsError(
                f"{checkpoint.path} has {info.classes or 'no'} classes, not {outputs.shape[-1]}; "
                "take head='new' for a classifier of random values on its trunk, or "
                "include_top=False for its features"
            )
        patterns = (HEAD,) if head == "new" or not include_top else ()
        assign(
            model,
            checkpoint.arrays,
            ignore=patterns,
            keep=patterns,
            source=str(checkpoint.path),
        )
        if include_top and head == "new":
            logging.info("%s: a new classifier of %d classes", name, outputs.shape[-1])
    return model


def save_weights(model, path, *, dtype="float32", labels=None, clip_spec=None, about=None):
    """Writes a model's weights with all that `weights=path` needs to use them rightly.

    Args:
        model: A `ClipModel` such as `InceptionI3D`, trained or not.
        path: The file, by custom `*.h5`. It appears whole or not at all.
        dtype: `"float32"`, or `"float16"` for half the size.
        labels: Class names in order; by default the model's.
        clip_spec: How inputs are made; by default the model's.
        about: A JSON-ready dictionary of anything worth keeping.

    Raises:
        ValueError: If the number of labels is not that of the classes.
        WeightsError: If a value is not finite in `dtype`.

    Example:

    >>> ki3d.save_weights(ki3d.InceptionI3D(classes=2), folder / "mine.h5", labels=("sit", "stand"))
    >>> ki3d.InceptionI3D(weights=folder / "mine.h5").labels
    ('sit', 'stand')
    """
    write_checkpoint(
        path, checkpoint_of(model, labels=labels, clip_spec=clip_spec, about=about), dtype=dtype
    )


def checkpoint_of(model, *, labels=None, clip_spec=None, about=None):
    """The `Checkpoint` of a model; arguments as for `save_weights`."""
    labels = tuple(model.labels if labels is None else labels)
    arrays = {name: variable.numpy() for name, variable in named_variables(model).items()}
    bias = next((array for name, array in arrays.items() if name.endswith("0c_1x1/bias")), ())
    if labels and len(labels) != len(bias):
        raise ValueError(
            f"`labels` must name the model's {len(bias)} classes. Received: {len(labels)} labels"
        )
    info = WeightsInfo(
        model.architecture,
        len(model.input_shape) - 2,
        clip_spec or model.clip_spec,
        len(bias),
        labels,
        about or {},
    )
    return Checkpoint(info, arrays)
