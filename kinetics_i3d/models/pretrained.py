"""Models from weights and back: `resolve` and `assemble` for `weights=`, and `save_weights`."""

import dataclasses
import difflib
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import ClipSpec, as_spec
from kinetics_i3d.core.errors import WeightsError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.types import Labels, PathLike, check_count, check_path, check_strings
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.layers import BATCH_NORM_MOMENTUM, set_batch_norm_momentum
from kinetics_i3d.models.streams import check_stream_specs
from kinetics_i3d.weights.assign import assign, named_variables
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo, write_checkpoint
from kinetics_i3d.weights.read import read_weights
from kinetics_i3d.weights.readers.safetensors import write_safetensors

# Names of the classifier's variables, of each stream if there are two.
HEAD = r"((rgb|flow)/)?(Conv[23]d_0c_1x1|Classifier)/"


def resolve(weights, architecture, rows, default, *, rank, system=None):
    """Reads `weights` and determines the architecture.

    Args:
        weights: A catalog name, a path, a `Checkpoint`, or `None`.
        architecture: A name in `rows`, an `Architecture`, or `None` for that of the weights or, if
            there are none, `default`.
        rows: Known architectures by name.
        default: The `Architecture` without weights.
        rank: 2 or 3, the rank of the model to build.
        system: Name of the constructor; `None` for `InceptionV1` and `InceptionI3D`.

    Returns:
        (`Architecture`, `WeightsInfo`, `Checkpoint` or `None`).

    Raises:
        ValueError: If `architecture` is unknown or not that of the weights.
        WeightsError: If the weights cannot be read or belong to a model of another kind.
    """
    checkpoint = weights
    if not (weights is None or isinstance(weights, Checkpoint)):
        checkpoint = read_weights(weights, images=rank == 2)
    if checkpoint is not None and (checkpoint.info.rank, checkpoint.info.system) != (rank, system):
        raise WeightsError(f"{checkpoint.path} holds a model of {kind_of(checkpoint.info)}")
    stored = checkpoint.info.architecture if checkpoint else None
    if architecture is None and stored is not None and stored not in rows:
        raise WeightsError(
            f"{checkpoint.path}: unknown architecture {stored!r}; "
            "pass the Architecture that it was trained with"
        )
    if architecture is None:
        architecture = stored or default
    if not isinstance(architecture, type(default)):
        if architecture not in rows:
            near = difflib.get_close_matches(str(architecture), rows, n=3, cutoff=0) or list(rows)
            raise ValueError(
                f"`architecture` must be one of {sorted(rows)}, or an {type(default).__name__}; "
                f"similar: {near[0]!r}. Received: architecture={architecture!r}"
            )
        architecture = rows[architecture]
    if checkpoint is None:
        info = WeightsInfo(architecture.name, rank, architecture.clip_spec, system=system)
        return architecture, info, None
    if stored not in (None, architecture.name):
        raise ValueError(
            f"`architecture` must be {stored!r} for {checkpoint.path}. "
            f"Received: architecture={architecture.name!r}"
        )
    info = dataclasses.replace(checkpoint.info, architecture=architecture.name)
    if info.clip_spec is None:  # a file of variables only
        name = f"Conv{rank}d_1a_7x7_conv/kernel"
        if np.ndim(checkpoint.arrays.get(name)) != rank + 2:
            raise WeightsError(f"{checkpoint.path}: has no kernel {name} of {rank + 2} axes")
        first = checkpoint.arrays[name]
        stream = "flow" if first.shape[-2] == 2 else "rgb"
        spec = dataclasses.replace(architecture.clip_spec, stream=stream)
        info = dataclasses.replace(info, clip_spec=spec)
    return architecture, info, checkpoint


def sampled(resolved, spec, flow_spec=None):
    """The result of `resolve`, with these specs if there are no weights.

    Args:
        resolved: The result of `resolve`.
        spec: The `ClipSpec` of the only stream, or of rgb.
        flow_spec: That of flow, for two streams.

    Returns:
        As from `resolve`.
    """
    row, info, checkpoint = resolved
    if checkpoint is None:
        info = dataclasses.replace(info, clip_spec=spec, flow_spec=flow_spec)
    return row, info, checkpoint


def kind_of(info):
    """Describes the inputs and the builder of a model with this `WeightsInfo`."""
    if info.system is not None:
        return f"another kind ({info.system})"
    return {2: "images (InceptionV1); inflate it first", 3: "clips (InceptionI3D)"}[info.rank]


