"""`Networks`: the weights that the page offers, each loaded when it is first used."""

import os
import pathlib

from absl import logging

from kinetics_i3d.core.errors import UserError, WeightsError
from kinetics_i3d.weights import DEFAULT_WEIGHTS
from kinetics_i3d.weights.read import fetch_weights

SHIPPED = ("rgb_kinetics_jhmdb", "kinetics_jhmdb", "rgb_figures")


class Networks:
    """Networks by their display names.

    Args:
        weights: Names in the catalog, or paths, each once. None is the default of `classify`, and
            the weights that ship with the package; the default is left out, with a warning, if it
            can be neither found nor downloaded.

    Raises:
        UserError: If an item is repeated.
        WeightsError: If weights are unknown or cannot be downloaded.
    """

    def __init__(self, weights=None):
        chosen = list(weights or (DEFAULT_WEIGHTS[None], *SHIPPED))
        if weights is None:
            try:
                fetch_weights(chosen[0])
            except WeightsError as error:
                logging.warning("%s; the page offers %s", error, ", ".join(SHIPPED))
                del chosen[0]
        self._weights = display_names(chosen)
        for name in chosen:
            fetch_weights(name, pairs=True)
        self._models = {}

    @property
    def names(self):
        """The names to choose from, the default first."""
        return list(self._weights)

    def weights(self, name):
        """The name in the catalog or the path of a choice; `UserError` for any other name."""
        if not isinstance(name, str) or name not in self._weights:
            raise UserError(f"unknown weights {name!r}; the page offers {', '.join(self._weights)}")
        return self._weights[name]

    def rgb_weights(self, name):
        """As `weights`, but for a pair the weights of rgb."""
        from kinetics_i3d.weights.catalog import PAIRS

        weights = self.weights(name)
        return PAIRS[weights].rgb if weights in PAIRS else weights

    def load(self, name):
        """The `ClipModel` of a choice; not thread-safe."""
        from kinetics_i3d.models.load import load_model

        weights = self.weights(name)
        if name not in self._models:
            self._models[name] = load_model(weights)
        return self._models[name]


def display_names(chosen):
    """{display name: weights}: a path with as many of its folders as distinguish it.

    Raises:
        UserError: If an item is repeated.

    Example:

    >>> list(display_names(["rgb_figures", "runs/kick/weights.h5", "runs/wave/weights.h5"]))
    ['rgb_figures', 'kick/weights.h5', 'wave/weights.h5']
    """
    paths = [pathlib.PurePath(os.path.normpath(weights)) for weights in chosen]
    if len({*paths}) < len(paths):
        raise UserError(f"--weights must not repeat a name. Received: {', '.join(chosen)}")
    names = {}
    for path, weights in zip(paths, chosen, strict=True):
        parts = len(path.parts)
        for count in range(1, parts + 1):
            ends = [other.parts[-count:] for other in paths]
            if ends.count(path.parts[-count:]) == 1 or count == parts:
                names["/".join(path.parts[-count:])] = weights
                break
    return names
