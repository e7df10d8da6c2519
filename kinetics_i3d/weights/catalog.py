"""The catalog: weights by name, each a row with everything that is needed to use them rightly.

Shipped files lie in `checkpoints/`, at the top of a checkout and inside an installed package.
"""

import dataclasses
import difflib
import os
import pathlib

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.checkpoint import read_checkpoint
from kinetics_i3d.weights.inception5h import is_inception5h, read_inception5h

PACKAGE = pathlib.Path(__file__).parents[1]
FOLDERS = (PACKAGE / "checkpoints", PACKAGE.parent / "checkpoints")


@dataclasses.dataclass(frozen=True)
class CatalogEntry:
    """One row of the catalog.

    Args:
        name: What `weights=` takes.
        system: The constructor that it belongs to.
        file: Its name in `checkpoints/`.
        architecture: Name of a row in `ARCHITECTURES`.
        clip_spec: How clips are made for it.
        labels: Class names in the order of the outputs.
        accuracy: Held-out accuracy in percent by measure, as measured by `protocol`.
        protocol: What was held out and how it was tested.
        command: What trained it.
        terms: Licence and duties of the data that it was trained on.
    """

    name: str
    system: str
    file: str
    architecture: str
    clip_spec: ClipSpec
    labels: tuple
    accuracy: dict
    protocol: str
    command: str
    terms: str

    @property
    def path(self):
        """Where the file lies.

        Raises:
            WeightsError: If it does not.
        """
        for folder in FOLDERS:
            if (folder / self.file).is_file():
                return folder / self.file
        looked = " or ".join(str(folder) for folder in FOLDERS)
        raise WeightsError(f"{self.name}: {self.file} is missing in {looked}")


JHMDB = (
    "brush_hair",
    "catch",
    "clap",
    "climb_stairs",
    "golf",
    "jump",
    "kick_ball",
    "pick",
    "pour",
    "pullup",
    "push",
    "run",
    "shoot_ball",
    "shoot_bow",
    "shoot_gun",
    "sit",
    "stand",
    "swing_baseball",
    "throw",
    "walk",
    "wave",
)
FIGURES = (
    "bow",
    "clap",
    "jump",
    "kick",
    "punch",
    "run",
    "sit_down",
    "stand_up",
    "turn",
    "walk",
    "walk_backwards",
    "wave",
)

CATALOG = {
    entry.name: entry
    for entry in (
        CatalogEntry(
            name="rgb_imagenet_jhmdb",
            system="InceptionI3D",
            file="rgb_imagenet_jhmdb.h5",
            architecture="googlenet",
            clip_spec=ClipSpec("jhmdb", fps=15.0, short_side=208, size=192),
            labels=JHMDB,
            accuracy={"top1": 53.0, "top5": 90.7, "mean_class": 51.2},
            protocol="268 test clips of J-HMDB split 1, whole video, centre crop",
            command="kinetics-i3d train JHMDB RUN --recipe jhmdb --inflate INCEPTION5H "
            "--name jhmdb",
            terms="Trained on J-HMDB (a part of HMDB51, CC BY 4.0) from Google's ImageNet "
            "Inception-V1 of 2014 (Apache-2.0)",
        ),
        CatalogEntry(
            name="rgb_figures",
            system="InceptionI3D",
            file="rgb_figures.h5",
            architecture="inception_v1_quarter",
            clip_spec=ClipSpec("figures", fps=8.0, short_side=112, size=96),
            labels=FIGURES,
            accuracy={"top1": 83.9, "top5": 100.0, "mean_class": 83.9},
            protocol="held-out worlds of `kinetics-i3d figures`, whole video, centre crop",
            command="kinetics-i3d train FIGURES RUN --recipe figures --name figures",
            terms="Trained on pictures that this project made itself (Apache-2.0)",
        ),
    )
}


def find_weights(weights):
    """The file of a catalog name or of a path.

    Args:
        weights: A name in `CATALOG`, or a path to a file or folder.

    Returns:
        A `pathlib.Path` that exists.

    Raises:
        WeightsError: If there is neither; near names are listed.
    """
    if weights in CATALOG:
        return CATALOG[weights].path
    path = pathlib.Path(weights)
    if path.exists():
        return path
    if path.suffix or os.sep in str(weights):
        raise WeightsError(f"{path}: no such weights file")
    near = difflib.get_close_matches(str(weights), CATALOG, n=3, cutoff=0.4) or list(CATALOG)
    raise WeightsError(f"unknown weights {str(weights)!r}; did you mean {' or '.join(near)}?")


def read_weights(weights):
    """Reads weights of any known kind.

    Args:
        weights: A name in `CATALOG`, a path to a checkpoint, or the folder of inception5h.

    Returns:
        A `Checkpoint`.

    Raises:
        WeightsError: If the weights are unknown, damaged or of a kind that is not known.
    """
    path = find_weights(weights)
    if path.is_dir():
        if is_inception5h(path):
            return read_inception5h(path)
        raise WeightsError(f"{path}: a folder, not weights (only inception5h is a folder)")
    return read_checkpoint(path)
