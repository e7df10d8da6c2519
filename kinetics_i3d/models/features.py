"""`feature_model`: a model that ends in one of the paper's named activations."""

import difflib

from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.load import as_model


def feature_model(model: ClipModel, endpoint: str) -> ClipModel:
    """Cuts a model at a named activation.

    Args:
        model: A `ClipModel` with its trunk, such as `InceptionI3D()`, one of the `streams` of a
            larger one, or weights as `load_model` takes them.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"` or `"Conv3d_1a_7x7"`.

    Returns:
        A `ClipModel` from clips to that activation, (batch, frames', height', width', channels). It
        shares its layers with `model`.

    Raises:
        ValueError: If there is no such activation; near names are listed.

    Example:

    >>> middle = feature_model(ki3d.InceptionI3D(), "Mixed_4f")
    >>> middle.output_shape[-1]
    832
    """
    model = as_model(model)
    names = [layer.name for layer in model.layers if not hasattr(layer, "layers")]
    if endpoint not in names:
        near = difflib.get_close_matches(endpoint, names, n=3, cutoff=0.3)
        raise ValueError(
            f"`endpoint` must name an activation of {model.name}; near: {near}. "
            f"Received: endpoint={endpoint!r}"
        )
    # The trunk reads clips of any size; the top is what needs more.
    top = "AvgPool_0a_7x7"
    is_trunk = top in names and names.index(endpoint) < names.index(top)
    return ClipModel(
        model.input,
        model.get_layer(endpoint).output,
        clip_spec=model.clip_specs,
        architecture=model.architecture,
        minimum=(1,) * len(model.minimum) if is_trunk else model.minimums,
        name=f"{model.name}_{endpoint}",
    )
