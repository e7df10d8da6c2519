"""`draw_kernels`: the kernels of a network's first convolution, slice by slice in time.

Carreira & Zisserman, CVPR 2017, figure 4: all 64 kernels of both streams' first layers.
"""

import math

import numpy as np

from kinetics_i3d.core.figure import MUTED, new_figure
from kinetics_i3d.core.types import PathLike, Weights
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.load import as_model

_COLUMNS = 8
_KERNEL = 0.3  # inches of a kernel
_CHANNELS = {"rgb": ("rgb",), "flow": ("x", "y")}


def draw_kernels(path: PathLike, model: ClipModel | Weights) -> None:
    """Draws the kernels of the first convolution over time.

    There is a panel for each time step of the kernels: one row of panels for rgb, in color, and one
    row each for x and y of flow, in gray. Each kernel has the same position in every panel, and its
    own scale: gray is 0, white and black are its largest absolute value.

    Args:
        path: The PNG to write, atomically.
        model: A `ClipModel`, or weights as `load_model` takes them.

    Raises:
        UserError: If `path` is not a PNG, or Matplotlib is missing.
        ValueError: If a stream of the model does not begin with a convolution of its channels.

    Example:

    >>> ki3d.draw_kernels(folder / "kernels.png", "rgb_figures")

    Source: Carreira & Zisserman, CVPR 2017, figure 4.
    """
    model = as_model(model)
    rows = [row for stream in model.clip_specs for row in _rows(model, stream)]
    steps = max(len(pictures) for _, pictures in rows)
    side = _COLUMNS * _KERNEL
    with new_figure(path, width=1.06 * side * steps, height=1.12 * side * len(rows)) as figure:
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.12)
        panels = figure.subplots(len(rows), steps, squeeze=False)
        for (name, pictures), line in zip(rows, panels, strict=True):
            line[0].set_ylabel(name, fontsize=14)
            for step, axes in enumerate(line):
                axes.set_xticks([])
                axes.set_yticks([])
                axes.spines[:].set_visible(False)
                if step < len(pictures):
                    axes.imshow(pictures[step], cmap="gray", vmin=0, vmax=1)
                    axes.set_title(f"t = {step}", fontsize=11, color=MUTED, pad=4, loc="center")


def _rows(model, stream):
    """[(name, pictures (steps, height, width[, 3]), 0 to 1)] of a stream's first kernels."""
    kernels = _first_kernels(model.streams[stream])
    channels = len(_CHANNELS[stream])
    if stream == "rgb" and kernels.shape[3] == 3:
        return [("rgb", _montages(kernels))]
    if stream == "flow" and kernels.shape[3] % channels == 0:
        # A stack of frames has its channels in turn: x0, y0, x1, y1, ...
        if kernels.shape[0] == 1:
            kernels = kernels[0].reshape(*kernels.shape[1:3], -1, channels, kernels.shape[4])
            kernels = np.moveaxis(kernels, 2, 0)
        return [
            (f"flow {name}", _montages(kernels[:, :, :, channel]))
            for channel, name in enumerate(_CHANNELS[stream])
        ]
    raise ValueError(
        f"`model` must begin with a convolution of {stream}. Received: {model.name}, whose first "
        f"kernels are of shape={kernels.shape}"
    )


def _first_kernels(network):
    """float32 (steps, height, width, channels, filters)."""
    for layer in network.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and len(kernel.shape) >= 4:
            kernels = np.asarray(kernel, np.float32)
            return kernels if kernels.ndim == 5 else kernels[np.newaxis]
    raise ValueError(f"`model` must have a convolution. Received: {network.name}")


def _montages(kernels):
    """Pictures (steps, rows * height, columns * width[, channels]) of kernels, 0 to 1."""
    axes = tuple(range(kernels.ndim - 1))
    scaled = 0.5 + 0.5 * kernels / np.maximum(np.abs(kernels).max(axis=axes), 1e-12)
    filters = kernels.shape[-1]
    rows = math.ceil(filters / _COLUMNS)
    tiles = np.moveaxis(scaled, -1, 1)  # (steps, filters, height, width[, channels])
    tiles = np.pad(
        tiles,
        [(0, 0), (0, rows * _COLUMNS - filters), (1, 1), (1, 1)] + [(0, 0)] * (tiles.ndim - 4),
        constant_values=1,
    )
    steps, _, height, width, *rest = tiles.shape
    tiles = tiles.reshape(steps, rows, _COLUMNS, height, width, *rest).swapaxes(2, 3)
    return tiles.reshape(steps, rows * height, _COLUMNS * width, *rest)
