"""`draw_training_curves`: the loss, accuracy and learning rate of one run or several."""

import os
import pathlib
from collections.abc import Iterable, Sequence

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.figure import LINE, new_figure, shorten
from kinetics_i3d.core.types import PathLike, check_path
from kinetics_i3d.training.outputs import read_history

# Okabe and Ito, https://jfly.uni-koeln.de/color: distinct with color vision deficiencies. Marks
# make the curves distinct in black and white.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKS = "osD^vPX"
_NAME_LENGTH = 40


def draw_training_curves(path: PathLike, runs: PathLike | Sequence[PathLike]) -> None:
    r"""Draws the curves of runs over their epochs: training dashed, validation solid.

    Args:
        path: The PNG to write, atomically.
        runs: The folder of a run that `train` wrote, or several to compare, seven at most.

    Raises:
        UserError: If `path` is not a PNG, Matplotlib is missing, or a folder has no curves.
        ValueError: If there are no runs, or more than seven.

    Example:

    >>> history = "epoch,step,loss,accuracy,learning_rate\n1,10,2.0,0.3,0.1\n2,20,1.0,0.6,0.01\n"
    >>> _ = (folder / "history.csv").write_text(history)
    >>> ki3d.draw_training_curves(folder / "curves.png", folder)
    """
    if isinstance(runs, (str, os.PathLike)) or not isinstance(runs, Iterable):
        runs = [check_path("runs", runs)]
    folders = [check_path("runs", run) for run in runs]
    if not 1 <= len(folders) <= len(_COLORS):
        raise ValueError(f"`runs` must be 1 to {len(_COLORS)} folders. Received: {len(folders)}")
    histories = {str(folder): _read(pathlib.Path(folder)) for folder in folders}
    measure = "map" if any("val_map" in row for rows in histories.values() for row in rows) else ""
    panels = [("loss", ("loss", "val_loss")), ("accuracy", ("accuracy", "val_accuracy"))]
    if measure:
        panels[1] = ("mean average precision", ("", "val_map"))
    panels.append(("learning rate", ("learning_rate", "")))
    with new_figure(path, width=11, height=3.4) as figure:
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.22)
        for axes, (title, names) in zip(figure.subplots(1, len(panels)), panels, strict=True):
            for (folder, rows), color, mark in zip(
                histories.items(), _COLORS, _MARKS, strict=False
            ):
                _draw(axes, rows, names, color, mark, shorten(folder, _NAME_LENGTH))
            axes.set_title(title)
            axes.set_xlabel("epoch")
            axes.grid(color=LINE, linewidth=0.8)
            axes.set_axisbelow(True)
            axes.xaxis.get_major_locator().set_params(integer=True)
            if title == "learning rate":
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter("{x:g}")
                axes.yaxis.set_minor_formatter("")
            else:
                axes.set_ylim(bottom=0, top=None if title == "loss" else 1)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=2)
        figure.text(0, -0.17, "dashed: training    solid: validation", fontsize=9)


def _read(folder):
    path = folder / "history.csv"
    if not path.is_file():
        raise UserError(f"{folder}: no history.csv; the folder of a training run is needed")
    rows = read_history(path)
    if not rows:
        raise UserError(f"{path}: no epoch is complete yet")
    return rows


def _draw(axes, rows, names, color, mark, label):
    training, validation = names
    for name, style in ((training, "--"), (validation, "-")):
        # A schedule ends in a rate of 0, which a logarithmic axis does not have.
        rows_drawn = [row for row in rows if row.get(name, 0) > 0 or "rate" not in name]
        points = [(row["epoch"], row[name]) for row in rows_drawn if name in row]
        if not points:
            continue
        axes.plot(
            *zip(*points, strict=True),
            linestyle=style if validation else "-",
            color=color,
            marker=mark,
            markersize=4,
            markevery=max(1, len(points) // 12),
            markerfacecolor=color if style == "-" else "white",
            label=label,
        )
