"""`timed_frames`: the seconds of a frame are those at which its picture is shown."""

import fractions

import numpy as np
import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.reader import read_frames, timed_frames
from kinetics_i3d.video.video_frames import VideoFrames

Fraction = fractions.Fraction
RATES = {"15": Fraction(15), "24": Fraction(24), "29.97": Fraction(30000, 1001), "60": Fraction(60)}


def check(timed, shown_at, fps, numbers):
    """Holds (begin, end, frame) against the times at which the numbered pictures appear."""
    begins, ends, frames = zip(*timed, strict=True)
    assert list(begins[1:]) == list(ends[:-1])
    assert all(begin < end for begin, end in zip(begins, ends, strict=True))
    half = 1 / Fraction(fps) / 2
    for place, (begin, number) in enumerate(zip(begins, numbers(frames), strict=True)):
        tick = Fraction(place) / fps
        # Repeated pictures keep to the sampling grid, where they are still on the screen.
        expected = shown_at[number] if shown_at[number] >= tick - half else tick
        assert begin == pytest.approx(expected, abs=1e-9)
        assert begin >= shown_at[number]


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("fps", [25, 10])
def test_times_are_those_of_the_pictures_at_any_rate(mux, numbers, name, fps):
    rate = RATES[name]
    path = mux("a.mp4", range(70), tick=1 / rate, rate=rate)
    timed = list(timed_frames(path, fps=fps))
    check(timed, [number / rate for number in range(70)], fps, numbers)
    assert timed[-1][1] == 70 / rate
    assert numbers(frame for *_, frame in timed) == numbers(read_frames(path, fps=fps))


@pytest.mark.parametrize("first", [0, 5000])
def test_times_of_a_variable_rate_count_from_the_first_picture(mux, numbers, first):
    gaps = np.random.default_rng(0).integers(8, 140, 60)
    gaps[20] = 1500  # a slide
    ticks = [int(tick) for tick in np.cumsum(gaps) - gaps[0]]
    path = mux("a.mkv", [first + tick for tick in ticks])
    timed = list(timed_frames(path, fps=25))
    check(timed, [Fraction(tick, 1000) for tick in ticks], 25, numbers)


def test_a_slide_counts_on_while_it_is_shown(mux, numbers):
    path = mux("a.mp4", [0, 40, 80, 1080, 1120])
    timed = list(timed_frames(path, fps=25))
    assert numbers(frame for *_, frame in timed[2:27]) == [2] * 25
    assert [float(begin) for begin, *_ in timed[:28]] == pytest.approx(np.arange(28) / 25)


def test_times_of_a_span_are_those_of_the_whole_video(mux, numbers):
    path = mux("a.mp4", range(200), tick=Fraction(1, 50), rate=50)
    whole = [(begin, end) for begin, end, _ in timed_frames(path, fps=25, pixels=False)]
    part = list(timed_frames(f"{path}#t=1.2,2", fps=25))
    assert [(begin, end) for begin, end, _ in part] == whole[30:50]
    assert numbers(frame for *_, frame in part) == list(range(60, 100, 2))


@pytest.mark.parametrize("stop", [Fraction(39, 100), Fraction(2, 5), Fraction(41, 100)])
def test_the_last_frame_ends_where_the_video_or_the_span_does(coded_video, stop):
    timed = list(timed_frames(coded_video(10), fps=25, stop=stop))
    assert len(timed) == 10 and timed[-1][:2] == (Fraction(9, 25), min(stop, Fraction(2, 5)))


def test_frames_without_pixels_are_none_and_timed_alike(coded_video):
    path = coded_video(20, fps=30)
    with_pixels, without = (list(timed_frames(path, fps=25, pixels=p)) for p in (True, False))
    assert [times for *times, _ in with_pixels] == [times for *times, _ in without]
    assert {frame for *_, frame in without} == {None}


def test_repeated_frames_share_no_memory_and_arrays_are_timed(numbers):
    video = VideoFrames(np.zeros((5, 32, 32, 3), np.uint8), fps=5)
    timed = list(timed_frames(video, fps=10))
    assert [float(begin) for begin, *_ in timed] == [k / 10 for k in range(10)]
    timed[0][2][:] = 1
    assert not timed[1][2].any() and float(timed[-1][1]) == 1.0


def test_a_start_behind_the_end_is_refused(coded_video):
    with pytest.raises(VideoError, match="the video ends before start=9 seconds"):
        list(timed_frames(coded_video(20), fps=25, start=9))
