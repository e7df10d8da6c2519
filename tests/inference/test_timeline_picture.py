"""`draw_timeline`: which labels are drawn, and where."""

import numpy as np
import pytest
from PIL import Image

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.figure import ACCENT, FILL, INK
from kinetics_i3d.inference import timeline_picture as module


def timeline(classes=400, windows=200, peaks=()):
    """A `Timeline` of 2-second windows; each peak is (class, first window, last window)."""
    probabilities = np.full((windows, classes), 0.1 / classes, np.float32)
    for label, first, last in peaks:
        probabilities[first : last + 1, label] = 0.9
    start = np.arange(windows, dtype=float) * 2
    labels = tuple(f"class {index}" for index in range(classes))
    return ki3d.Timeline("talk.mp4", labels, probabilities, start, start + 2)


def count(picture, color):
    wanted = [int(color[place : place + 2], 16) for place in (1, 3, 5)]
    return int((np.abs(picture.astype(int) - wanted).max(axis=-1) < 6).sum())


def test_areas_and_bars_are_as_long_as_their_segments(tmp_path):
    sizes = []
    for last in (49, 99):
        row = timeline(peaks=[(3, 0, last)])
        ki3d.draw_timeline(tmp_path / "t.png", row)
        picture = np.asarray(Image.open(tmp_path / "t.png").convert("RGB"))
        sizes.append((count(picture, FILL), count(picture, INK)))
    assert sizes[1][0] == pytest.approx(2 * sizes[0][0], rel=0.1)
    assert sizes[1][1] > 1.4 * sizes[0][1]
    assert picture.shape[1] < 1500


def test_colors_differ_in_lightness():
    def lightness(color):
        return sum(int(color[place : place + 2], 16) for place in (1, 3, 5)) / 3

    assert lightness(FILL) - lightness(ACCENT) > 80 and lightness(FILL) - lightness(INK) > 150


def drawn(monkeypatch):
    """The labels of the rows from top to bottom, once they are drawn."""
    names, plain = [], module._draw_row

    def draw_row(axes, label, *rest):
        names.append(label)
        plain(axes, label, *rest)

    monkeypatch.setattr(module, "_draw_row", draw_row)
    return names


def test_labels_stand_in_the_order_of_their_segments(tmp_path, monkeypatch):
    row = timeline(peaks=[(30, 100, 120), (7, 5, 9), (200, 40, 60)])
    names = drawn(monkeypatch)
    ki3d.draw_timeline(tmp_path / "t.png", row)
    assert names[:3] == ["class 7", "class 200", "class 30"] and len({*names}) == 5


def test_of_many_labels_those_with_the_longest_segments_are_drawn(tmp_path, monkeypatch):
    peaks = [(label, 10 * label, 10 * label + 1 + label % 7) for label in range(20)]
    row = timeline(peaks=peaks)
    names = drawn(monkeypatch)
    ki3d.draw_timeline(tmp_path / "t.png", row)
    assert len(names) == 12 and "class 6" in names and "class 7" not in names


def test_few_classes_have_a_row_each(tmp_path, monkeypatch):
    row = timeline(classes=2, windows=3)
    names = drawn(monkeypatch)
    ki3d.draw_timeline(tmp_path / "t.png", row, [], title="a title")
    assert names == ["class 0", "class 1"]


def test_no_peak_of_a_long_video_is_lost(monkeypatch):
    row = timeline(classes=3, windows=11_000, peaks=[(1, 7_000, 7_000)])
    edges, means = module.mean_over_windows(row)
    seconds, curves = module._thinned(edges, means)
    assert len(seconds) == len(curves) <= 2 * module._COLUMNS
    assert curves[:, 1].max() == pytest.approx(0.9)
    assert abs(seconds[curves[:, 1].argmax()] - 14_000) < 30


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (9.96, "0:10"), (75.5, "1:15.5"), (3600, "1:00:00"), (7325, "2:02:05")],
)
def test_clock(seconds, text):
    assert module.clock(seconds) == text


def test_the_name_must_be_that_of_a_picture(tmp_path):
    with pytest.raises(UserError, match=r"must end in \.png"):
        ki3d.draw_timeline(tmp_path / "t.pdf", timeline(classes=2, windows=3))
