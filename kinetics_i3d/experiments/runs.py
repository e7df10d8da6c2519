"""`Cell`: one number of the paper's tables: a system, its stream, its start, a mode and a seed.

Carreira & Zisserman, CVPR 2017, tables 2 to 5.
"""

import dataclasses
import fnmatch
import os
import pathlib

from kinetics_i3d.weights.read import find_entry

BOTH = "both"
# Where a network's first values come from. `given` are weights that were named one by one.
INITS = {
    "scratch": "from scratch",
    "frames": "single frames first",
    "imagenet": "ImageNet first",
    "given": "given weights",
}
IMAGES = ("frames", "imagenet")  # starts that only an Inception-V1 can have
TRANSFERS = {"original": "Original", "fixed": "Fixed", "full": "Full-FT"}


def run_streams(system):
    """What is trained of a `System`, and of separate streams also their sum."""
    if system.is_separate:
        return (*system.streams, BOTH)
    # Other systems of two streams are one network: a stream is not trained alone.
    return (BOTH,) if len(system.streams) > 1 else system.streams


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run, or the sum of two.

    Args:
        system: A name in `paper_systems()`.
        stream: `"rgb"`, `"flow"` or `"both"`.
        init: A name in `INITS`; where the network starts from another's weights, how that began.
        transfer: A name in `TRANSFERS`.
        seed: Of everything random.

    Example:

    >>> Cell("C3D", "rgb", "scratch", "original", 0).name
    'C3D.rgb.scratch.original.0'
    """

    system: str
    stream: str
    init: str
    transfer: str
    seed: int

    @property
    def name(self):
        """The name of its folder."""
        return ".".join(map(str, dataclasses.astuple(self)))

    @property
    def group(self):
        """(system, stream, init, transfer): what its seeds share."""
        return (self.system, self.stream, self.init, self.transfer)

    @property
    def parts(self):
        """The cells whose logits are added in place of a training; none of most."""
        from kinetics_i3d.models.systems import SYSTEMS  # imports Keras

        system = SYSTEMS[self.system]
        if not system.is_separate or self.stream != BOTH:
            return ()
        return tuple(dataclasses.replace(self, stream=stream) for stream in system.streams)


def all_cells(*, inits=("scratch",), transfers=("original",), seeds=(0,), pattern="*"):
    """The cells of the tables, row by row, once for each seed; a sum comes after its parts.

    Args:
        inits: Names in `INITS`. Image starts are left out of systems without an Inception-V1.
        transfers: Names in `TRANSFERS`. Of `given` weights there is no `original`.
        seeds: Whole numbers.
        pattern: Of names, with `*`, `?` and `[...]`; or several with commas between them.

    Returns:
        A list of `Cell`s.

    Example:

    >>> len(all_cells(pattern="C3D.*,ConvNetLSTM.*"))
    2
    >>> [cell.name for cell in all_cells(pattern="*.both.*")]
    ['TwoStream.both.scratch.original.0', 'TwoStreamFused.both.scratch.original.0',
     'TwoStreamI3D.both.scratch.original.0']
    """
    from kinetics_i3d.models.systems import paper_systems

    cells = [
        Cell(system, stream, init, transfer, seed)
        for seed in seeds  # a call that is stopped half way leaves whole tables of fewer seeds
        for transfer in transfers
        for system, row in paper_systems().items()
        for init in inits
        for stream in run_streams(row)
        if (row.backbone is not None or init not in IMAGES)
        and (init, transfer) != ("given", "original")
    ]
    patterns = pattern.split(",")
    return [cell for cell in cells if any(fnmatch.fnmatchcase(cell.name, p) for p in patterns)]


def group_title(group):
    """A group in words, such as `I3D RGB+Flow`.

    Args:
        group: (system, stream, init, transfer).
    """
    from kinetics_i3d.models.systems import SYSTEMS

    system, stream = SYSTEMS[group[0]], group[1]
    if system.is_separate:
        return f"{SYSTEMS[system.trained_as].title} {STREAM_TITLES[stream]}"
    return system.title


STREAM_TITLES = {"rgb": "RGB", "flow": "Flow", BOTH: "RGB+Flow"}


LOGITS = "logits"
TABLE, NUMBERS = "tables.md", "tables.json"


def cell_folder(output, cell):
    """The folder of a cell.

    Args:
        output: That of the tables.
        cell: A `Cell`.

    Returns:
        A `pathlib.Path`.

    Example:

    >>> from kinetics_i3d.experiments.runs import Cell
    >>> cell_folder("out", Cell("C3D", "rgb", "scratch", "original", 0)).as_posix()
    'out/cells/C3D.rgb.scratch.original.0'
    """
    return pathlib.Path(output) / "cells" / cell.name


def absolute(weights):
    """Weights as settings name them, so that a call from another folder goes on with the same.

    Args:
        weights: A name in the catalog, which stays as it is, or a path.

    Returns:
        A name or an absolute path.

    Example:

    >>> absolute("rgb_figures"), absolute("mine.h5") == os.path.abspath("mine.h5")
    ('rgb_figures', True)
    """
    name = str(weights)
    return name if find_entry(name) is not None else os.path.abspath(weights)
