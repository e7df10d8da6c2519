"""`spec_of_weights`: how clips are made for some weights, as far as can be without reading them."""

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H
from kinetics_i3d.weights.catalog import CATALOG, find_weights
from kinetics_i3d.weights.checkpoint import read_info
from kinetics_i3d.weights.foreign import read_foreign
from kinetics_i3d.weights.inception5h import is_inception5h


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
    if weights in CATALOG:
        return CATALOG[weights].clip_spec
    path = find_weights(weights)
    if is_inception5h(path):
        return INCEPTION5H
    info = read_info(path) or read_foreign(path).info
    return info.clip_spec or DEEPMIND
