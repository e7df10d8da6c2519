"""`load_clip` and its parts against pixels and numbers that are known."""

import dataclasses

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND, FVD, MEDIAPIPE, ClipSpec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.clip import (
    center_crop,
    crop_frames,
    darken_outside_crop,
    load_clip,
    loop_frames,
    read_clip,
)
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

SMALL = ClipSpec("small", fps=25, short_side=64, size=64)


@pytest.fixture
def video(tmp_path, coded):
    """30 coded frames at 25 fps."""
    write_video(tmp_path / "a.mp4", (coded(k) for k in range(30)), fps=25)
    return tmp_path / "a.mp4"


@pytest.mark.parametrize(("pixel", "value"), [(0, -1.0), (255, 1.0)])
def test_black_and_white_are_the_ends_of_the_range(tmp_path, pixel, value):
    write_video(tmp_path / "a.mp4", np.full((4, 120, 160, 3), pixel, np.uint8), fps=25)
    clips = load_clip(tmp_path / "a.mp4")
    assert clips.shape == (1, 4, 224, 224, 3) and clips.dtype == np.float32
    assert (clips == np.float32(value)).all()


def test_other_ranges(tmp_path):
    write_video(tmp_path / "a.mp4", np.full((2, 64, 64, 3), 255, np.uint8), fps=25)
    spec = dataclasses.replace(SMALL, low=0.0, high=2.0)
    assert (load_clip(tmp_path / "a.mp4", spec=spec) == 2.0).all()


def test_channels_are_red_green_blue(tmp_path):
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[..., 0], frame[..., 1] = 255, 128
    write_video(tmp_path / "a.mp4", [frame] * 2, fps=25)
    red, green, blue = load_clip(tmp_path / "a.mp4", spec=SMALL)[0, 0, 30, 30]
    assert red > 0.95 and abs(green) < 0.05 and blue < -0.95


def test_whole_video_at_its_rate(video, numbers):
    assert numbers(read_clip(video, spec=SMALL)) == list(range(30))
    half = dataclasses.replace(SMALL, fps=12.5)
    assert numbers(read_clip(video, spec=half)) == list(range(0, 30, 2))


@pytest.mark.parametrize(
    ("start", "frames", "shown"),
    [
        (0.0, 5, [0, 1, 2, 3, 4]),
        (0.4, 5, [10, 11, 12, 13, 14]),
        (1.08, 3, [27, 28, 29]),
        (0.0, 64, [*range(30), *range(30), 0, 1, 2, 3]),
        (1.0, None, [25, 26, 27, 28, 29]),
    ],
)
def test_frames_and_start(video, numbers, start, frames, shown):
    assert numbers(read_clip(video, spec=SMALL, start=start, frames=frames)) == shown


@pytest.mark.parametrize(
    ("start", "frames", "shown"),
    [(1.08, 7, [27, 28, 29, 27, 28, 29, 27]), (1.16, 3, [29, 29, 29])],
)
def test_frames_after_a_late_start_are_repeated_with_a_warning(
    video, numbers, start, frames, shown
):
    with pytest.warns(UserWarning, match="are left after start="):
        clip = read_clip(video, spec=SMALL, start=start, frames=frames)
    assert numbers(clip) == shown


def test_requested_frames_bound_the_reading(video, decoded):
    read_clip(video, spec=SMALL, frames=3)
    assert len(decoded) <= 6


@pytest.mark.parametrize(("height", "width"), [(256, 400), (400, 256), (301, 256)])
def test_crop_is_the_center(tmp_path, height, width):
    ramp = np.zeros((2, height, width, 3), np.uint8)
    ramp[..., 0] = np.linspace(0, 255, height)[:, None]
    ramp[..., 1] = np.linspace(0, 255, width)
    write_video(tmp_path / "a.mp4", ramp, fps=25)
    clip = read_clip(tmp_path / "a.mp4")
    (frame, _) = read_frames(tmp_path / "a.mp4", fps=25, short_side=256)
    top, left = (frame.shape[0] - 224) // 2, (frame.shape[1] - 224) // 2
    assert np.array_equal(clip[0], frame[top : top + 224, left : left + 224])
    assert abs(int(clip[0, 112, 112, 0]) - 127) <= 3 and abs(int(clip[0, 112, 112, 1]) - 127) <= 3


def test_load_is_read_scaled(video):
    clips = load_clip(video, spec=SMALL, frames=9)
    assert np.array_equal(clips[0], SMALL.normalize(read_clip(video, spec=SMALL, frames=9)))


