"""ImageNet weights of Inception-V1 by name: where networks of clips are inflated from.

Neither publisher says how large its archive is. TensorFlow's build files pin the SHA-256 of
inception5h.zip; nobody publishes a checksum of TF-Slim's archive, so its content is checked.
"""

import dataclasses
import pathlib

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H, ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.foreign import read_foreign
from kinetics_i3d.weights.released import Release, ReleasedFile
from kinetics_i3d.weights.tar_archive import checkpoint_in_tar

SHAPES = "imagenet_slim_kernels.tsv"
SHOWN = 3  # tensors that an error names


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageEntry:
    """A row of the catalog whose weights classify images.

    Args:
        name: What `InceptionV1(weights=...)`, `inflate` and `train --inflate` take.
        release: The `Release` of one archive that it is downloaded from.
        architecture: Name of a row in `ARCHITECTURES`.
        clip_spec: How its images are made; the frame rate means nothing.
        classes: Number of outputs.
        accuracy: Accuracy in percent by measure; empty where none is known.
        protocol: How that was measured and by whom.
        terms: Licence, and the data that it was trained on.
        aliases: Other names that are taken where no such file exists.
    """

    name: str
    release: Release
    architecture: str
    clip_spec: ClipSpec
    classes: int
    accuracy: dict
    protocol: str
    terms: str
    aliases: tuple = ()

    # What every row of the catalog has.
    system = "InceptionV1"
    sources = ("cache", "download")
    labels = ()  # an archive brings its own, if it has some
    command = ""
    file = None
    distribution = None


def check_slim(path):
    """Checks that an archive holds TF-Slim's Inception-V1 of 1001 classes.

    The checkpoint's own checksums are compared while it is read, so that damage is found. Whether
    its values are those that were published cannot be known.

    Args:
        path: A tar archive.

    Raises:
        WeightsError: If it cannot be read, or a tensor is missing or has another shape.
    """
    with checkpoint_in_tar(path) as prefix:
        arrays = read_foreign(prefix).arrays
    wanted = slim_shapes()
    wrong = [
        f"{name} {np.shape(arrays.get(name))}, not {shape}"
        for name, shape in wanted.items()
        if np.shape(arrays.get(name)) != shape
    ]
    wrong += [f"{name} is unknown" for name in arrays if name not in wanted]
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise WeightsError(
            f"{path}: not TF-Slim's Inception-V1 of 1001 classes: {', '.join(wrong[:SHOWN])}{more}"
        )


def slim_shapes():
    """{name in `InceptionV1`: shape} of every tensor in TF-Slim's checkpoint.

    Example:

    >>> slim_shapes()["Conv2d_1a_7x7_bn/beta"]
    (64,)
    """
    table = pathlib.Path(__file__).with_name(SHAPES).read_text(encoding="utf-8")
    shapes: dict[str, tuple] = {}
    for line in table.splitlines()[1:]:
        unit, *sizes = line.split("\t")
        shape = tuple(map(int, sizes))
        if unit == "Conv2d_0c_1x1":
            shapes |= {f"{unit}/kernel": shape, f"{unit}/bias": shape[-1:]}
        else:
            shapes[f"{unit}_conv/kernel"] = shape
            shapes |= {
                f"{unit}_bn/{part}": shape[-1:]
                for part in ("beta", "moving_mean", "moving_variance")
            }
    return shapes


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
        ),
    )
}


def find_image_row(name):
    """The row of a name, or of an alias that is not the name of a file.

    Args:
        name: Weights of any kind.

    Returns:
        An `ImageEntry`, or `None`.

    Example:

    >>> find_image_row("inception5h").name
    'imagenet_inception5h'
    """
    if not isinstance(name, str):
        return None
    if name in IMAGES:
        return IMAGES[name]
    for row in IMAGES.values():
        if name in row.aliases and not pathlib.Path(name).exists():
            return row
    return None