def class_count(classes, info, default):
    """The number of classes: that of the caller, else that of the weights, else the default.

    Args:
        classes: The argument of a constructor, or `None`.
        info: The `WeightsInfo` from `resolve`.
        default: For a model without weights.

    Raises:
        ValueError: If `classes` is not a whole number above 0.
    """
    return (info.classes or default) if classes is None else check_count("classes", classes)


def check_head(head):
    """Raises `ValueError` unless `head` is `None` or `"new"`."""
    if head not in (None, "new"):
        raise ValueError(f"`head` must be None or 'new'. Received: head={head!r}")


def assemble(
    inputs,
    outputs,
    resolved,
    *,
    include_top,
    minimum,
    name,
    head=None,
    batch_norm_momentum=BATCH_NORM_MOMENTUM,
):
    """Builds the model between two Keras tensors and assigns the arrays of its checkpoint.

    Args:
        inputs: Keras tensor of images or clips.
        outputs: Keras tensor of logits, predictions or features.
        resolved: The result of `resolve`.
        include_top: Whether `outputs` come from the classifier.
        minimum: The minimum size of an input; for two streams `{stream: ...}`.
        name: The model's name.
        head: `"new"` ignores the classifier of the checkpoint.
        batch_norm_momentum: Decay of batch norm's moving statistics.

    Returns:
        A `ClipModel`.

    Raises:
        ValueError: If `batch_norm_momentum` is out of range.
        WeightsError: If the arrays do not match the model.
    """
    row, info, checkpoint = resolved
    named = include_top and head is None and outputs.shape[-1] == len(info.labels)
    model = ClipModel(
        inputs,
        outputs,
        clip_spec=info.clip_specs,
        labels=info.labels if named else (),
        architecture=row.name,
        minimum=minimum,
        system=info.system,
        activation=info.activation if include_top and head is None else "softmax",
        name=name,
    )
    set_batch_norm_momentum(model, batch_norm_momentum)
    if checkpoint is not None:
        if include_top and head is None and outputs.shape[-1] != info.classes:
            raise WeightsError(
                f"{checkpoint.path} has {info.classes or 'no'} classes, not {outputs.shape[-1]}; "
                "use head='new' for a randomly initialized classifier on its backbone, or "
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


def save_weights(
    model: ClipModel,
    path: PathLike,
    *,
    dtype: str = "float32",
    labels: Labels | None = None,
    clip_spec: ClipSpec | str | Mapping[str, ClipSpec | str] | None = None,
    about: Mapping[str, Any] | None = None,
) -> None:
    """Saves the weights of a model with its labels and its preprocessing.

    Args:
        model: A `ClipModel` such as `InceptionI3D`, trained or not.
        path: The file, written atomically. Its suffix is its format: `*.h5`, the format of this
            package; `*.keras`, a whole model for `keras.models.load_model`; or `*.safetensors`.
            `convert` writes the formats that hold neither labels nor specs.
        dtype: `"float32"`, or `"float16"` for half the size of an `*.h5`.
        labels: Class names in order; by default the model's.
        clip_spec: Preprocessing, a `ClipSpec` or its name, such as `"deepmind"`; for two streams
            `{stream: ClipSpec}`; by default the model's.
        about: A dictionary of further information that JSON can hold, NumPy's numbers included; not
            for `*.keras`.

    Raises:
        ValueError: If `model` is not a `ClipModel`, the number of labels is not the number of
            classes, `dtype` is another one, or the format of `path` is unknown or cannot hold the
            arguments, such as an `about` that is not JSON-serializable.
        WeightsError: If a value is not finite in `dtype`.

    Example:

    >>> ki3d.save_weights(ki3d.InceptionI3D(classes=2), folder / "mine.h5", labels=("sit", "stand"))
    >>> ki3d.InceptionI3D(weights=folder / "mine.h5").labels
    ('sit', 'stand')
    """
    if not isinstance(model, ClipModel):
        raise ValueError(
            "`model` must be a ClipModel, such as InceptionI3D(); other Keras models have save(). "
            f"Received: model={model!r}"
        )
    to = _format_of(check_path("path", path))
    if str(dtype) not in ("float32", "float16"):
        raise ValueError(f"`dtype` must be 'float32' or 'float16'. Received: dtype={dtype!r}")
    checkpoint = checkpoint_of(model, labels=labels, clip_spec=clip_spec, about=about)
    if to == "h5":
        write_checkpoint(path, checkpoint, dtype=dtype)
        return
    if dtype != "float32":
        raise ValueError(f"`dtype` must be 'float32' in a {to} file. Received: dtype={dtype!r}")
    for name, array in checkpoint.arrays.items():
        if not np.isfinite(array).all():
            raise WeightsError(f"{path}: {name} has values that are not finite")
    if to == "safetensors":
        metadata = {"kinetics_i3d": checkpoint.info.to_json()}
        with atomic_path(path) as temporary:
            write_safetensors(temporary, checkpoint.arrays, metadata=metadata)
        return
    if about is not None:
        raise ValueError(f"`about` must be None in a keras file. Received: about={about!r}")
    saved = model.copy_with(model.input, model.output, architecture=model.architecture)
    saved.labels = checkpoint.info.labels
    specs = model.clip_specs
    try:
        # Also those of the networks inside, which both models share.
        saved.clip_specs = checkpoint.info.clip_specs
        with atomic_path(path) as temporary:
            saved.save(temporary)
    finally:
        saved.clip_specs = specs


def _format_of(path):
    """`"h5"`, `"keras"` or `"safetensors"`, by the suffix of a path; `"h5"` without a suffix."""
    suffixes = [suffix.lower() for suffix in pathlib.Path(path).suffixes[-2:]]
    last = suffixes[-1] if suffixes else ".h5"
    formats = {".h5": "h5", ".hdf5": "h5", ".keras": "keras", ".safetensors": "safetensors"}
    if suffixes == [".weights", ".h5"] or last in (".pt", ".pth"):
        raise ValueError(
            "`path` must end in .h5, .keras or .safetensors, which keep labels and specs; "
            f"convert() writes other formats from one of these. Received: path={str(path)!r}"
        )
    if last not in formats:
        raise ValueError(
            f"`path` must end in .h5, .keras or .safetensors. Received: path={str(path)!r}"
        )
    return formats[last]


def check_about(about):
    """`about` as it is read back from JSON; NumPy's numbers and arrays become Python's.

    Args:
        about: As for `save_weights`; `None` is `{}`.

    Raises:
        ValueError: If it is not a dictionary, or not JSON-serializable.

    Example:

    >>> check_about({"top1": np.float32(0.5)})
    {'top1': 0.5}
    """
    about = {} if about is None else about
    if not isinstance(about, Mapping):
        raise ValueError(f"`about` must be a dictionary. Received: about={about!r}")
    about = dict(about)
    try:
        return json.loads(json.dumps(about, default=lambda value: value.tolist()))
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"`about` must be JSON-serializable ({first_line(error)}). Received: about={about!r}"
        ) from error


