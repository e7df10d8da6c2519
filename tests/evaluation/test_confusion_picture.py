"""`draw_confusion`: every cell in its place and colour, from 2 to 60 classes."""

import numpy as np
import pytest

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation import picture
from kinetics_i3d.evaluation.picture import draw_confusion, row_shares, shade


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
    monkeypatch.setattr(picture.Canvas, "text", lambda *args, **kwargs: None)
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
    assert shade(0) == (255, 255, 255) and shade(1) == picture.RAMP[-1]
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
