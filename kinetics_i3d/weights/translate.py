"""From another file's names and layout to ours: all of it or an error that lists what is wrong."""

import re

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.labels import BY_COUNT, label_list
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo
from kinetics_i3d.weights.layouts import LAYOUTS


def recognise(names, path):
    """The layout that a file's names are written in, and the prefix before them.

    Args:
        names: The file's names.
        path: The file, for the error.

    Returns:
        (`Layout`, prefix).

    Raises:
        WeightsError: If no layout has half of its names there.
    """
    names = set(names)

    def share(candidate):
        layout, prefix = candidate
        known = required(layout)
        return sum(name in names or prefix + name in names for name in known) / len(known)

    candidates = [(layout, prefix) for layout in LAYOUTS.values() for prefix in layout.prefixes]
    best = max(candidates, key=share)
    if share(best) < 0.5:
        shown = ", ".join(sorted(names)[:3]) or "none at all"
        known = "; ".join(f"{layout.name} ({layout.about})" for layout in LAYOUTS.values())
        raise WeightsError(
            f"{path}: not an Inception-V1 in any known layout; its names begin {shown}. "
            f"Known are {known}"
        )
    return best


def translate(arrays, path):
    """Renames and rearranges foreign arrays.

    Scales of batch norm are folded into the kernel and the moving mean, which is exact: at given
    statistics, `scale * (conv(x, k) - mean) / sd = (conv(x, scale * k) - scale * mean) / sd`.

    Args:
        arrays: {name: array} as a reader gives them.
        path: The file, for errors and for the result.

    Returns:
        A `Checkpoint` under the names of `InceptionI3D` or `InceptionV1`.

    Raises:
        WeightsError: If names are missing or unknown, or values are impossible; all in one message.
    """
    layout, prefix = recognise(arrays, path)
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
        listed = "; ".join(f"{kind}: {names}" for kind, names in faults.items() if names)
        raise WeightsError(f"{path}: read as {layout.name} ({layout.about}): {listed}")
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
    """The `WeightsInfo` of arrays that bring none: the release's spec, Kinetics' labels."""
    bias = arrays.get(f"Conv{layout.rank}d_0c_1x1/bias", ())
    channels, filters = arrays[f"Conv{layout.rank}d_1a_7x7_conv/kernel"].shape[-2:]
    labels = label_list(BY_COUNT[len(bias)]) if layout.labels and len(bias) in BY_COUNT else ()
    spec = DEEPMIND_FLOW if channels == 2 else DEEPMIND
    architecture = "inception_v1" if filters == 64 else None  # None: not of the usual width
    return WeightsInfo(architecture, layout.rank, spec, len(bias), tuple(labels))


def required(layout):
    """The names that every file of a layout has: not the classifier's, not scales of batch norm."""
    return [
        name
        for name, ours in layout.names().items()
        if "_0c_1x1/" not in ours and not ours.endswith("/gamma")
    ]


def to_layout(arrays, layout):
    """The inverse of `translate`: our arrays under another layout's names, without prefix.

    Args:
        arrays: {`"<layer>/<variable>"`: array} of an `inception_v1`, any width.
        layout: A `Layout`; scales of batch norm are written as 1.

    Returns:
        {name: array}.

    Raises:
        WeightsError: If the arrays have variables that the layout has no name for, or lack some.
    """
    names = layout.names()
    lacking = [ours for ours in names.values() if ours not in arrays and "gamma" not in ours]
    head = [ours for ours in lacking if "_0c_1x1/" in ours]
    strangers = sorted(set(arrays) - set(names.values()))
    if strangers or len(head) != len(lacking):
        raise WeightsError(
            f"the layout {layout.name!r} holds the network 'inception_v1' alone; without a name "
            f"there: {strangers}; missing here: {sorted(set(lacking) - set(head))}"
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
    """An array in our order of axes, float32, batch norm's as vectors."""
    array = np.asarray(array, np.float32)
    if name.endswith("/kernel"):
        return array.transpose(layout.kernel_axes) if layout.kernel_axes else array
    # The release of 2018 has statistics of shape (1, 1, 1, 1, channels).
    return array.reshape(-1) if array.size == array.shape[-1:][0] else array
