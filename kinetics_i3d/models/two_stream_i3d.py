"""Two-Stream I3D, the paper's system (e): one I3D reads frames, one optical flow, logits are added.

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
    """Builds two I3Ds, one of frames and one of optical flow, whose logits are added.

    Args:
        include_top: Whether to end in the sum of both classifiers. Without it both features are
            joined, rgb first.
        weights: The name of a pair in the catalog, such as `"imagenet_kinetics400"`; the weights of
            each stream, `{"rgb": ..., "flow": ...}`, as `InceptionI3D` takes them; the path of one
            file of both; or `None` for random values.
        input_shape: `{"rgb": (frames, height, width, 3), "flow": (frames, height, width, 2)}`; any
            of the first three may be `None`, as they are by default.
        pooling: Without the top: `None` gives the grids of `Mixed_5c`, `"avg"` or `"max"` a vector.
        classes: Number of classes; by default what the weights have, or 400.
        dropout: Rate before both classifiers, 0 to 1, in training.
        classifier_activation: `None` gives the sum of the logits, `"softmax"` its probabilities.
        architecture: A name in `ARCHITECTURES`, or an `Architecture`, of both streams; by default
            what the weights have, or `"inception_v1"`.
        head: `"new"` puts classifiers of random values in the place of the weights' own.
        batch_norm_momentum: Decay of batch norm's moving statistics, 0 to 1. The paper's 0.999
            needs thousands of steps of `fit` to forget where it began; take 0.9 to 0.99 to train
            from random values, or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from `{"rgb": (batch, frames, height, width, 3), "flow": (batch, frames,
        height, width, 2)}`, each in the range of its spec in `model.clip_specs`, to (batch,
        classes), (batch, 2048) or (batch, frames/8, height/32, width/32, 2048). Its streams are
        `InceptionI3D`s, `model.streams["rgb"]` and `model.streams["flow"]`.

    Raises:
        ValueError: If an argument is outside what is allowed or contradicts the weights.
        WeightsError: If the weights are unknown, damaged, do not fit, or those of the streams
            differ in their classes or their frames a second.

    Example:

    >>> model = ki3d.TwoStreamI3D(architecture="inception_v1_quarter", classes=21)
    >>> clips = {"rgb": np.zeros((1, 9, 64, 64, 3)), "flow": np.zeros((1, 9, 64, 64, 2))}
    >>> model.predict(clips, verbose=0).shape
    (1, 21)

    Source: Carreira & Zisserman, CVPR 2017, figure 2e.
    """
    members = read_members(weights)
    shapes = stream_shapes(input_shape)
    for stream, member in members.items():
        check_stream(stream, member)
    streams = {
        stream: InceptionI3D(
            include_top=include_top,
            weights=members[stream],
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
    check_members(streams, members)

    activation = classifier_activation
    return joined(streams, shapes, top=include_top, activation=activation, name=name)


def joined(streams, shapes, *, top=True, activation=None, name):
    """One model of two networks, whose outputs are added, or set side by side.

    Args:
        streams: {stream: `ClipModel`}, each called `<stream>_stream`.
        shapes: {stream: (frames, height, width, channels)}, as `stream_shapes` gives.
        top: Whether they end in logits, which are added; else their features are joined.
        activation: What follows the sum, or `None`.
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


def read_members(weights):
    """Reads the weights of both streams.

    Args:
        weights: As `TwoStreamI3D` takes them, or a `Checkpoint` of both.

    Returns:
        {stream: `Checkpoint`}, or {stream: `None`} where `weights` is `None`.

    Raises:
        ValueError: If a dictionary has not the keys `"rgb"` and `"flow"`, or one of them is `None`.
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
                f"{entry.name}: one stream, where two are wanted; take {' or '.join(PAIRS)}, or "
                f"{{'rgb': ..., 'flow': ...}} ({entry.clip_spec.stream} is this one)"
            )
        checkpoint = sources[0].read()
    if checkpoint.info.system != SYSTEM:
        raise WeightsError(
            f"{checkpoint.path} holds a model of {kind_of(checkpoint.info)}, not of two streams; "
            "take {'rgb': ..., 'flow': ...} for a file of each"
        )
    return split_streams(checkpoint)


def _read(weights):
    return weights if isinstance(weights, Checkpoint) else read_weights(weights)


def split_streams(checkpoint):
    """Parts the `Checkpoint` of a `TwoStreamI3D` into those of two `InceptionI3D`s, by stream.

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
    strangers = []
    for full_name, array in checkpoint.arrays.items():
        stream, _, name = full_name.partition("/")
        if stream in arrays:
            arrays[stream][name] = array
        else:
            strangers.append(full_name)
    if strangers or flow_info.clip_spec is None:
        raise WeightsError(
            f"{checkpoint.path} is not a whole file of two streams; of no stream: {strangers}, "
            f"flow's spec: {flow_info.clip_spec}"
        )
    return {
        "rgb": Checkpoint(info, arrays["rgb"], checkpoint.path),
        "flow": Checkpoint(flow_info, arrays["flow"], checkpoint.path),
    }


def check_stream(stream, member):
    """Raises `WeightsError` where a `Checkpoint` says that it is of another stream."""
    spec = None if member is None else member.info.clip_spec
    if spec is not None and spec.stream != stream:
        raise WeightsError(
            f"{member.path}: reads {spec.stream} clips, and was given for the {stream} stream"
        )


def check_members(streams, members):
    """Raises `WeightsError` where the weights of two streams do not belong together.

    Args:
        streams: {stream: `InceptionI3D`}.
        members: {stream: `Checkpoint` or `None`} that they were built from.

    Raises:
        WeightsError: With the first field that differs and both values.
    """
    paths = {stream: member.path for stream, member in members.items() if member is not None}
    rgb, flow = streams.values()
    pairs = {
        "fps": (rgb.clip_spec.fps, flow.clip_spec.fps),
        "classes": (rgb.output_shape[-1], flow.output_shape[-1]),
        "labels": (rgb.labels, flow.labels),
        "activation": (rgb.activation, flow.activation),
    }
    for field, (of_rgb, of_flow) in pairs.items():
        if of_rgb != of_flow:
            raise WeightsError(
                f"{paths.get('rgb')} and {paths.get('flow')} must agree on {field}, to see one "
                f"video and name one list of actions; rgb has {of_rgb!r}, flow {of_flow!r}"
            )
