"""`spec_of_weights`: how clips are made for some weights, as far as can be without reading them."""

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.weights.read import resolve_weights


def spec_of_weights(weights):
    """Finds the `ClipSpec` of weights in the catalog, in a checkpoint's header, or in a file.

    Args:
        weights: A name in `CATALOG`, or a path to weights of any known kind.

    Returns:
        A `ClipSpec`; the release's where a file does not say.

    Raises:
        WeightsError: If the weights are unknown, or cannot be read.

    Example:

    >>> spec_of_weights("rgb_figures").fps
    12.5
    """
    (source,) = resolve_weights(weights)
    return source.info().clip_spec or DEEPMIND
