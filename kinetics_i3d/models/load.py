"""`load_model`: the model that weights belong to, whichever system of the paper it is."""

import os
from collections.abc import Mapping

import keras

from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.types import Weights
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import kind_of
from kinetics_i3d.models.systems import SYSTEMS
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.weights.catalog import PAIRS, image_weights_message
from kinetics_i3d.weights.defaults import DEFAULT_WEIGHTS
from kinetics_i3d.weights.images import find_image_row
from kinetics_i3d.weights.read import read_weights

WANTED = {None: (), "rgb": ("rgb",), "flow": ("flow",), "both": STREAMS}


def load_model(weights: Weights | None = None, *, streams: str | None = None) -> ClipModel:
    """Builds the model of weights that say themselves what they are the weights of.

    Args:
        weights: A name in the catalog, of a pair too; a path; or `{"rgb": ..., "flow": ...}`. By
            default `rgb_kinetics400`, which tells the 400 actions of Kinetics apart; of flow, and
            of both streams, the weights that ship with the package.
        streams: `"rgb"`, `"flow"` or `"both"`, where it matters which; one of a pair is then taken
            alone. None takes what the weights read.

    Returns:
        A `ClipModel` with its top.

    Raises:
        ValueError: If `streams` is unknown.
        WeightsError: If the weights cannot be read, belong to no model of clips, or read other
            streams.

    Example:

    >>> ki3d.load_model("rgb_figures").labels[:3]
    ('bow', 'clap', 'jump')
    """
    if streams not in WANTED:
        raise ValueError(f"`streams` must be one of {(*WANTED,)}. Received: streams={streams!r}")
    if weights is None:
        weights = DEFAULT_WEIGHTS[streams]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return _load(weights, streams)
    finally:
        keras.config.set_dtype_policy(before)


def _load(weights, streams):
    row = find_image_row(weights)
    if row is not None:
        raise WeightsError(image_weights_message(row))  # before anything is downloaded
    pair = None if isinstance(weights, Mapping) else PAIRS.get(weights)
    if pair is not None and streams in STREAMS:
        weights, pair = getattr(pair, streams), None
    if pair is not None or isinstance(weights, Mapping):
        model = TwoStreamI3D(weights=weights)
    else:
        model = _of_file(read_weights(weights))
    wanted = WANTED[streams]
    if wanted and tuple(model.clip_specs) != wanted:
        raise WeightsError(
            f"{weights}: reads {' and '.join(model.clip_specs)}, where {' and '.join(wanted)} "
            f"{'are' if len(wanted) > 1 else 'is'} wanted"
        )
    return model


def _of_file(checkpoint):
    if checkpoint.info.rank != 3:
        raise WeightsError(f"{checkpoint.path} holds a model of {kind_of(checkpoint.info)}")
    system = checkpoint.info.system
    if system is None:
        return InceptionI3D(weights=checkpoint)
    if system not in SYSTEMS:
        raise WeightsError(f"{checkpoint.path}: unknown system {system!r}")
    return SYSTEMS[system].builder(weights=checkpoint)


def as_model(model: ClipModel | Weights) -> ClipModel:
    """The model that a function was given, or that of the weights that it was given.

    Args:
        model: A `ClipModel`, or weights as `load_model` takes them.

    Returns:
        A `ClipModel`.

    Raises:
        ValueError: If it is neither.
        WeightsError: As `load_model`.

    Example:

    >>> as_model("rgb_figures").name
    'inception_i3d'
    """
    if isinstance(model, ClipModel):
        return model
    if isinstance(model, (str, os.PathLike, Mapping)):
        return load_model(model)
    raise ValueError(
        "`model` must be a ClipModel, such as InceptionI3D(), or the name or path of weights. "
        f"Received: model={type(model).__name__}"
    )
