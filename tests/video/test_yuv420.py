"""The compiled conversion of 4:2:0 pictures gives swscale's pixels, to the bit, or is not taken."""

import fractions
import itertools
import sys

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

import kinetics_i3d.video
from kinetics_i3d.video import painter as pictures
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

pytest.importorskip("numba", reason="needs numba, an extra")

from kinetics_i3d.video import yuv420

FLAGS = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)


@pytest.fixture
def quick(monkeypatch):
    """The numbers of pictures that the shortcut painted, by size."""
    painted = []

    class Counted(yuv420.Shortcut):
        def paint(self, picture):
            rgb = super().paint(picture)
            if rgb is not None:
                painted.append(rgb.shape)
            return rgb

    yuv420.compile_kernel()
    monkeypatch.setattr(pictures.Painter, "shortcut", Counted)
    return painted


def noise(size, seed=0, pix_fmt="yuv420p", colorspace=2, color_range=0):
    """A picture whose planes are random numbers, colors that no camera makes among them."""
    random = np.random.default_rng(seed)
    picture = av.VideoFrame(size[1], size[0], pix_fmt)
    for plane in picture.planes:
        plane.update(random.integers(0, 256, plane.buffer_size, np.uint8).tobytes())
    picture.colorspace, picture.color_range = colorspace, color_range
    return picture


def plainly(picture):
    """By one call of swscale."""
    options = {"interpolation": FLAGS, "threads": 1, "format": "rgb24"}
    size = {"width": picture.width, "height": picture.height}
    return VideoReformatter().reformat(picture, **size, **options).to_ndarray()


@pytest.mark.slow
@pytest.mark.parametrize("colorspace", [1, 2, 5, 6])
@pytest.mark.parametrize("color_range", [0, 1, 2])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p"])
@pytest.mark.parametrize("size", [(64, 96), (8, 10), (2, 2), (98, 134)])
def test_pixels_are_those_of_swscale(quick, size, pix_fmt, color_range, colorspace):
    options = {"pix_fmt": pix_fmt, "colorspace": colorspace, "color_range": color_range}
    paint = pictures.Painter()
    for seed in range(4):
        picture = noise(size, seed, **options)
        np.testing.assert_array_equal(paint(picture), plainly(picture))
    assert len(quick) == (3 if size != (2, 2) else 0)  # one column tells no siting


@pytest.mark.parametrize(("codec", "name"), [("libx264", "a.mp4"), ("mpeg1video", "a.mpg")])
def test_chroma_lies_where_the_codec_puts_it(mux, quick, monkeypatch, codec, name):
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (6, 64, 96, 3), np.uint8)
    frames = [np.repeat(np.repeat(frame[::8, ::8], 8, 0), 8, 1) for frame in frames]
    path = mux(name, range(6), tick=fractions.Fraction(1, 25), frames=frames, codec=codec)
    found = list(read_frames(path))
    assert len(quick) >= len(found) - 1
    monkeypatch.setattr(pictures.Painter, "shortcut", None)
    np.testing.assert_array_equal(found, list(read_frames(path)))


def test_the_two_sitings_differ():
    numbers = yuv420.coefficients(yuv420.BT601, full=False)
    first, second = (yuv420.converted(noise((64, 96)), w, numbers) for w in yuv420.SITINGS)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize(
    "options",
    [
        {"colorspace": 9},  # BT.2020: its matrix is not in the table
        {"pix_fmt": "yuv422p"},
        {"size": (63, 96)},
        {"size": (64, 95)},
    ],
)
def test_other_pictures_are_left_to_swscale(quick, options):
    paint = pictures.Painter()
    for seed in range(3):
        picture = noise(**{"size": (64, 96), "seed": seed, **options})
        np.testing.assert_array_equal(paint(picture), plainly(picture))
    assert not quick


def test_another_size_or_filter_is_left_to_swscale(quick):
    for paint in (pictures.Painter(32), pictures.Painter(64, interpolation="area_cubic")):
        for seed in range(3):
            paint(noise((64, 96), seed))
    assert not quick


def test_other_tags_in_mid_stream_are_learned_anew(quick):
    paint = pictures.Painter()
    for colorspace in (5, 1, 5, 1):
        picture = noise((64, 96), colorspace, colorspace=colorspace)
        np.testing.assert_array_equal(paint(picture), plainly(picture))
    assert len(quick) == 2


def test_what_swscale_paints_otherwise_is_never_taken(quick, monkeypatch):
    monkeypatch.setitem(yuv420.MATRICES, 5, (104597, 132201, 25675, 53180))
    paint = pictures.Painter()
    for seed in range(3):
        picture = noise((64, 96), seed, colorspace=5)
        np.testing.assert_array_equal(paint(picture), plainly(picture))
    assert not quick


def test_a_video_without_color_is_not_compared_for_ever(quick, monkeypatch):
    calls = []
    converted = yuv420.converted
    monkeypatch.setattr(yuv420, "converted", lambda *a: calls.append(1) or converted(*a))
    paint = pictures.Painter()
    for seed in range(yuv420.TRIES + 9):
        picture = noise((16, 16), seed)
        for plane in picture.planes[1:]:
            plane.update(b"\x80" * plane.buffer_size)
        np.testing.assert_array_equal(paint(picture), plainly(picture))
    assert len(calls) == 2 * yuv420.TRIES and not quick


def test_frames_are_the_same_and_share_no_memory(tmp_path, quick, monkeypatch):
    random = np.random.default_rng(0)
    write_video(tmp_path / "a.mp4", random.integers(0, 256, (9, 48, 64, 3), np.uint8), fps=25)
    found = list(read_frames(tmp_path / "a.mp4", fps=50))
    assert quick
    for one, other in itertools.pairwise(found):
        assert not np.shares_memory(one, other) and one.flags.writeable
    monkeypatch.setattr(pictures.Painter, "shortcut", None)
    np.testing.assert_array_equal(found, list(read_frames(tmp_path / "a.mp4", fps=50)))


def test_the_shortcut_is_taken_where_numba_compiles_it(monkeypatch):
    monkeypatch.setattr(pictures.Painter, "shortcut", None)
    pictures.compile_shortcut()
    assert pictures.Painter.shortcut is yuv420.Shortcut


def test_a_numba_that_cannot_be_imported_changes_nothing(tmp_path, monkeypatch):
    for name in ("kinetics_i3d.video.yuv420", "kinetics_i3d.core.compiled", "numba"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.delattr(kinetics_i3d.video, "yuv420")
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 1 or less')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(pictures.Painter, "shortcut", None)
    pictures.compile_shortcut()
    assert pictures.Painter.shortcut is None