def test_spec_by_name(video):
    assert np.array_equal(load_clip(video, spec="deepmind", frames=2), load_clip(video, frames=2))
    assert DEEPMIND.name == "deepmind"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spec": "deepmnd"}, r"`spec`.*'deepmind'.*spec='deepmnd'.*Did you mean 'deepmind'\?"),
        ({"spec": "qqqq"}, r"`spec`.*'deepmind'.*spec='qqqq'$"),
        ({"spec": None}, "`spec`.*None"),
        ({"spec": ClipSpec("flow", stream="flow")}, "rgb.*stream='flow'"),
        ({"frames": 0}, "`frames`.*frames=0"),
        ({"frames": 2.5}, "`frames`.*2.5"),
        ({"start": -0.1}, "`start`.*-0.1"),
        ({"threads": 0}, "`threads`.*threads=0"),
    ],
)
@pytest.mark.parametrize("load", [load_clip, read_clip])
def test_wrong_arguments(load, change, words):
    with pytest.raises(ValueError, match=words):
        load("nowhere.mp4", **change)


@pytest.mark.parametrize("load", [load_clip, read_clip])
def test_bad_video_is_named(load, tmp_path, video):
    with pytest.raises(VideoError, match=r"gone\.mp4: there is no such file"):
        load(tmp_path / "gone.mp4")
    with pytest.raises(VideoError, match=r"a\.mp4: the video ends before start=2 "):
        load(video, start=2.0, frames=8)


