"""Sizes, colors and the way up of frames."""

import fractions

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation, VideoReformatter

from kinetics_i3d.video.painter import Painter, same_by_planes
from kinetics_i3d.video.reader import read_frames, video_info
from kinetics_i3d.video.writer import write_video

Fraction = fractions.Fraction


@pytest.mark.parametrize(
    ("size", "short_side", "shape"),
    [
        ((240, 320), 256, (256, 341)),
        ((320, 240), 256, (341, 256)),
        ((64, 64), 32, (32, 32)),
        ((50, 66), 25, (25, 33)),
        ((50, 66), None, (50, 66)),
    ],
)
def test_short_side_keeps_the_aspect(tmp_path, size, short_side, shape):
    write_video(tmp_path / "a.mp4", np.zeros((2, *size, 3), np.uint8), fps=25)
    (frame, _) = read_frames(tmp_path / "a.mp4", short_side=short_side)
    assert frame.shape == (*shape, 3) and frame.dtype == np.uint8


def test_resize_is_bilinear(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 128).astype(np.uint8)[None, :], 64, axis=0)
    write_video(tmp_path / "a.mkv", [np.repeat(ramp[..., None], 3, axis=2)], fps=25)
    (frame,) = read_frames(tmp_path / "a.mkv", short_side=32)
    assert np.abs(frame[16, :, 0].astype(int) - np.linspace(1, 254, 64)).max() <= 5


# What a player shows of: red at the top left, blue at the top right, green at the bottom left.
CORNERS = {"red": (9, 9), "blue": (9, -9), "green": (-9, 9), "white": (-9, -9)}


def corners(frame):
    names = {(1, 0, 0): "red", (0, 0, 1): "blue", (0, 1, 0): "green", (1, 1, 1): "white"}
    return [names[tuple((frame[y, x] > 127).astype(int).tolist())] for y, x in CORNERS.values()]


@pytest.mark.parametrize(
    ("rotation", "hflip", "shown"),
    [
        (0, False, ["red", "blue", "green", "white"]),
        (-90, False, ["green", "red", "white", "blue"]),  # Clockwise.
        (90, False, ["blue", "white", "red", "green"]),
        (180, False, ["white", "green", "blue", "red"]),
        (0, True, ["blue", "red", "white", "green"]),
    ],
)
def test_rotation_is_applied(mux, rotation, hflip, shown):
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48, 0] = frame[:32, 48:, 2] = frame[32:, :48, 1] = 255
    frame[32:, 48:] = 255
    path = mux("a.mp4", [0, 40], frames=[frame] * 2, rotation=rotation, hflip=hflip)
    size = (96, 64) if rotation in (90, -90) else (64, 96)
    for read in read_frames(path):
        assert read.shape == (*size, 3) and corners(read) == shown
    info = video_info(path)
    assert (info.height, info.width, info.rotation) == (*size, -rotation % 360)
    assert next(read_frames(path, short_side=32)).shape == (*(side // 2 for side in size), 3)


@pytest.mark.parametrize("colorspace", ["ITU601", "ITU709"])
@pytest.mark.parametrize("color_range", ["MPEG", "JPEG"])
def test_colors_follow_the_tags(mux, colorspace, color_range):
    frame = np.zeros((64, 96, 3), np.uint8)
    frame[:32, :48], frame[:32, 48:], frame[32:, :48] = (200, 40, 60), (30, 60, 210), (40, 190, 30)
    frame[32:, 48:] = 255
    colors = {
        "colorspace": av.video.reformatter.Colorspace[colorspace],
        "color_range": av.video.reformatter.ColorRange[color_range],
    }
    path = mux("a.mp4", [0], frames=[frame], colors=colors, options={"crf": "4"})
    (read,) = read_frames(path)
    for y, x in CORNERS.values():
        assert np.abs(read[y, x].astype(int) - frame[y, x]).max() <= 5


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mkv", "libx264", "yuv420p10le"),
        ("a.mkv", "libx264", "yuv444p"),
        ("a.mkv", "ffv1", "bgra"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_codecs_and_pixel_formats(mux, numbers, name, codec, pix_fmt):
    path = mux(name, range(8), tick=Fraction(1, 25), codec=codec, pix_fmt=pix_fmt)
    frames = list(read_frames(path))
    assert numbers(frames) == list(range(8))
    assert frames[0].max() <= 8 and frames[7][4, 4].min() >= 247


def test_size_change_in_midstream_keeps_the_first_size(mux, numbers, tmp_path):
    small = mux("small.h264", range(10), tick=Fraction(1, 25))
    big = np.zeros((128, 128, 3), np.uint8)
    other = mux("big.h264", range(10), frames=[big] * 10, tick=Fraction(1, 25))
    (tmp_path / "both.h264").write_bytes(small.read_bytes() + other.read_bytes())
    frames = list(read_frames(tmp_path / "both.h264"))
    assert {frame.shape for frame in frames} == {(64, 64, 3)}
    assert numbers(frames) == [*range(10), *[0] * 10]


def test_repeated_frames_are_apart(mux):
    path = mux("a.mp4", range(3), tick=Fraction(1, 5), rate=5)
    first, second = (frame for frame, _ in zip(read_frames(path, fps=25), range(2), strict=False))
    second[:] = 77
    assert not np.shares_memory(first, second) and first.max() == 0


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
