"""`load_model`, `as_model`: the model of weights; `feature_model`: a model up to an activation."""

import difflib
import os
from collections.abc import Mapping

from kinetics_i3d.core.clip_spec import as_streams
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.types import Streams, Weights
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.layers import dtype_policy
from kinetics_i3d.models.pretrained import kind_of
from kinetics_i3d.models.systems import builder_of
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.weights import DEFAULT_WEIGHTS
from kinetics_i3d.weights.catalog import PAIRS
from kinetics_i3d.weights.read import resolve_weights


def load_model(weights: Weights | None = None, *, streams: Streams | None = None) -> ClipModel:
    """Builds the model that weights belong to, and loads them.

    Args:
        weights: A name in the catalog, of one stream or a pair; a path; or
            `{"rgb": ..., "flow": ...}`. By default `"rgb_kinetics400"`, which recognizes the 400
            actions of Kinetics; for flow, and for both streams, the weights that ship with the
            package.
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`: the streams that the model must read; one stream
            of a pair can be loaded alone. `None` accepts the streams of the weights.

    Returns:
        A `ClipModel` with its classifier, in float32, from clips (batch, frames, height, width,
        channels), or `{"rgb": ..., "flow": ...}` of these, to logits (batch, classes).

    Raises:
        ValueError: If `streams` is unknown, or `weights` is neither a name nor a path.
        WeightsError: If the weights cannot be read, do not belong to a video model, or read other
            streams.

    Example:

    >>> ki3d.load_model("rgb_figures").labels[:3]
    ('bow', 'clap', 'jump')
    """
    streams = None if streams is None else as_streams(streams)
    if weights is None:
        weights = DEFAULT_WEIGHTS[streams]
    if not isinstance(weights, (str, os.PathLike, Mapping)):
        raise ValueError(
            '`weights` must be a name, a path, or {"rgb": ..., "flow": ...} of such. '
            f"Received: {type(weights).__name__}"
        )
    with dtype_policy("float32"):
        return _load(weights, streams)


def _load(weights, streams):
    if isinstance(weights, str) and weights in PAIRS and streams and len(streams) == 1:
        weights = getattr(PAIRS[weights], streams[0])
    if isinstance(weights, Mapping) or weights in PAIRS:
        model = TwoStreamI3D(weights=weights)
    else:
        (source,) = resolve_weights(weights)  # rejects weights of images before a download
        checkpoint = source.read()
        if checkpoint.info.rank != 3:
            raise WeightsError(f"{checkpoint.path} holds a model of {kind_of(checkpoint.info)}")
        model = builder_of(checkpoint)(weights=checkpoint)
    if streams and tuple(model.clip_specs) != streams:
        raise WeightsError(
            f"{weights}: reads {' and '.join(model.clip_specs)}, must read {' and '.join(streams)}"
        )
    return model


def as_model(model: ClipModel | Weights, *, argument: str = "model") -> ClipModel:
    """The model itself, or the one that `load_model` builds for weights.

    Args:
        model: A `ClipModel`, or weights as `load_model` takes them.
        argument: Its name in the error.

    Raises:
        ValueError: If `model` is neither.

    Example:

    >>> as_model("rgb_figures").name
    'inception_i3d'
    """
    if isinstance(model, ClipModel):
        return model
    if isinstance(model, (str, os.PathLike, Mapping)):
        return load_model(model)
    raise ValueError(
        f"`{argument}` must be a ClipModel, such as InceptionI3D(), or the name or path of "
        f"weights. Received: {argument}={type(model).__name__}"
    )


def feature_model(model: ClipModel | Weights, endpoint: str) -> ClipModel:
    """Returns a model up to a named activation.

    Args:
        model: A `ClipModel` that has the activation, such as `InceptionI3D()`, or one of the
            `streams` of a larger one; or weights as `load_model` takes them.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"` or `"Conv3d_1a_7x7"`.

    Returns:
        A `ClipModel` from clips to that activation, (batch, frames', height', width', channels). It
        shares its layers with `model`.

    Raises:
        ValueError: If there is no such activation; the error lists similar names.

    Example:

    >>> middle = feature_model(ki3d.InceptionI3D(), "Mixed_4f")
    >>> middle.output_shape[-1]
    832
    """
    model = as_model(model)
    names = [layer.name for layer in model.layers if not hasattr(layer, "layers")]
    if endpoint not in names:
        near = difflib.get_close_matches(str(endpoint), names, n=3, cutoff=0.3)
        raise ValueError(
            f"`endpoint` must name an activation of {model.name}; similar names: {near}. "
            f"Received: endpoint={endpoint!r}"
        )
    # The backbone reads clips of any size; only the classifier has a minimum.
    top = "AvgPool_0a_7x7"
    in_backbone = top in names and names.index(endpoint) < names.index(top)
    return ClipModel(
        model.input,
        model.get_layer(endpoint).output,
        clip_spec=model.clip_specs,
        architecture=model.architecture,
        minimum=(1,) * len(model.minimum) if in_backbone else model.minimums,
        name=f"{model.name}_{endpoint}",
    )