@pytest.mark.parametrize(("height", "width"), [(5, 5), (8, 9), (9, 8), (7, 6)])
def test_center_crop(height, width):
    clip = np.arange(2 * height * width * 3).reshape(2, height, width, 3)
    crop = center_crop(clip, 5)
    assert crop.shape == (2, 5, 5, 3)
    assert np.array_equal(crop[:, 0, 0], clip[:, (height - 5) // 2, (width - 5) // 2])
    assert np.array_equal(crop[0], center_crop(clip[0], 5))
    with pytest.raises(ValueError, match=r"`size`.*size=99"):
        center_crop(clip, 99)


def test_loop_frames():
    clip = np.arange(3).reshape(3, 1, 1, 1)
    for frames, shown in [(1, [0]), (3, [0, 1, 2]), (8, [0, 1, 2, 0, 1, 2, 0, 1])]:
        assert loop_frames(clip, frames).ravel().tolist() == shown
    with pytest.raises(ValueError, match=r"`clip`"):
        loop_frames(clip[:0], 4)
    with pytest.raises(ValueError, match=r"`frames`.*frames=0"):
        loop_frames(clip, 0)


def triangle(picture, size, axis):
    """Bilinear resize along an axis: each new pixel is a mean weighted by a triangle that is as
    wide as the larger of an old and a new pixel, centers at half pixels."""
    old = picture.shape[axis]
    scale = max(1.0, old / size)
    centers = (np.arange(size) + 0.5) * old / size - 0.5
    weights = np.zeros((size, old))
    for row, center in enumerate(centers):
        for column in range(int(np.floor(center - scale)), int(np.ceil(center + scale)) + 1):
            weight = max(0.0, 1 - abs(column - center) / scale)
            weights[row, min(max(column, 0), old - 1)] += weight
    weights /= weights.sum(axis=1, keepdims=True)
    return np.moveaxis(np.tensordot(weights, picture, (1, axis)), 0, axis)


@pytest.mark.parametrize(("height", "width"), [(96, 160), (448, 300), (64, 64), (225, 224)])
def test_stretch_is_bilinear_to_a_square(mux, height, width):
    rows, columns = np.mgrid[:height, :width]
    gray = 128 + 60 * np.sin(rows / 9 + 1) + 50 * np.cos(columns / 7)
    frames = np.repeat(np.rint(gray).astype(np.uint8)[None, ..., None], 3, axis=-1)
    path = mux("a.mkv", [0], frames=list(frames), codec="ffv1", pix_fmt="bgra")
    clip = read_clip(path, spec=FVD)
    assert clip.shape == (1, 224, 224, 3)
    expected = triangle(triangle(frames[0].astype(float), 224, 0), 224, 1)
    error = np.abs(clip[0] - expected)
    assert error.mean() < 0.8 and error.max() <= 3
    loaded = load_clip(path, spec="fvd")
    np.testing.assert_allclose(loaded[0], clip / 127.5 - 1, atol=1e-6)


def test_stretch_keeps_what_a_crop_would_cut(mux):
    frame = np.zeros((64, 128, 3), np.uint8)
    frame[:, :8], frame[:, -8:] = (255, 0, 0), (0, 0, 255)
    path = mux("a.mkv", [0], frames=[frame], codec="ffv1", pix_fmt="bgra")
    clip = read_clip(path, spec=FVD)[0]
    assert clip[112, 3].tolist() == [255, 0, 0] and clip[112, -4].tolist() == [0, 0, 255]
    assert read_clip(path)[0].max() == 0


def test_area_takes_means_and_cubic_overshoots(mux):
    spec = ClipSpec("area", short_side=32, size=32, resize="height", interpolation="area_cubic")
    rng = np.random.default_rng(0)
    frame = np.repeat(rng.integers(0, 256, (96, 96, 1), np.uint8), 3, axis=-1)
    path = mux("noise.mkv", [0], frames=[frame], codec="ffv1", pix_fmt="bgra")
    means = frame.reshape(32, 3, 32, 3, 3).mean((1, 3))
    assert np.abs(read_clip(path, spec=spec)[0] - means).max() <= 2
    bilinear = dataclasses.replace(spec, interpolation="bilinear")
    assert np.abs(read_clip(path, spec=bilinear)[0] - means).max() > 10

    edge = np.full((16, 16, 3), 60, np.uint8)
    edge[:, 8:] = 190
    path = mux("edge.mkv", [0], frames=[edge], codec="ffv1", pix_fmt="bgra")
    cubic = read_clip(path, spec=spec)[0]
    assert cubic.min() < 57 and cubic.max() > 193
    plain = read_clip(path, spec=bilinear)[0]
    assert plain.min() >= 59 and plain.max() <= 191


def test_mediapipe_reads_wide_videos_and_refuses_narrow_ones(mux):
    for size, width in (((48, 64), 340), ((135, 239), 452), ((10, 18), 460), ((90, 79), 224)):
        path = mux(
            "a.mkv", [0], frames=[np.zeros((*size, 3), np.uint8)], codec="ffv1", pix_fmt="bgra"
        )
        (frame,) = read_frames(path, **{**MEDIAPIPE.reading, "fps": None})
        assert frame.shape == (256, width, 3)
        assert read_clip(path, spec="mediapipe").shape == (1, 224, 224, 3)
    path = mux(
        "up.mkv", [0], frames=[np.zeros((64, 48, 3), np.uint8)], codec="ffv1", pix_fmt="bgra"
    )
    with pytest.raises(
        VideoError, match=r"up\.mkv: 192 pixels wide .* 256, .*'mediapipe' crops 224"
    ):
        read_clip(path, spec="mediapipe")
    assert read_clip(path).shape == read_clip(path, spec="fvd").shape == (1, 224, 224, 3)


@pytest.mark.parametrize(("rotation", "size"), [(90, (256, 170)), (180, (256, 384))])
def test_sizes_are_those_of_the_upright_picture(mux, rotation, size):
    frames = [np.zeros((64, 96, 3), np.uint8)] * 2
    path = mux("a.mp4", [0, 40], frames=frames, rotation=rotation)
    assert next(read_frames(path, short_side=256, resize="height")).shape == (*size, 3)


def test_frames_that_do_not_fit_are_named_and_closed():
    closed = []

    def frames():
        try:
            yield np.zeros((256, 200, 3), np.uint8)
        finally:
            closed.append(True)

    with pytest.raises(VideoError, match=r"x\.mp4: 200 pixels wide"):
        next(crop_frames(frames(), spec=MEDIAPIPE, path="x.mp4"))
    assert closed == [True]


@pytest.mark.parametrize("change", [{"resize": "fit"}, {"interpolation": "cubic"}])
def test_reading_names_wrong_words(change):
    ((name, value),) = change.items()
    with pytest.raises(ValueError, match=f"`{name}` must be one of .*{value!r}"):
        read_frames("nowhere.mp4", **change)


def test_pixels_outside_the_crop_are_darkened():
    frame = np.full((120, 160, 3), 200, np.uint8)
    shown = darken_outside_crop(frame, ClipSpec("s", short_side=60, size=30))
    inside = np.zeros((120, 160), bool)
    inside[30:90, 50:110] = True  # 30 of 60 and of 80 pixels, twice as large
    assert (shown[inside] == 200).all() and (shown[~inside] == 100).all()
    assert (frame == 200).all()


def test_no_pixel_is_darkened_where_the_whole_picture_is_stretched():
    spec = ClipSpec("s", short_side=20, size=20, resize="stretch")
    assert (darken_outside_crop(np.full((40, 60, 3), 200, np.uint8), spec) == 200).all()
