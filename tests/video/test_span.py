"""Spans behind paths: what is read of a span is that part of the whole video, to the frame."""

import fractions

import numpy as np
import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.clip import read_clip
from kinetics_i3d.video.reader import read_frames, video_info
from kinetics_i3d.video.span import Span, split_span
from kinetics_i3d.video.writer import write_video


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """64 frames at 25 a second; the gray level of frame k is 4 k."""
    path = tmp_path_factory.mktemp("span") / "a #1.mp4"
    write_video(path, [np.full((48, 64, 3), 4 * k, np.uint8) for k in range(60)], fps=25)
    return path


def shown(path, **options):
    return [round(frame.mean() / 4) for frame in read_frames(path, **options)]


@pytest.mark.parametrize(
    ("fragment", "frames"),
    [
        ("#t=0.4,0.8", range(10, 20)),
        ("#t=0.41,0.79", range(10, 20)),  # the nearest frames
        ("#t=1.2,1.8", range(30, 45)),  # found by a seek
        ("#t=2.2", range(55, 60)),
        ("#t=2.2,9", range(55, 60)),
        ("#t=,0.2", range(5)),
        ("#t=0.4,0.41", range(10, 11)),
        ("", range(60)),
    ],
)
def test_a_span_is_that_part_of_the_video(video, fragment, frames):
    assert shown(f"{video}{fragment}", fps=25) == list(frames)


def test_start_and_stop_count_from_the_beginning_of_the_span(video):
    path = f"{video}#t=0.4,0.8"
    assert shown(path, fps=25, start=0.2) == list(range(15, 20))
    assert shown(path, fps=25, start=0.2, stop=0.32) == [15, 16, 17]
    assert shown(path, fps=25, stop=9) == list(range(10, 20))
    assert shown(path) == list(range(10, 20))  # as stored
    with pytest.raises(VideoError, match="the span ends before start"):
        shown(path, fps=25, start=0.4)
    with pytest.raises(VideoError, match="the video ends before start=3"):
        shown(f"{video}#t=3,4", fps=25)


def test_a_span_is_known_by_its_length(video):
    assert video_info(video).duration == pytest.approx(2.4)
    assert video_info(f"{video}#t=0.4,0.8").duration == pytest.approx(0.4)
    assert video_info(f"{video}#t=2,9").duration == pytest.approx(0.4)
    assert len(read_clip(f"{video}#t=0.4,0.8", spec="deepmind")) == 10


@pytest.mark.parametrize(
    "span", [Span(5, 15), Span(0.1, 0.30001), Span(3), Span(1234567.25, 1234567.5)]
)
def test_spans_are_read_as_they_are_written(span):
    assert split_span(span.located("a#t=b.mp4")) == ("a#t=b.mp4", span)


def test_paths_without_a_span_stay_as_they_are():
    for path in ("a.mp4", "#2 !film.avi", "a#t=.mp4", "a#t=x,y", "a#t="):
        assert split_span(path) == (path, None)
    with pytest.raises(VideoError, match=r"a\.mp4#t=3,2: the end of the part must be after"):
        split_span("a.mp4#t=3,2")


def test_frames_of_a_span_are_whole_frames_of_the_video():
    assert Span(1, 2).ticks(fractions.Fraction(5, 2)) == (3, 5)
    assert Span(1, 1.01).ticks(fractions.Fraction(25)) == (25, 26)
    assert Span(1).ticks(fractions.Fraction(25)) == (25, None)
