"""`Canvas`: boxes of exact size, text that fits, a whole picture or none."""

import builtins
import sys

import numpy as np
import pytest

from kinetics_i3d.core import canvas as drawing
from kinetics_i3d.core.canvas import ACCENT, PAPER, Canvas, check_picture_path, fit_text, text_width
from kinetics_i3d.core.errors import UserError

LONG = "passing American football (in game)"


def pixels(canvas):
    return np.asarray(canvas.image)


def inked(canvas):
    """(left, top, right, bottom) of all that is not paper."""
    rows, columns = np.nonzero((pixels(canvas) != PAPER).any(axis=-1))
    return columns.min(), rows.min(), columns.max(), rows.max()


def test_a_box_covers_exactly_its_pixels():
    canvas = Canvas(40, 30)
    canvas.box((5, 7), (10, 4), ACCENT)
    colored = (pixels(canvas) == ACCENT).all(axis=-1)
    assert colored.sum() == 40 and colored[7:11, 5:15].all()
    canvas.box((0, 0), (0, 4), ACCENT)
    canvas.box((20, 20), (1, 9), ACCENT, radius=4)
    assert (pixels(canvas) == ACCENT).all(axis=-1).sum() == 49


@pytest.mark.parametrize("width", [40, 90, 150])
def test_text_is_shortened_to_its_width_and_no_further(width):
    text = fit_text(LONG, size=16, width=width)
    assert text.endswith("…") and LONG.startswith(text[:-1])
    assert text_width(text, size=16) <= width
    longer = LONG[: len(text)] + "…"
    assert text_width(longer, size=16) > width or longer.endswith(" …")
    canvas = Canvas(200, 40)
    canvas.text((0, 20), LONG, size=16, width=width)
    left, _, right, _ = inked(canvas)
    assert left < 5 and right <= width


def test_text_that_fits_is_left_alone():
    assert fit_text("wave", size=16, width=100) == "wave"
    assert fit_text("a\nb\udcff", size=16, width=100) == "a\ufffdb\ufffd"


def test_pasted_pixels_are_kept_and_resized():
    canvas = Canvas(30, 30)
    block = np.full((4, 6, 3), (10, 20, 30), np.uint8)
    canvas.paste((2, 3), block)
    assert (pixels(canvas)[3:7, 2:8] == block).all()
    canvas.paste((10, 10), block, size=(12, 8))
    assert (pixels(canvas)[10:18, 10:22] == (10, 20, 30)).all()
    assert (pixels(canvas)[18, 10] == PAPER).all()


def test_a_failure_leaves_no_file(tmp_path, monkeypatch):
    from PIL import Image

    def fail(self, path, **options):
        path.write_bytes(b"half")
        raise OSError("disk full")

    canvas = Canvas(4, 4)
    with monkeypatch.context() as patch:
        patch.setattr(Image.Image, "save", fail)
        with pytest.raises(OSError, match="disk full"):
            canvas.save(tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []
    canvas.save(tmp_path / "new" / "out.PNG")
    with Image.open(tmp_path / "new" / "out.PNG") as image:
        assert image.size == (4, 4)


@pytest.mark.parametrize("name", ["out", "out.jpg", "out.png.txt"])
def test_only_png(name):
    with pytest.raises(UserError, match=r"must end in \.png"):
        check_picture_path(name)


def test_a_missing_pillow_is_one_clear_error(monkeypatch, tmp_path):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "PIL":
            raise ImportError(name)
        return plain(name, *args, **kwargs)

    drawing.font.cache_clear()
    monkeypatch.delitem(sys.modules, "PIL", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    for call in (lambda: Canvas(2, 2), lambda: check_picture_path(tmp_path / "a.png")):
        with pytest.raises(UserError, match=r"^Pictures need Pillow: pip install 'kinetics-i3d\["):
            call()
