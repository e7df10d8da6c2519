"""`read_frames` and `video_info` over videos whose frames tell their own number."""

import fractions
import tracemalloc
import weakref

import numpy as np
import pytest

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video import reader
from kinetics_i3d.video.reader import read_frames, video_info
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.writer import write_video

Fraction = fractions.Fraction


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi", "a.ts", "a.flv", "a.h264"])
def test_every_container_gives_every_frame_once(mux, numbers, name):
    path = mux(name, range(40), tick=Fraction(1, 25))
    assert numbers(read_frames(path)) == list(range(40))
    assert numbers(read_frames(path, fps=25)) == list(range(40))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_time_begins_with_the_first_picture(mux, numbers, name):
    path = mux(name, [5000 + 40 * k for k in range(30)])
    assert numbers(read_frames(path, fps=25)) == list(range(30))
    assert numbers(read_frames(path, fps=25, start=0.4)) == list(range(10, 30))
    assert numbers(read_frames(path, fps=25, start=1.12)) == [28, 29]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.avi", "a.ts", "a.flv", "a.h264"])
@pytest.mark.parametrize("fps", [None, 25, 10])
def test_start_gives_the_frames_of_reading_from_the_beginning(mux, name, fps):
    path = mux(name, range(100), tick=Fraction(1, 25), gop=20)
    whole = list(read_frames(path, fps=fps))
    per_second = fps or 25
    for start in (0.2, 1.0, 1.6, 2.4, 3.2, 3.8):
        tail = list(read_frames(path, fps=fps, start=start))
        first = round(start * per_second)
        assert len(tail) == len(whole) - first
        assert all(map(np.array_equal, tail, whole[first:]))


def test_start_seeks(mux, numbers, decoded):
    path = mux("a.mp4", range(400), tick=Fraction(1, 25), gop=25)
    frames = read_frames(path, fps=25, start=12.0)
    assert numbers(next(frames) for _ in range(5)) == [300, 301, 302, 303, 304]
    frames.close()
    assert len(decoded) < 60


def test_seek_that_goes_too_far_is_taken_back(mux, numbers, monkeypatch):
    path = mux("a.mp4", range(200), tick=Fraction(1, 25), gop=25)
    right = Source.seek
    far = []

    def late(self, stamp):
        far.append(stamp)
        return right(self, stamp + int(3 / self.stream.time_base))

    monkeypatch.setattr(Source, "seek", late)
    assert numbers(read_frames(path, start=2.0, stop=2.2)) == [50, 51, 52, 53, 54]
    monkeypatch.setattr(Source, "seek", lambda self, stamp: False)
    assert numbers(read_frames(path, start=2.0, stop=2.2)) == [50, 51, 52, 53, 54]
    assert len(far) == 1


def test_start_and_stop(mux, numbers):
    path = mux("a.mp4", range(50), tick=Fraction(1, 25))
    assert numbers(read_frames(path, start=0.4, stop=0.6)) == [10, 11, 12, 13, 14]
    assert numbers(read_frames(path, fps=25, start=0.4, stop=0.6)) == [10, 11, 12, 13, 14]
    assert numbers(read_frames(path, fps=5, start=1.0, stop=1.8)) == [25, 30, 35, 40]
    assert numbers(read_frames(path, fps=25, stop=0.001)) == [0]
    assert numbers(read_frames(path, fps=25, stop=99)) == list(range(50))
    assert numbers(read_frames(path, start=1.97)) == [49]
    assert numbers(read_frames(path, fps=25, start=1.985)) == [49]


@pytest.mark.parametrize("start", [2.0, 2.5, 500])
@pytest.mark.parametrize("fps", [None, 25])
def test_start_behind_the_end_says_so(mux, start, fps):
    path = mux("a.mp4", range(50), tick=Fraction(1, 25))
    with pytest.raises(VideoError, match=rf"a\.mp4: the video ends before start={start:g} "):
        list(read_frames(path, fps=fps, start=start))


