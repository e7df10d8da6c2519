"""Painting by way of planes gives the pixels of swscale's plain conversion, to the bit."""

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

from kinetics_i3d.video.painter import Painter, same_by_planes

FLAGS = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
FORMATS = ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv420p10le", "nv12", "gray")
# Stored (height, width) and the short side after it: same, smaller, hardly smaller, larger, odd.
SIZES = [
    ((64, 96), 64),
    ((240, 320), 112),
    ((176, 134), 133),
    ((260, 340), 259),
    ((258, 344), 256),
    ((282, 344), 256),
    ((48, 64), 60),
    ((49, 65), 49),
    ((121, 75), 33),
]


def noise(height, width, pix_fmt, colorspace=None, color_range=None):
    """A picture of random pixels, all of which are rounded somehow."""
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    picture = picture.reformat(format=pix_fmt, threads=1)
    if colorspace is not None:
        picture.colorspace, picture.color_range = colorspace, color_range
    return picture


def plainly(picture, size):
    """By one call of swscale."""
    options = {"interpolation": FLAGS, "threads": 1, "format": "rgb24"}
    painted = VideoReformatter().reformat(picture, width=size[1], height=size[0], **options)
    return painted.to_ndarray()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("pix_fmt", FORMATS)
def test_pixels_are_those_of_the_plain_conversion(size, pix_fmt):
    (height, width), short_side = size
    picture = noise(height, width, pix_fmt)
    found = Painter(short_side)(picture)
    np.testing.assert_array_equal(found, plainly(picture, found.shape))


@pytest.mark.parametrize("colorspace", [1, 2, 5, 6, 7, 9])
@pytest.mark.parametrize("color_range", [0, 1, 2])
@pytest.mark.parametrize("short_side", [64, 40])
def test_tags_of_color_change_nothing_of_it(colorspace, color_range, short_side):
    picture = noise(64, 96, "yuv420p", colorspace, color_range)
    found = Painter(short_side)(picture)
    np.testing.assert_array_equal(found, plainly(picture, found.shape))


def test_the_way_by_planes_is_taken_where_it_pays():
    assert same_by_planes(noise(256, 340, "yuv420p"), 256)
    assert same_by_planes(noise(720, 1280, "yuv420p"), 256)
    assert not same_by_planes(noise(240, 320, "yuv420p"), 256)


def test_no_size_is_an_exception():
    random = np.random.default_rng(0)
    taken = 0
    for _ in range(600):
        height, width = 2 * random.integers(4, 200), random.integers(8, 160)
        lines = height if random.random() < 0.2 else random.integers(4, height + 1)
        picture = noise(height, width, "yuv420p")
        if not same_by_planes(picture, lines):
            continue
        taken += 1
        columns = int(random.integers(4, 200))
        planes = VideoReformatter().reformat(
            picture, columns, int(lines), "gbrp", interpolation=FLAGS, threads=1
        )
        packed = VideoReformatter().reformat(planes, format="rgb24", threads=1).to_ndarray()
        np.testing.assert_array_equal(packed, plainly(picture, (int(lines), columns)))
    assert taken > 300
