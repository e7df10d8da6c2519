"""`draw_confusion`: every cell in its place and colour, from 2 to 60 classes."""

import numpy as np
import pytest

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation import plots
from kinetics_i3d.evaluation.plots import draw_confusion, row_shares, shade


def drawn(path):
    from PIL import Image

    return np.asarray(Image.open(path))


@pytest.mark.parametrize("classes", [2, 12, 60])
def test_all_sizes_are_drawn_inside_the_picture(tmp_path, classes):
    counts = np.eye(classes, dtype=int) * 1000
    labels = [f"a class with the number {index}" for index in range(classes)]
    draw_confusion(tmp_path / "c.png", counts, labels, title="title " * 40)
    image = drawn(tmp_path / "c.png")
    height, width, _ = image.shape
    assert max(height, width) < 2000
    edge = np.concatenate([image[:8].ravel(), image[:, :8].ravel(), image[:, -8:].ravel()])
    assert (edge == 255).all()
    # The diagonal: as many squares of the darkest colour as there are classes.
    dark = (image == shade(1.0)).all(axis=-1)
    cell = int(np.clip(1080 // classes, 22, 56))
    assert 0.6 * classes * (cell - 1) ** 2 < dark.sum() <= classes * (cell - 1) ** 2 + 24


def test_rows_are_normalised_and_cells_lie_where_they_belong(tmp_path, monkeypatch):
    monkeypatch.setattr(plots.Canvas, "text", lambda *args, **kwargs: None)
    draw_confusion(tmp_path / "c.png", [[3, 1], [0, 0]], ("sit", "stand"))
    image = drawn(tmp_path / "c.png")
    places = []
    for share in (0.75, 0.25):
        rows, columns = np.nonzero((image == shade(share)).all(axis=-1))
        top, left = rows.min(), columns[rows == rows.min()].min()
        assert (image[top : top + 55, left : left + 55] == shade(share)).all()
        places.append((left, top))
    (left, top), (right, beside) = places
    assert right - left == 56 and top == beside


def test_shares_and_shades():
    assert row_shares([[3, 1], [0, 0]]).tolist() == [[0.75, 0.25], [0, 0]]
    assert shade(0) == (255, 255, 255) and shade(1) == plots.RAMP[-1]
    light = [sum(shade(share)) for share in np.linspace(0, 1, 50)]
    assert light == sorted(light, reverse=True)


@pytest.mark.parametrize(
    ("counts", "labels"),
    [([[1, 2]], ("a", "b")), ([[1]], ("a",)), ([[1, 2], [3, 4]], "abc"), ([[1, -1], [0, 1]], "ab")],
)
def test_wrong_counts_are_told(tmp_path, counts, labels):
    with pytest.raises(ValueError, match="`counts` must be"):
        draw_confusion(tmp_path / "c.png", counts, labels)
    with pytest.raises(UserError, match=r"\.png"):
        draw_confusion(tmp_path / "c.pdf", np.eye(2), "ab")
    assert list(tmp_path.iterdir()) == []


def test_of_many_classes_the_most_confused_are_drawn(tmp_path):
    rng = np.random.default_rng(0)
    counts = np.diag(rng.integers(5, 50, 400))
    pairs = rng.permutation(400)[:80].reshape(40, 2)
    for times, (one, two) in enumerate(pairs, 1):
        counts[one, two] = times  # the later ones are confused more
    labels = [f"passing American football (number {index})" for index in range(400)]
    chosen = sorted(int(index) for pair in pairs[20:] for index in pair)
    assert plots.most_confused(counts, 40) == chosen
    part, rows, columns = plots.selected(counts, labels)
    assert rows == [labels[index] for index in chosen] and columns == [*rows, plots.OTHERS]
    for row, index in enumerate(chosen):
        assert part[row, :-1].tolist() == counts[index, chosen].tolist()
        assert part[row].sum() == counts[index].sum()
    draw_confusion(tmp_path / "c.png", counts, labels, title="many")
    assert max(drawn(tmp_path / "c.png").shape) < 2000


def test_confusions_count_either_way_and_places_are_filled_up():
    counts = np.array([[9, 0, 1, 0], [0, 9, 0, 0], [1, 0, 9, 0], [0, 0, 0, 9]])
    assert plots.most_confused(counts, 2) == [0, 2]
    assert plots.most_confused(counts, 3) == [0, 1, 2]
    assert plots.most_confused(np.eye(4), 2) == [0, 1]
    counts[1, 3] = 3  # more than 1 + 1 either way
    assert plots.most_confused(counts, 2) == [1, 3]


def luminance(color):
    """WCAG 2.2, relative luminance."""
    parts = [value / 255 for value in color]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_counts_can_be_read_on_every_colour():
    for share in np.linspace(0, 1, 101):
        ink = plots.PAPER if share > plots.DARK else plots.INK
        light, dark = sorted((luminance(ink), luminance(shade(share))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) > 3.8


def test_no_name_is_cut_at_the_right_edge(tmp_path, monkeypatch):
    labels = ("a", "passing American football (in game)")
    draw_confusion(tmp_path / "c.png", np.eye(2, dtype=int), labels)
    image = drawn(tmp_path / "c.png")
    assert (image[:, -12:] == 255).all()
    dark = np.nonzero((image.min(axis=-1) < 128).any(axis=0))[0]
    assert dark.max() < image.shape[1] - 12
