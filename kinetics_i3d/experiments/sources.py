"""`Sources`: the weights that `fixed` and `full` start from: those of earlier tables, or files.

Carreira & Zisserman, CVPR 2017, section 5.1: what was trained on Kinetics is carried to others.
"""

import dataclasses
import pathlib

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.experiments.cells import APART, BOTH, INITS
from kinetics_i3d.experiments.places import absolute, cell_folder
from kinetics_i3d.weights.catalog import PAIRS
from kinetics_i3d.weights.read import read_weights

# How the release's networks began; of other weights nobody knows.
BEGAN = {
    "rgb_imagenet_kinetics400": "imagenet",
    "flow_imagenet_kinetics400": "imagenet",
    "rgb_kinetics400": "scratch",
    "flow_kinetics400": "scratch",
    "rgb_kinetics600": "scratch",
}


class Sources:
    """What `--source` named.

    Args:
        names: Folders of earlier tables, names in the catalog, of pairs too, and paths of weights.

    Raises:
        WeightsError: If one is none of these, or two are of the same system, stream and start.

    Example:

    >>> from kinetics_i3d.experiments.cells import Cell
    >>> sources = Sources(["rgb_figures"])
    >>> sources.find(Cell("TwoStreamI3D", "rgb", "given", "full", 3))
    'rgb_figures'
    """

    def __init__(self, names=()):
        self.folders: list = []
        self.files: dict = {}
        for name in names:
            if pathlib.Path(name, "cells").is_dir():
                self.folders.append(pathlib.Path(name))
                continue
            for member in PAIRS[name].members if name in PAIRS else (name,):
                key = _key_of(member)
                if key in self.files:
                    raise WeightsError(
                        f"{member} and {self.files[key]}: both are weights of {' '.join(key)}; one "
                        "is needed"
                    )
                self.files[key] = absolute(member)

    def __bool__(self):
        return bool(self.folders or self.files)

    @property
    def inits(self):
        """How the networks of weights began that were named one by one, names in `INITS`."""
        return tuple(init for init in INITS if any(key[2] == init for key in self.files))

    def find(self, cell):
        """The weights that a cell starts from.

        Args:
            cell: A `Cell` that is trained, `fixed` or `full`.

        Returns:
            A name or path; `None` where there are none of its system, stream and start. Of earlier
            tables it is that of its seed, or, where one training has to do for several, of seed 0.
        """
        # Without weights of flow, those of frames are the start: training adapts the first kernel.
        streams = (cell.stream, "rgb") if cell.stream == "flow" else (cell.stream,)
        for stream in streams:
            named = self.files.get((cell.system, stream, cell.init))
            if named is not None:
                return named
        for folder in self.folders:
            for seed in (cell.seed, 0):
                before = dataclasses.replace(cell, transfer="original", seed=seed)
                path = cell_folder(folder, before) / "weights.h5"
                if path.is_file():
                    return absolute(path)
        return None


def _key_of(name):
    """(system, stream, init) of weights."""
    info = read_weights(name).info
    if info.rank != 3:
        raise WeightsError(
            f"{name}: of images; a source is weights of clips, and images' weights are for "
            "--imagenet"
        )
    streams = tuple(info.clip_specs)
    stream = streams[0] if len(streams) == 1 else BOTH
    system = info.system or APART
    if system == APART and stream == BOTH:
        raise WeightsError(f"{name}: both streams in one file; a source is one of each stream")
    return system, stream, BEGAN.get(str(name), "given")
