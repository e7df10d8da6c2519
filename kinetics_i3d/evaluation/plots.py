"""Plots of an evaluation, drawn with Matplotlib: confusion matrix and reliability diagram.

Colors differ in lightness, so the plots can be read in gray and with color vision deficiencies.
"""

import itertools
from typing import Any

import numpy as np

from kinetics_i3d.core.figure import ACCENT, FILL, INK, LINE, MUTED, new_figure, shorten
from kinetics_i3d.core.types import Labels, PathLike, check_strings, check_text
from kinetics_i3d.evaluation.metrics import reliability_curve

SHADES = "Blues"  # from white to dark blue, monotonic in lightness
OTHERS = "any other class"
_ALL_CLASSES = 60  # with more classes, only the `_MOST_CONFUSED` are drawn
_MOST_CONFUSED = 40
_NAME_LENGTH = 32  # characters of a class name


def draw_confusion(
    path: PathLike, counts: Any, labels: Labels, *, title: str | None = None
) -> None:
    """Draws a confusion matrix with the accuracy of each class.

    A cell shows a count, and its color the share of the row. With more than 60 classes, the 40 most
    confused ones are drawn, with one more column for all others.

    Args:
        path: The PNG to write, atomically.
        counts: int (classes, classes), true classes in rows, such as `Evaluation.confusion()`.
        labels: Class names.
        title: Line above the matrix.

    Raises:
        UserError: If `path` is not a PNG, or Matplotlib is missing.
        ValueError: If `counts` is not square, is negative, or does not match `labels`, or another
            argument is invalid.

    Example:

    >>> draw_confusion(folder / "confusion.png", [[3, 1], [0, 4]], ("sit", "stand"))
    """
    labels = check_strings("labels", labels, of="class names")
    check_text("title", title)
    counts = np.asarray(counts)
    if counts.shape != (len(labels),) * 2 or not len(labels) or counts.min() < 0:
        raise ValueError(
            "`counts` must be numbers of videos, (classes, classes) for the `labels`. "
            f"Received: shape {counts.shape} and {len(labels)} labels"
        )
    note = ""
    if len(labels) > _ALL_CLASSES:
        note = f" of the {_MOST_CONFUSED} most confused classes"
    counts, row_names, column_names = select_classes(counts, labels)
    rows, columns = counts.shape
    cell = float(np.clip(10.8 / columns, 0.22, 0.56))  # inches
    width, height = cell * columns, cell * rows
    font = float(np.clip(cell * 30, 8.5, 11))
    with new_figure(path, width=width, height=height) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        # The title is aligned with the class names, so it may be longer than the matrix is wide.
        axes.set_title(shorten(title or "", int(40 + 11 * width)))
        image = _draw_matrix(axes, counts, cell)
        axes.set_yticks(range(rows), [shorten(name, _NAME_LENGTH) for name in row_names])
        axes.set_xticks(
            range(columns),
            [shorten(name, _NAME_LENGTH) for name in column_names],
            rotation=45,
            ha="left",
            rotation_mode="anchor",
        )
        axes.tick_params(
            length=0, labelsize=font, top=True, labeltop=True, bottom=False, labelbottom=False
        )
        axes.set_ylabel("true class", color=MUTED)
        axes.set_xlabel("predicted class", color=MUTED)

        def inches(left, bottom, across, up):
            return (left / width, bottom / height, across / width, up / height)

        accuracies = figure.add_axes(inches(width + 0.15, 0, 0.65, height))
        _draw_accuracies(accuracies, counts, cell, font)
        scale = figure.add_axes(inches(0, -0.62, 2, 0.12))
        bar = figure.colorbar(image, cax=scale, orientation="horizontal", ticks=[0, 0.5, 1])
        bar.set_ticklabels(["0", "50", "100 % of the true class"], fontsize=8)
        bar.outline.set_linewidth(0.5)
        videos, correct = int(counts.sum()), int(counts.diagonal().sum())
        accuracy = f", {100 * correct / videos:.1f} % correct" if videos else ""
        figure.text(0, -1.1 / height, f"{videos} videos{note}{accuracy}", fontsize=11)


