"""Bounds on pixels, aspect and frames: what a file of a few bytes may cost."""

import fractions

import numpy as np
import pytest

from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.video.limits import VARIABLE, VideoLimits, current_limits
from kinetics_i3d.video.reader import read_frames, timed_frames
from kinetics_i3d.video.video_frames import VideoFrames
from kinetics_i3d.video.writer import write_video


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("extreme_aspect/wide16000x2.mp4", "16000 x 2 pixels cannot be resized"),
        ("huge_pictures/huge8192_x264_20frames.mp4", "pictures of 8192 x 8192 pixels"),
        ("time_bomb/fps_slow.mp4", "frames would be made of the first 2 pictures"),
        ("time_bomb/gaps3599_10frames.mkv", "frames would be made of the first 2 pictures"),
        ("time_bomb/tenhours_2frames.mp4", "frames would be made of the first 2 pictures"),
    ],
)
def test_shared_cases_are_refused_in_one_line(shared, name, reason):
    path = shared / "cases" / name
    with pytest.raises(VideoError) as raised:
        list(read_frames(path, fps=25, short_side=256))
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and reason in message and "\n" not in message


def test_pictures_of_too_many_pixels_are_refused(tmp_path, monkeypatch):
    write_video(tmp_path / "a.mp4", np.zeros((3, 48, 64, 3), np.uint8), fps=25)
    monkeypatch.setenv(VARIABLE, "pixels=3071")
    with pytest.raises(VideoError, match="pictures of 64 x 48 pixels; at most 3071"):
        next(read_frames(tmp_path / "a.mp4"))
    monkeypatch.setenv(VARIABLE, "pixels=3072")
    assert next(read_frames(tmp_path / "a.mp4")).shape == (48, 64, 3)


def test_resizes_to_too_many_pixels_are_refused(monkeypatch):
    frames = VideoFrames(np.zeros((2, 4, 300, 3), np.uint8), fps=25)
    assert next(read_frames(frames, short_side=8)).shape == (8, 600, 3)
    monkeypatch.setenv(VARIABLE, "pixels=4799")
    with pytest.raises(VideoError, match="short side of 8: 600 x 8 pixels, but at most 4799"):
        next(read_frames(frames, short_side=8))
    monkeypatch.setenv(VARIABLE, "aspect=74")
    with pytest.raises(VideoError, match="at most 74 times as long"):
        next(read_frames(frames, short_side=8))


@pytest.mark.parametrize("reader", [read_frames, timed_frames])
def test_few_pictures_do_not_become_very_many_frames(mux, monkeypatch, reader):
    path = mux("gap.mkv", [0, 40, 100_000])
    assert len(list(reader(path, fps=25))) == 2501
    monkeypatch.setenv(VARIABLE, "frames=1000,frames_per_picture=400")
    with pytest.raises(VideoError, match="2500 frames would be made of the first 3 pictures"):
        list(reader(path, fps=25))
    assert len(list(reader(path, fps=25, stop=2.0))) == 50  # no more than is asked for
    assert len(list(reader(path, fps=fractions.Fraction(1, 10)))) == 10


def test_the_variable_is_read_strictly(monkeypatch):
    monkeypatch.setenv(VARIABLE, "pixels=5, frames=7")
    assert current_limits() == VideoLimits(pixels=5, frames=7)
    for text in ("pixels", "pixels=-1", "pixels=0", "side=7", "5"):
        monkeypatch.setenv(VARIABLE, text)
        with pytest.raises(UserError, match=VARIABLE):
            current_limits()
