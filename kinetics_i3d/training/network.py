"""The network of a config: its system, its initial weights, and the layers that are trained.

Carreira & Zisserman, CVPR 2017, table 4: trained on the target videos alone ("original"), with
frozen features ("fixed"), or fine-tuned ("full").
"""

import re

import keras
from absl import logging

from kinetics_i3d.core.clip_spec import rate_ratio
from kinetics_i3d.models.inception_i3d import ARCHITECTURES
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.inflation import adapt_to_stream, inflate, start_from_images
from kinetics_i3d.models.layers import dtype_policy
from kinetics_i3d.models.pretrained import HEAD
from kinetics_i3d.models.systems import SYSTEMS, system_of
from kinetics_i3d.training.batch_norm import all_layers
from kinetics_i3d.training.config import check_choice
from kinetics_i3d.weights.assign import named_variables
from kinetics_i3d.weights.read import read_weights


def streams_of(config):
    """The streams of a config's network, rgb first.

    Raises:
        ValueError: If the system is unknown, or does not have `config.streams`.
    """
    check_choice("system", config.system, tuple(SYSTEMS))
    system = SYSTEMS[config.system]
    if system.reads_one:
        if len(config.streams) > 1:
            both = [row.name for row in SYSTEMS.values() if row.stream_system == system.name]
            raise ValueError(
                f"`streams` must be one of {system.streams} for {system.name}; "
                f"{' and '.join(both)} reads both. Received: streams={config.streams!r}"
            )
        return tuple(config.streams) or system.streams[:1]
    streams = system.streams
    if config.streams and set(config.streams) != set(streams):
        raise ValueError(
            f"`streams` must be {streams} for {config.system}. Received: streams={config.streams!r}"
        )
    return streams


def build(config, labels, *, weights_labels=None):
    """The network of a config, in its precision, with its frozen layers.

    Args:
        config: A `TrainConfig`.
        labels: Class names of the dataset.
        weights_labels: Class names of `config.weights`, if their file has none.

    Returns:
        A `ClipModel` that ends in logits, of all time steps if the system is trained on these.

    Raises:
        ValueError: If the config does not fit the network.
        WeightsError: If the weights do not fit.
    """
    with dtype_policy(config.precision):
        model = _begin(config, streams_of(config), len(labels))
    if weights_labels is not None and config.head == "keep" and config.weights is not None:
        if len(weights_labels) != model.output_shape[-1]:
            raise ValueError(
                f"`weights_labels` must name the {model.output_shape[-1]} classes of "
                f"{config.weights}. Received: {len(weights_labels)} names"
            )
        model.labels = tuple(weights_labels)
    if config.loss != "auto":
        model.activation = config.loss
    _check_network(model, config, labels)
    # A recipe freezes all modules of the paper's network; another backbone may lack some of them.
    row = ARCHITECTURES.get(model.architecture)
    modules = () if row is None else tuple(row.mixed)
    names = [*(layer.name for layer in all_layers(model)), *modules]
    unmatched = [
        prefix for prefix in config.freeze if not any(name.startswith(prefix) for name in names)
    ]
    if unmatched:
        raise ValueError(
            f"`freeze` must be prefixes of names of layers of {config.system}. These match no "
            f"layer: {', '.join(map(repr, unmatched))}"
        )
    for layer in all_layers(model):
        is_norm = isinstance(layer, keras.layers.BatchNormalization)
        if is_norm:
            layer.momentum = config.batch_norm_momentum
            layer.synchronized = config.synchronize_batch_norm
        if layer.name.startswith(tuple(config.freeze)) or (
            is_norm and config.batch_norm == "freeze"
        ):
            layer.trainable = False
    if config.transfer == "fixed":
        head = {id(v) for name, v in named_variables(model).items() if re.match(HEAD, name)}
        for layer in all_layers(model):
            layer.trainable = any(id(variable) in head for variable in layer.variables)
    return model


def builder_of(config):
    """The constructor of a config's system."""
    check_choice("system", config.system, tuple(SYSTEMS))
    return SYSTEMS[config.system].builder


