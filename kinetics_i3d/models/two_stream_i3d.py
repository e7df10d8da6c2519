"""Two-Stream I3D, the paper's system (e): one I3D on frames, one on optical flow, logits added.

Carreira & Zisserman, CVPR 2017, section 2.4; the release adds the logits with equal weight.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import keras
from keras import layers

from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.types import Shapes, Weights
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import kind_of
from kinetics_i3d.models.streams import stream_shapes
from kinetics_i3d.weights.catalog import PAIRS
from kinetics_i3d.weights.checkpoint import Checkpoint
from kinetics_i3d.weights.read import read_weights, resolve_weights

SYSTEM = "TwoStreamI3D"


def TwoStreamI3D(
    *,
    include_top: bool = True,
    weights: Weights | None = None,
    input_shape: Shapes | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    dropout: float = 0.5,
    classifier_activation: str | Callable[..., Any] | None = None,
    architecture: str | None = None,
    head: str | None = None,
    batch_norm_momentum: float = 0.999,
    name: str = "two_stream_i3d",
) -> ClipModel:
    """Instantiates two I3Ds, one on frames and one on optical flow, whose logits are added.

    Args:
        include_top: Whether to end in the sum of both classifiers' logits; otherwise the features
            of both streams are concatenated, rgb first.
        weights: The name of a pair in the catalog, such as `"imagenet_kinetics400"`; the weights of
            each stream, `{"rgb": ..., "flow": ...}`, as `InceptionI3D` takes them; the path of a
            file with both; or `None` for random initialization.
        input_shape: `{"rgb": (frames, height, width, 3), "flow": (frames, height, width, 2)}`; any
            of the first three may be `None`, as they are by default.
        pooling: Without the top: `None` gives the grids of `Mixed_5c`, `"avg"` or `"max"` a vector.
        classes: Number of classes; by default that of the weights, or 400.
        dropout: Dropout rate before both classifiers, 0 to 1, in training.
        classifier_activation: `None` gives the sum of the logits, `"softmax"` its probabilities.
        architecture: A name in `ARCHITECTURES`, or an `Architecture`, of both streams; by default
            that of the weights, or `"inception_v1"`.
        head: `"new"` replaces the classifiers of the weights with randomly initialized ones.
        batch_norm_momentum: Decay of batch norm's moving statistics, in [0, 1). The paper's 0.999
            needs thousands of training steps to forget the initial statistics; use 0.9 to 0.99 to
            train from scratch or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from `{"rgb": (batch, frames, height, width, 3), "flow": (batch, frames,
        height, width, 2)}`, each in the range of its spec in `model.clip_specs`, to (batch,
        classes), (batch, 2048) or (batch, frames/8, height/32, width/32, 2048). Its streams are
        `InceptionI3D`s, `model.streams["rgb"]` and `model.streams["flow"]`.

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model, or if those of
            the streams differ in their classes or frame rates.

    Example:

    >>> model = ki3d.TwoStreamI3D(architecture="inception_v1_quarter", classes=21)
    >>> clips = {"rgb": np.zeros((1, 9, 64, 64, 3)), "flow": np.zeros((1, 9, 64, 64, 2))}
    >>> model.predict(clips, verbose=0).shape
    (1, 21)

    Source: Carreira & Zisserman, CVPR 2017, figure 2e.
    """
    checkpoints = _read_streams(weights)
    shapes = stream_shapes(input_shape)
    for stream, checkpoint in checkpoints.items():
        _check_stream(stream, checkpoint)
    streams = {
        stream: InceptionI3D(
            include_top=include_top,
            weights=checkpoints[stream],
            input_shape=shapes[stream],
            pooling=pooling,
            classes=classes,
            dropout=dropout,
            architecture=architecture,
            head=head,
            batch_norm_momentum=batch_norm_momentum,
            name=f"{stream}_stream",
        )
        for stream in STREAMS
    }
    if weights is None:
        streams["flow"].clip_spec = streams["rgb"].clip_spec.for_flow()
    _check_pair(streams, checkpoints, include_top=include_top)

    activation = classifier_activation
    return joined(streams, shapes, top=include_top, activation=activation, name=name)


def joined(streams, shapes, *, top=True, activation=None, name):
    """A model of two networks whose outputs are added or concatenated.

    Args:
        streams: {stream: `ClipModel`}, each called `<stream>_stream`.
        shapes: {stream: (frames, height, width, channels)}, as `stream_shapes` gives.
        top: Whether they end in logits, which are added; features are concatenated.
        activation: Activation of the sum, or `None`.
        name: The model's name.

    Returns:
        A `ClipModel`.
    """
    clips = {stream: keras.Input(shapes[stream], name=stream) for stream in STREAMS}
    outputs = [streams[stream](clips[stream]) for stream in STREAMS]
    if top:
        x = layers.Add(dtype="float32", name="Logits")(outputs)
        if activation is not None:
            x = layers.Activation(activation, dtype="float32", name="Predictions")(x)
    else:
        x = layers.Concatenate(name="features")(outputs)
    return ClipModel(
        clips,
        x,
        clip_spec={stream: streams[stream].clip_spec for stream in STREAMS},
        labels=streams["rgb"].labels,
        architecture=streams["rgb"].architecture,
        minimum={stream: streams[stream].minimum for stream in STREAMS},
        system=SYSTEM,
        activation=streams["rgb"].activation,
        name=name,
    )


def _read_streams(weights):
    """Reads the weights of both streams.

    Args:
        weights: As `TwoStreamI3D` takes them, or a `Checkpoint` of both.

    Returns:
        {stream: `Checkpoint`}, or {stream: `None`} if `weights` is `None`.

    Raises:
        ValueError: If a dictionary lacks `"rgb"` or `"flow"`, or a value is `None`.
        WeightsError: If the weights are unknown, damaged, or not of two streams.
    """
    if weights is None:
        return dict.fromkeys(STREAMS)
    if isinstance(weights, Mapping):
        if set(weights) != set(STREAMS) or None in weights.values():
            raise ValueError(
                "`weights` of two streams must be {'rgb': ..., 'flow': ...}. "
                f"Received: weights={dict(weights)!r}"
            )
        return {stream: _read(weights[stream]) for stream in STREAMS}
    if isinstance(weights, Checkpoint):
        checkpoint = weights
    else:
        sources = resolve_weights(weights, pairs=True)
        if len(sources) > 1:
            return dict(zip(STREAMS, (source.read() for source in sources), strict=True))
        entry = sources[0].entry
        if entry is not None:
            raise WeightsError(
                f"{entry.name}: weights of one stream, but two are needed; use "
                f"{' or '.join(PAIRS)}, or {{'rgb': ..., 'flow': ...}} (these are "
                f"{entry.clip_spec.stream})"
            )
        checkpoint = sources[0].read()
    if checkpoint.info.system != SYSTEM:
        raise WeightsError(
            f"{checkpoint.path} holds a model of {kind_of(checkpoint.info)}, not of two streams; "
            "use {'rgb': ..., 'flow': ...} for one file per stream"
        )
    return _split_streams(checkpoint)


def _read(weights):
    return weights if isinstance(weights, Checkpoint) else read_weights(weights)


def _split_streams(checkpoint):
    """Splits the `Checkpoint` of a `TwoStreamI3D` into {stream: that of an `InceptionI3D`}.

    Raises:
        WeightsError: If an array belongs to no stream.
    """
    info = dataclasses.replace(
        checkpoint.info, system=None, flow_spec=None, flow_architecture=None, about={}
    )
    flow_info = dataclasses.replace(
        info,
        clip_spec=checkpoint.info.flow_spec,
        architecture=checkpoint.info.flow_architecture or info.architecture,
    )
    arrays: dict[str, dict] = {stream: {} for stream in STREAMS}
    unknown = []
    for full_name, array in checkpoint.arrays.items():
        stream, _, name = full_name.partition("/")
        if stream in arrays:
            arrays[stream][name] = array
        else:
            unknown.append(full_name)
    if unknown or flow_info.clip_spec is None:
        raise WeightsError(
            f"{checkpoint.path} is not a complete file of two streams; arrays of no stream: "
            f"{unknown}, clip spec of flow: {flow_info.clip_spec}"
        )
    return {
        "rgb": Checkpoint(info, arrays["rgb"], checkpoint.path),
        "flow": Checkpoint(flow_info, arrays["flow"], checkpoint.path),
    }


def _check_stream(stream, checkpoint):
    """Raises `WeightsError` if a `Checkpoint` is of another stream."""
    spec = None if checkpoint is None else checkpoint.info.clip_spec
    if spec is not None and spec.stream != stream:
        raise WeightsError(
            f"{checkpoint.path}: reads {spec.stream} clips, but was passed for the {stream} stream"
        )


def _check_pair(streams, checkpoints, *, include_top):
    """Raises `WeightsError` if the weights of two streams do not belong together.

    Args:
        streams: {stream: `InceptionI3D`}.
        checkpoints: {stream: `Checkpoint` or `None`} that they were built from.
        include_top: Whether they end in classes, not features.

    Raises:
        WeightsError: With the first field that differs and both values.
    """
    paths = {stream: weights.path for stream, weights in checkpoints.items() if weights}
    rgb, flow = streams.values()
    pairs = {
        "fps": (rgb.clip_spec.fps, flow.clip_spec.fps),
        "classes": (rgb.output_shape[-1], flow.output_shape[-1]) if include_top else (0, 0),
        "labels": (rgb.labels, flow.labels),
        "activation": (rgb.activation, flow.activation),
    }
    for field, (of_rgb, of_flow) in pairs.items():
        if of_rgb != of_flow:
            raise WeightsError(
                f"{paths.get('rgb')} and {paths.get('flow')} must have the same {field}. "
                f"Received: {of_rgb!r} (rgb), {of_flow!r} (flow)"
            )
