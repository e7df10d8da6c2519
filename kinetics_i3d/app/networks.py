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
        weights: Names in the catalog, or paths. None is the default of `classify`, and the weights
            that ship with the package; the default is left out, with a warning, if it can be
            neither found nor downloaded.

    Raises:
        UserError: If two items have the same display name.
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
        self._weights = {display_name(name): name for name in chosen}
        if len(self._weights) < len(chosen):
            raise UserError(f"weights must have different names. Received: {', '.join(chosen)}")
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


def display_name(weights):
    """The display name of weights: a path without its folders.

    Example:

    >>> display_name("runs/kick/weights.h5")
    'weights.h5'
    """
    return pathlib.PurePath(os.fspath(weights)).name