def frames_of(config, model):
    """{stream: frames of a training clip}."""
    streams = model.clip_specs
    strides = {"rgb": config.stride if len(streams) > 1 else 1, "flow": 1}
    return {stream: -(-config.frames // strides[stream]) for stream in streams}


def per_stream_logits(model):
    """The network to train: the model, or its parts if the streams are trained separately.

    Returns:
        A functional model from clips to logits (batch, ...), or to a list of the logits of each
        stream, whose sum is the prediction.
    """
    # Separate streams are trained to predict alone; their sum is taken at test only.
    if not system_of(model).is_separate:
        return model
    return keras.Model(model.input, model.get_layer("Logits").input)


def reads_other_stream(config):
    """Whether the initial weights were trained on a different stream from the config's.

    The statistics of batch norm fit the config's stream only after they are measured on it.
    """
    if not SYSTEMS[config.system].reads_one or config.weights is None or not config.streams:
        return False
    spec = read_weights(config.weights).info.clip_spec
    return spec is not None and spec.stream != config.streams[0]


def _check_network(model, config, labels):
    """Raises `ValueError` if the clips or classes of a config do not fit its network."""
    if config.head == "keep" and config.weights is not None and model.labels != tuple(labels):
        raise ValueError(
            f"`head` must be 'new' if the labels of the weights, {_summary(model.labels)}, differ "
            f"from those of the videos, {_summary(labels)}. Received: head='keep'"
        )
    inputs = model.input if isinstance(model.input, dict) else {None: model.input}
    frames_by_stream = frames_of(config, model)
    for tensor, (stream, frames) in zip(inputs.values(), frames_by_stream.items(), strict=True):
        minimum = dict(zip(("frames", "size"), model.minimums[stream], strict=False))
        fixed = dict(zip(("frames", "size"), tensor.shape[1:3], strict=True))
        for field, value in (("frames", frames), ("size", config.size)):
            received = f"Received: {field}={getattr(config, field)!r}"
            if fixed[field] not in (None, value):
                raise ValueError(
                    f"`{field}` must be {fixed[field]} for {config.system}. {received}"
                )
            if value < minimum[field]:
                raise ValueError(
                    f"`{field}` must be at least {minimum[field]} for the {stream} stream of "
                    f"{config.system}. {received}"
                )
        if config.test_size != config.size and fixed["size"] is not None:
            raise ValueError(
                f"`test_size` must be {fixed['size']} for {config.system}. "
                f"Received: test_size={config.test_size!r}"
            )
    if len(model.clip_specs) > 1 and config.frames % config.stride:
        raise ValueError(
            f"`frames` must be a multiple of stride={config.stride} for {config.system}. "
            f"Received: frames={config.frames!r}"
        )


def _begin(config, streams, classes):
    """The network with its initial weights."""
    specs = config.specs(streams)
    settings: dict = {"classes": classes, "dropout": config.dropout}
    system = SYSTEMS[config.system]
    if system.loss == "all steps":
        settings["all_steps"] = True
    if system.reads_one and config.inflate is not None:
        return inflate(
            InceptionV1(weights=config.inflate, architecture=config.architecture),
            classes=classes,
            temporal=config.temporal,
            clip_spec=specs[streams[0]],
            dropout=config.dropout,
        )
    if system.reads_one and config.weights is None:
        settings["input_shape"] = (None, None, None, specs[streams[0]].channels)
    if config.weights is not None and config.head == "new":
        settings["head"] = "new"
    if config.weights is not None and config.head == "keep":
        del settings["classes"]
    weights = config.weights
    if system.reads_one and weights is not None and config.streams:
        weights = _weights_of_stream(weights, streams[0])
    model = builder_of(config)(weights=weights, architecture=config.architecture, **settings)
    if config.weights is not None and tuple(model.clip_specs) != streams:
        raise ValueError(
            f"`streams` must be {tuple(model.clip_specs)} for weights={config.weights!r}. "
            f"Received: streams={config.streams!r}"
        )
    rates = {stream: spec.fps for stream, spec in model.clip_specs.items()}
    if len(streams) > 1 and rate_ratio(rates["flow"], rates["rgb"]) != config.stride:
        raise ValueError(
            f"`stride` must be {rates['flow'] / rates['rgb']:g} for {config.system}. "
            f"Received: stride={config.stride!r}"
        )
    model.clip_specs = specs
    if config.inflate is not None:
        images = InceptionV1(weights=config.inflate, architecture=config.architecture)
        start_from_images(model, images, temporal=config.temporal)
    return model


def _weights_of_stream(weights, stream):
    """The `Checkpoint` of weights, adapted if they were trained on the other stream."""
    checkpoint = read_weights(weights)
    spec = checkpoint.info.clip_spec
    if spec is None or spec.stream == stream:
        return checkpoint
    logging.info(
        "%s: trained on %s; its first kernel is averaged over the input channels to read %s",
        weights,
        spec.stream,
        stream,
    )
    return adapt_to_stream(checkpoint, stream)


def _summary(labels):
    names = ", ".join(labels[:3])
    return f"{len(labels)} ({names}{', ...' if len(labels) > 3 else ''})"