@pytest.mark.parametrize(
    "change",
    [
        {"fps": 0},
        {"fps": "25 fps"},
        {"start": -1},
        {"start": float("nan")},
        {"start": 2, "stop": 2},
        {"stop": float("inf")},
        {"short_side": 0},
        {"short_side": 12.5},
        {"threads": 0},
        {"threads": None},
    ],
)
def test_wrong_arguments_are_named_before_reading(change):
    name, value = list(change.items())[-1]
    with pytest.raises(ValueError, match=f"`{name}`.*{value!r}"):
        read_frames("nowhere.mp4", **change)


@pytest.mark.slow
def test_memory_is_bounded(mux):
    path = mux("a.mp4", range(900), tick=Fraction(1, 25), options={"preset": "ultrafast"})
    tracemalloc.start()
    assert sum(1 for _ in read_frames(path, fps=25)) == 900
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 64 * 64 * 3


def test_few_frames_decode_few_pictures(mux, decoded):
    path = mux("a.mp4", range(300), tick=Fraction(1, 25))
    frames = read_frames(path, fps=25)
    for _ in range(5):
        next(frames)
    assert len(decoded) <= 8


def test_whole_numbers_of_numpy_are_accepted(mux):
    path = mux("a.mp4", range(3), tick=Fraction(1, 25))
    options = {"short_side": np.int64(32), "threads": np.int32(1)}
    assert [frame.shape for frame in read_frames(path, **options)] == [(32, 32, 3)] * 3


def test_threads_change_nothing(mux):
    path = mux("a.mp4", range(60), tick=Fraction(1, 25))
    one, four = (list(read_frames(path, fps=25, threads=n)) for n in (1, 4))
    assert len(one) == len(four) == 60 and all(map(np.array_equal, one, four))


def test_video_info(mux, tmp_path):
    path = mux(
        "a.mp4", range(50), tick=Fraction(1, 25), frames=[np.zeros((48, 64, 3), np.uint8)] * 50
    )
    info = video_info(str(path))
    assert (info.width, info.height, info.rotation) == (64, 48, 0)
    assert (info.fps, info.duration, info.codec, info.path) == (25.0, 2.0, "h264", str(path))
    assert video_info(mux("a.h264", range(5))).duration is None


@pytest.mark.parametrize("count", [1, 3, 8, 9, 64, 65, 100])
def test_spread_frames_are_the_middles_of_equal_parts(tmp_path, count):
    # Frame k is gray of value 2k + 20, so a frame tells its number.
    frames = (np.full((48, 64, 3), 2 * number + 20, np.uint8) for number in range(count))
    write_video(tmp_path / "v.mp4", frames, fps=10)
    picked = reader.spread_frames(tmp_path / "v.mp4", 8, fps=10, short_side=48)
    assert len(picked) == min(8, count)
    times = [10 * seconds for seconds, _ in picked]
    numbers = [(frame.mean() - 20) / 2 for _, frame in picked]
    np.testing.assert_allclose(numbers, times, atol=1)
    ideal = [(part + 0.5) * count / len(picked) - 0.5 for part in range(len(picked))]
    np.testing.assert_allclose(times, ideal, atol=2)


def test_spread_frames_hold_few_frames_in_memory(monkeypatch):
    class Frame:
        def __init__(self):
            living.add(self)

    living, most = weakref.WeakSet(), []

    def endless(*args, **kwargs):
        for _ in range(5000):
            most.append(len(living))
            yield Frame()

    monkeypatch.setattr(reader, "read_frames", endless)
    assert len(reader.spread_frames("x", 4, fps=10, short_side=8)) == 4
    assert max(most) < 40


def test_spread_frames_refuses_wrong_counts_and_names_missing_files(tmp_path):
    for count in (0, 2.5):
        with pytest.raises(ValueError, match="`frames` must be a whole number above 0"):
            reader.spread_frames(tmp_path / "none.mp4", count, fps=10, short_side=48)
    with pytest.raises(VideoError, match=r"none\.mp4"):
        reader.spread_frames(tmp_path / "none.mp4", 2, fps=10, short_side=48)
