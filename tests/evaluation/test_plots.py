"""Confusion matrices from 2 to 400 classes, and reliability diagrams."""

import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation import plots
from kinetics_i3d.evaluation.plots import (
    draw_confusion,
    draw_reliability,
    most_confused,
    row_shares,
    select_classes,
    text_color,
)


def pixels_of(path):
    return np.asarray(Image.open(path).convert("RGB"))


def shade(share):
    return np.array(matplotlib.colormaps[plots.SHADES](float(share), bytes=True)[:3])


def luminance(color):
    """WCAG 2.2, relative luminance."""
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in matplotlib.colors.to_rgb(color)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("classes", [2, 12, pytest.param(60, marks=pytest.mark.slow)])
def test_confusion_matrix_fits_the_picture(tmp_path, classes):
    counts = np.eye(classes, dtype=int) * 1000
    labels = [f"a class with the number {index}" for index in range(classes)]
    draw_confusion(tmp_path / "c.png", counts, labels, title="title " * 40)
    pixels = pixels_of(tmp_path / "c.png")
    assert max(pixels.shape) < 2000
    edges = (pixels[:12], pixels[-12:], pixels[:, :12], pixels[:, -12:])
    assert all((edge == 255).all() for edge in edges)
    # The diagonal: as many squares in the darkest shade as there are classes, less their counts.
    cell = 100 * np.clip(10.8 / classes, 0.22, 0.56)
    dark = (pixels == shade(1.0)).all(axis=-1).sum()
    assert 0.5 * classes * (cell - 2) ** 2 < dark <= classes * cell**2


def test_confusion_cells_are_colored_by_their_share_of_the_row(tmp_path):
    draw_confusion(tmp_path / "one.png", [[3]], ("sit",))
    draw_confusion(tmp_path / "c.png", [[3, 1], [0, 0]], ("sit", "stand"))
    pixels = pixels_of(tmp_path / "c.png")
    corners = []
    for share in (0.75, 0.25):
        rows, columns = np.nonzero((pixels == shade(share)).all(axis=-1))
        # Inside the grid's lines the cell is its shade or its count.
        top, left = rows.min(), columns[rows < rows.min() + 8].min()
        assert (pixels[top : top + 12, left + 1 : left + 52] == shade(share)).all()
        corners.append((left, top))
    (left, top), (right, top_of_second) = corners
    assert right - left == 56 and top == top_of_second


def test_row_shares_of_an_empty_row_are_zero():
    assert row_shares([[3, 1], [0, 0]]).tolist() == [[0.75, 0.25], [0, 0]]


def test_shades_can_be_distinguished_in_gray():
    gray = [luminance(shade(share) / 255) for share in np.linspace(0, 1, 50)]
    assert gray == sorted(gray, reverse=True) and len(set(gray)) == 50


def test_counts_stand_out_from_every_shade():
    for share in np.linspace(0, 1, 101):
        colors = (text_color(share), shade(share) / 255)
        dark, light = sorted(map(luminance, colors))
        assert (light + 0.05) / (dark + 0.05) > 3.8


@pytest.mark.parametrize(
    ("counts", "labels"),
    [
        ([[1, 2]], ("a", "b")),
        ([[1]], ()),
        ([[1, 2], [3, 4]], tuple("abc")),
        ([[1, -1], [0, 1]], tuple("ab")),
    ],
)
def test_invalid_counts_raise(tmp_path, counts, labels):
    with pytest.raises(ValueError, match="`counts` must be"):
        draw_confusion(tmp_path / "c.png", counts, labels)
    with pytest.raises(UserError, match=r"\.png"):
        draw_confusion(tmp_path / "c.pdf", np.eye(2), ("a", "b"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_of_many_classes_the_most_confused_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    counts = np.diag(rng.integers(5, 50, 400))
    pairs = rng.permutation(400)[:80].reshape(40, 2)
    for times, (first, second) in enumerate(pairs, 1):
        counts[first, second] = times  # the later ones are confused more
    labels = [f"passing American football (number {index})" for index in range(400)]
    chosen = sorted(int(index) for pair in pairs[20:] for index in pair)
    assert most_confused(counts, 40) == chosen
    part, rows, columns = select_classes(counts, labels)
    assert rows == [labels[index] for index in chosen] and columns == [*rows, plots.OTHERS]
    for row, index in enumerate(chosen):
        assert part[row, :-1].tolist() == counts[index, chosen].tolist()
        assert part[row].sum() == counts[index].sum()
    draw_confusion(tmp_path / "c.png", counts, labels, title="many")
    assert max(pixels_of(tmp_path / "c.png").shape) < 2000


def test_most_confused_counts_both_directions_and_fills_up():
    counts = np.array([[9, 0, 1, 0], [0, 9, 0, 0], [1, 0, 9, 0], [0, 0, 0, 9]])
    assert most_confused(counts, 2) == [0, 2]
    assert most_confused(counts, 3) == [0, 1, 2]
    assert most_confused(np.eye(4), 2) == [0, 1]
    counts[1, 3] = 3  # more than 1 + 1 in both directions
    assert most_confused(counts, 2) == [1, 3]


def test_any_characters_can_be_labels(tmp_path):
    labels = ("$\\frac{$", "歩く\n\x00", "passing American football (in game)")
    draw_confusion(tmp_path / "c.png", np.eye(3, dtype=int), labels, title="$x_{$")
    assert (pixels_of(tmp_path / "c.png")[:, -12:] == 255).all()


def test_reliability_points_are_at_confidence_and_accuracy(tmp_path, monkeypatch):
    lines = []
    plot = matplotlib.axes.Axes.plot
    monkeypatch.setattr(
        matplotlib.axes.Axes,
        "plot",
        lambda *args, **kw: lines.append(args[1:3]) or plot(*args, **kw),
    )
    rows = [[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]]
    draw_reliability(tmp_path / "r.png", rows, [0, 1, 1], title="title")
    confidence, accuracy = lines[-1]
    assert confidence == pytest.approx([0.7, 0.9]) and accuracy == pytest.approx([1.0, 0.5])
    assert (pixels_of(tmp_path / "r.png")[:12] == 255).all()


def test_missing_matplotlib_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"kinetics-i3d\[reports\]"):
        draw_confusion(tmp_path / "c.png", np.eye(2, dtype=int), ("a", "b"))
