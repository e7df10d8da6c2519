"""`Run`: one training and test of the paper's tables, where its files are, and of which videos.

A run is named by its system, stream, initialization, transfer mode and seed (Carreira & Zisserman,
CVPR 2017, tables 2 to 5).
"""

import dataclasses
import fnmatch
import hashlib
import os
import pathlib

from kinetics_i3d.weights.read import find_entry

BOTH = "both"
# Initializations of networks; `given` are individually named weights.
INITS = {
    "scratch": "from scratch",
    "frames": "single frames first",
    "imagenet": "ImageNet first",
    "given": "given weights",
}
IMAGE_INITS = ("frames", "imagenet")  # need a system with an Inception-V1
TRANSFERS = {"original": "Original", "fixed": "Fixed", "full": "Full-FT"}
STREAM_TITLES = {"rgb": "RGB", "flow": "Flow", BOTH: "RGB+Flow"}

# Names of files and folders in the output folder; "cell" is the former name of a run.
LOGITS = "logits"
RUNS_FOLDER, RUN_FILE = "cells", "cell.json"
PAGE, NUMBERS = "tables.md", "tables.json"


def run_streams(system):
    """The streams of a `System` that are trained, and the sum of separate streams."""
    if system.is_separate:
        return (*system.streams, BOTH)
    # Other systems of two streams are one network: their streams are not trained alone.
    return (BOTH,) if len(system.streams) > 1 else system.streams


@dataclasses.dataclass(frozen=True)
class Run:
    """One training and test, or the sum of two of them.

    Args:
        system: A name in `paper_systems()`.
        stream: `"rgb"`, `"flow"` or `"both"`.
        init: A name in `INITS`; with a transfer, how the source network was initialized.
        transfer: A name in `TRANSFERS`.
        seed: Random seed.

    Example:

    >>> Run("C3D", "rgb", "scratch", "original", 0).name
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
        """(system, stream, init, transfer): what runs with different seeds share."""
        return (self.system, self.stream, self.init, self.transfer)

    @property
    def summed_runs(self):
        """The runs whose logits are added; empty for a run that is trained itself."""
        from kinetics_i3d.models.systems import SYSTEMS  # imports Keras

        system = SYSTEMS[self.system]
        if not system.is_separate or self.stream != BOTH:
            return ()
        return tuple(dataclasses.replace(self, stream=stream) for stream in system.streams)


def all_runs(*, inits=("scratch",), transfers=("original",), seeds=(0,), pattern="*"):
    """The runs of the tables, seed by seed; a sum comes after the runs that it adds.

    `pattern` is a glob of run names, or several separated by commas. Image initializations are left
    out for systems without an Inception-V1, and `given` weights have no `original`.

    Example:

    >>> len(all_runs(pattern="C3D.*,ConvNetLSTM.*"))
    2
    >>> [run.name for run in all_runs(pattern="*.both.*")]
    ['TwoStream.both.scratch.original.0', 'TwoStreamFused.both.scratch.original.0',
     'TwoStreamI3D.both.scratch.original.0']
    """
    from kinetics_i3d.models.systems import paper_systems

    runs = [
        Run(system, stream, init, transfer, seed)
        for seed in seeds  # outermost, so an interrupted call leaves whole tables of fewer seeds
        for transfer in transfers
        for system, row in paper_systems().items()
        for init in inits
        for stream in run_streams(row)
        if (row.backbone is not None or init not in IMAGE_INITS)
        and (init, transfer) != ("given", "original")
    ]
    patterns = pattern.split(",")
    return [run for run in runs if any(fnmatch.fnmatchcase(run.name, glob) for glob in patterns)]


def group_title(group):
    """The title of a group, or of its (system, stream), such as `I3D RGB+Flow`."""
    from kinetics_i3d.models.systems import SYSTEMS

    system, stream = SYSTEMS[group[0]], group[1]
    if system.is_separate:
        return f"{SYSTEMS[system.trained_as].title} {STREAM_TITLES[stream]}"
    return system.title


def run_folder(output, run):
    """The folder of a run below the output folder of the tables.

    Example:

    >>> run_folder("out", Run("C3D", "rgb", "scratch", "original", 0)).as_posix()
    'out/cells/C3D.rgb.scratch.original.0'
    """
    return pathlib.Path(output) / RUNS_FOLDER / run.name


def absolute_weights(weights):
    """A name in the catalog unchanged, or the absolute path of a file.

    Settings hold weights in this form, so that a run can be resumed from another folder.

    Example:

    >>> absolute_weights("rgb_figures")
    'rgb_figures'
    >>> absolute_weights("mine.h5") == os.path.abspath("mine.h5")
    True
    """
    name = str(weights)
    return name if find_entry(name) is not None else os.path.abspath(weights)


def dataset_digest(dataset):
    """Checksum of the names, labels and splits of the files; the same for a moved dataset."""
    digest = hashlib.sha256("\n".join(dataset.labels).encode())
    rows = sorted((v.split, v.label, v.location.name) for v in dataset.videos)
    for row in rows:
        digest.update("\n".join(row).encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