def _draw_matrix(axes, counts, cell):
    """Colors the cells by their share of the row and writes the counts into them."""
    shares = row_shares(counts)
    image = axes.imshow(shares, cmap=SHADES, vmin=0, vmax=1, aspect="auto")
    rows, columns = counts.shape
    axes.set_xticks(np.arange(columns + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(rows + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    for row, column in zip(*np.nonzero(counts), strict=True):
        count = str(counts[row, column])
        size = max(5, min(cell * 32, 12, cell * 100 / len(count)))
        axes.text(
            *(column, row, count),
            ha="center",
            va="center",
            fontsize=max(5, size),
            color=text_color(shares[row, column]),
        )
    return image


def _draw_accuracies(axes, counts, cell, font):
    """A bar and a percentage beside each row of the matrix."""
    rows = len(counts)
    totals = counts.sum(axis=1)
    accuracy = counts.diagonal() / np.maximum(totals, 1)
    occurs = np.flatnonzero(totals)
    axes.barh(occurs, np.ones(len(occurs)), height=0.24, color=LINE)
    axes.barh(occurs, accuracy[occurs], height=0.24, color=ACCENT)
    for row in range(rows):
        text = f"{100 * accuracy[row]:.0f} %" if totals[row] else "no videos"
        x = 1.15 if totals[row] else 0
        color = INK if totals[row] else MUTED
        axes.text(x, row, text, va="center", fontsize=font, color=color)
    axes.set_xlim(0, 1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.axis("off")
    axes.text(0, rows - 0.5 + 0.12 / cell, "accuracy", va="top", color=MUTED)


def row_shares(counts):
    """Each row divided by its sum; a row of zeros stays zero."""
    counts = np.asarray(counts, float)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def text_color(share):
    """The color, INK or white, that is readable on the shade of a share from 0 to 1."""
    import matplotlib

    red, green, blue, _ = matplotlib.colormaps[SHADES](float(share))
    # Relative luminance, WCAG 2.2; at 0.2 both colors have about the same contrast.
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (red, green, blue)
    ]
    return "white" if np.dot(linear, [0.2126, 0.7152, 0.0722]) < 0.2 else INK


def select_classes(counts, labels):
    """(counts, row names, column names) of the part of a confusion matrix that is drawn.

    Up to 60 classes are all drawn. If there are more, the 40 most confused ones are drawn, with a
    last column for the sums of all others.
    """
    if len(labels) <= _ALL_CLASSES:
        return counts, labels, labels
    chosen = most_confused(counts, _MOST_CONFUSED)
    part = counts[np.ix_(chosen, chosen)]
    others = counts[chosen].sum(axis=1, keepdims=True) - part.sum(axis=1, keepdims=True)
    names = [labels[index] for index in chosen]
    return np.hstack([part, others]), names, [*names, OTHERS]


def most_confused(counts, classes):
    """The sorted indices of the `classes` classes with the most frequent confusions.

    Confusions count in both directions. If too few classes are confused, the first of the others
    are added.

    Example:

    >>> most_confused([[9, 0, 1, 0], [0, 9, 0, 0], [0, 0, 9, 0], [2, 0, 0, 7]], 3)
    [0, 2, 3]
    """
    counts = np.array(counts)
    np.fill_diagonal(counts, 0)
    pairs = np.triu(counts + counts.T)
    chosen: dict[int, None] = {}
    for flat_index in np.argsort(-pairs, axis=None, kind="stable")[: np.count_nonzero(pairs)]:
        for index in np.unravel_index(flat_index, pairs.shape):
            if len(chosen) < classes:
                chosen[int(index)] = None
    unconfused = (index for index in range(len(counts)) if index not in chosen)
    chosen.update(dict.fromkeys(itertools.islice(unconfused, classes - len(chosen))))
    return sorted(chosen)


def draw_reliability(path, probabilities, targets, *, title=None):
    """Draws the accuracy of predictions against their confidence.

    Args:
        path: The PNG to write, atomically.
        probabilities: (videos, classes), 0 to 1.
        targets: int (videos,).
        title: Line above the plot.

    Raises:
        UserError: If `path` is not a PNG, or Matplotlib is missing.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, figure 1.
    """
    confidence, accuracy, counts = reliability_curve(probabilities, targets)
    with new_figure(path, width=5.2, height=5.6) as figure:
        axes, histogram = figure.subplots(
            2, 1, sharex=True, gridspec_kw={"height_ratios": (4, 1), "hspace": 0.12}
        )
        axes.set_title(shorten(title or "", 60))
        axes.plot((0, 1), (0, 1), color=MUTED, linestyle="--", linewidth=1)
        axes.text(0.03, 0.07, "calibrated", color=MUTED, rotation=45, rotation_mode="anchor")
        axes.plot(confidence, accuracy, color=ACCENT, linewidth=1.5, marker="o", clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy")
        style = {"color": FILL, "edgecolor": ACCENT, "linewidth": 0.8, "clip_on": False}
        histogram.bar(confidence, counts, width=0.03, **style)
        histogram.set(ylabel="videos", xlabel="confidence (probability of the prediction)")
        histogram.yaxis.get_major_locator().set_params(integer=True, nbins=3)
        for part in (axes, histogram):
            part.grid(color=LINE, linewidth=0.6)
            part.set_axisbelow(True)
        figure.align_ylabels()