def checkpoint_of(model, *, labels=None, clip_spec=None, about=None):
    """The `Checkpoint` of a model; arguments as for `save_weights`."""
    labels = model.labels if labels is None else check_strings("labels", labels, of="class names")
    specs = model.clip_specs if clip_spec is None else clip_spec
    if isinstance(specs, Mapping):
        specs = {
            stream: as_spec(spec, argument="clip_spec") if isinstance(spec, str) else spec
            for stream, spec in specs.items()
        }
    else:
        spec = as_spec(specs, argument="clip_spec")
        specs = {spec.stream: spec}
    specs = check_stream_specs(specs)
    if len(specs) != len(model.clip_specs):
        raise ValueError(
            f"`clip_spec` must be {{stream: ClipSpec}} of {list(model.clip_specs)}. "
            f"Received: clip_spec={clip_spec!r}"
        )
    for stream, spec in specs.items():
        clips = model.input[stream] if isinstance(model.input, dict) else model.input
        # A network of other channels than those of a stream has no spec of its own.
        is_wrong = spec.channels != clips.shape[-1]
        if is_wrong and (clip_spec is not None or clips.shape[-1] in (2, 3)):
            raise ValueError(
                f"`clip_spec` must be of a stream of {clips.shape[-1]} channels. "
                f"Received: {spec.name!r} of {stream}, {spec.channels} channels"
            )
    arrays = {name: variable.numpy() for name, variable in named_variables(model).items()}
    bias = next((array for name, array in arrays.items() if re.match(f"{HEAD}bias", name)), ())
    if labels and len(labels) != len(bias):
        raise ValueError(
            f"`labels` must name the model's {len(bias)} classes. Received: {len(labels)} labels"
        )
    spec, flow_spec = (*specs.values(), None)[:2]
    beside = model.streams["flow"].architecture if flow_spec else model.architecture
    info = WeightsInfo(
        model.architecture,
        len(model.minimum),
        spec,
        len(bias),
        labels,
        check_about(about),
        system=model.system,
        flow_spec=flow_spec,
        flow_architecture=None if beside == model.architecture else beside,
        activation=model.activation,
    )
    info.check()
    return Checkpoint(info, arrays)
