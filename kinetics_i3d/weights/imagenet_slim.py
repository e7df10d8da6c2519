"""`check_slim`: verifies the content of TF-Slim's archive, which has no published checksum."""

import pathlib

import numpy as np

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.formats import read_path
from kinetics_i3d.weights.readers.archive import checkpoint_in_tar

_SHOWN = 3  # tensors that an error names
_SLIM_SHAPES = "imagenet_slim_kernels.tsv"


def check_slim(path):
    """Checks that an archive holds TF-Slim's Inception-V1 of 1001 classes.

    The checkpoint's own checksums reveal damage. Whether its values are the published ones cannot
    be verified.

    Args:
        path: A tar archive.

    Raises:
        WeightsError: If it cannot be read, or a tensor is missing, unknown or of a wrong shape.
    """
    with checkpoint_in_tar(path) as prefix:
        arrays = read_path(prefix).arrays
    wanted = slim_shapes()
    wrong = [f"{name} is missing" for name in wanted if name not in arrays]
    wrong += [
        f"{name} has the shape {np.shape(arrays[name])}, not {shape}"
        for name, shape in wanted.items()
        if name in arrays and np.shape(arrays[name]) != shape
    ]
    wrong += [f"{name} is unknown" for name in arrays if name not in wanted]
    if wrong:
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise WeightsError(
            f"{path}: not TF-Slim's Inception-V1 of 1001 classes: {', '.join(wrong[:_SHOWN])}{more}"
        )


def slim_shapes():
    """{name in `InceptionV1`: shape} of every tensor in TF-Slim's checkpoint.

    Example:

    >>> slim_shapes()["Conv2d_1a_7x7_bn/beta"]
    (64,)
    """
    table = pathlib.Path(__file__).with_name(_SLIM_SHAPES).read_text(encoding="utf-8")
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
