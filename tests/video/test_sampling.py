"""Which frames are sampled, from files whose frames tell their own number."""

import fractions
import math

import pytest

from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.sampling import at_rate, between, presentation_times

Fraction = fractions.Fraction


def expected(times, end, fps, start=0):
    """The sampling rule said again, slowly and over the whole list; times in exact seconds."""
    step = Fraction(1) / Fraction(fps)
    picked = []
    for k in range(max(1, math.floor((end - start) / step + Fraction(1, 2)))):
        tick = start + k * step
        # What rounds to this tick or an earlier one; of equally near ones the first.
        begun = [i for i, time in enumerate(times) if time - tick < step / 2]
        picked.append(min(begun, key=lambda i: (abs(times[i] - tick), i)))
    return picked


def regular(count, fps):
    return [Fraction(k) / Fraction(fps) for k in range(count)]


@pytest.mark.parametrize(
    ("name", "source"),
    [("a.mp4", 25), ("a.mkv", 25), ("a.mp4", Fraction(30000, 1001)), ("a.mkv", 30), ("a.mkv", 60)],
)
def test_own_rate_is_the_identity(tmp_path, mux, numbers, name, source):
    path = mux(name, range(80), tick=1 / Fraction(source), rate=source)
    assert numbers(read_frames(path, fps=source)) == list(range(80))
    assert numbers(read_frames(path, fps=float(source))) == list(range(80))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize(
    ("source", "fps"),
    [
        (50, 25),
        (30, 25),
        (12.5, 25),
        (25, 10),
        (15, 30),
        (100, 25),
        (10, 25),
        (24, 25),
        (29.97, 25),
    ],
)
def test_other_rates_follow_the_rule(mux, numbers, name, source, fps):
    rate = Fraction(source).limit_denominator(1001)
    path = mux(name, range(50), tick=1 / rate, rate=rate)
    frames = numbers(read_frames(path, fps=fps))
    assert frames == expected(regular(50, rate), 50 / rate, fps)


def test_rates_by_hand(mux, numbers):
    fifty = mux("50.mp4", range(20), tick=Fraction(1, 50), rate=50)
    assert numbers(read_frames(fifty, fps=25)) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    slow = mux("12.mp4", range(4), tick=Fraction(2, 25), rate=Fraction(25, 2))
    assert numbers(read_frames(slow, fps=25)) == [0, 0, 1, 1, 2, 2, 3, 3]
    thirty = mux("30.mkv", range(12), tick=Fraction(1, 30), rate=30)
    assert numbers(read_frames(thirty, fps=25)) == [0, 1, 2, 4, 5, 6, 7, 8, 10, 11]


def test_variable_rate_holds_a_picture_until_the_next(mux, numbers):
    ticks = [0, 40, 80, 400, 410, 420, 430, 440, 600, 640]
    path = mux("a.mkv", ticks, rate=25)
    frames = numbers(read_frames(path, fps=25))
    times = [Fraction(tick, 1000) for tick in ticks]
    assert frames == expected(times, Fraction(680, 1000), 25)
    assert frames[:12] == [0, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 7]


@pytest.mark.parametrize("bases", [(90000, 0), (0, 90000)])
def test_joined_files_start_a_new_clock(mux, numbers, tmp_path, bases):
    parts = [mux(f"{base}.ts", [base + 40 * k for k in range(30)]) for base in bases]
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    assert numbers(read_frames(tmp_path / "both.ts", fps=25)) == [*range(30), *range(30)]


@pytest.mark.parametrize("bases", [(90000, 0), (0, 90000)])
def test_a_span_of_joined_files_counts_from_their_beginning(mux, numbers, tmp_path, bases):
    parts = [mux(f"{base}.ts", [base + 40 * k for k in range(30)]) for base in bases]
    both = tmp_path / "both.ts"
    both.write_bytes(b"".join(part.read_bytes() for part in parts))
    whole = [*range(30), *range(30)]
    assert numbers(read_frames(f"{both}#t=1.2,1.6", fps=25)) == whole[30:40]
    assert numbers(read_frames(f"{both}#t=1.04", fps=25)) == whole[26:]


def test_times_cut_to_milliseconds_change_no_choice():
    # 15 fps, floored: at 0.1 s the second and the third are equally near, and the earlier stays.
    timed = [(Fraction(k * 1000 // 15, 1000), Fraction(66, 1000), k) for k in range(7)]
    assert list(at_rate(timed, fps=10)) == [0, 1, 3, 4, 6]
    # 30 fps, rounded up: the second picture begins at a thirtieth of a second.
    timed = [(Fraction(math.ceil(k * 1000 / 30), 1000), Fraction(33, 1000), k) for k in range(4)]
    assert list(between(timed, start=Fraction(1, 30))) == [1, 2, 3]
    assert list(between(timed, stop=Fraction(2, 30))) == [0, 1]


@pytest.mark.parametrize(("before", "picked"), [(120, 1), (124, 1), (126, 2), (200, 2)])
def test_at_high_rates_a_quarter_of_a_step_makes_pictures_equally_near(before, picked):
    # A picture is at the second tick, 500; the one before it stays if it is hardly further away.
    times = [0, 500 - before, 500, 1000]
    timed = [(Fraction(time, 100_000), Fraction(1, 200), k) for k, time in enumerate(times)]
    assert list(at_rate(timed, fps=200))[1] == picked


@pytest.mark.parametrize("rounded", [math.floor, math.ceil])
@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30000, 1001), 60])
def test_a_span_from_picture_to_picture_has_these_of_times_in_milliseconds(fps, rounded):
    times = [time * 1000 for time in regular(60, fps)]
    timed = [(Fraction(rounded(time), 1000), 1 / Fraction(fps), k) for k, time in enumerate(times)]
    for first in range(50):
        span = {"start": first / Fraction(fps), "stop": (first + 7) / Fraction(fps)}
        assert list(between(timed, **span)) == [*range(first, first + 7)]


Fraction = fractions.Fraction


class TestClock:
    """`presentation_times` by itself, in ticks of a second at 1 frame a second."""

    @staticmethod
    def run(ticks, duration=1, **options):
        class Picture:
            def __init__(self, pts):
                self.pts, self.duration = pts, duration

        options = {"tick": Fraction(1), "rate": Fraction(1)} | options
        return [(t, n) for t, n, _ in presentation_times(map(Picture, ticks), **options)]

    def test_missing_times_count_on(self):
        assert [t for t, _ in self.run([None, None, None])] == [0, 1, 2]
        assert [t for t, _ in self.run([4, None, 6, None])] == [0, 1, 2, 3]
        assert [t for t, _ in self.run([None, 9, 10])] == [0, 1, 2]

    def test_unknown_length_is_the_gap_before(self):
        assert self.run([0, 2, 5], duration=0) == [(0, 1), (2, 2), (5, 3)]

    def test_never_runs_backward(self):
        assert [t for t, _ in self.run([0, 2, 1, 3])] == [0, 2, 2, 3]

    def test_new_clock(self):
        assert [t for t, _ in self.run([100, 101, 0, 3])] == [0, 1, 2, 5]
        assert [t for t, _ in self.run([0, 1, 900, 901], discontinuous=True)] == [0, 1, 2, 3]
        assert [t for t, _ in self.run([0, 1, 900, 901])] == [0, 1, 900, 901]

    def test_first_sets_zero(self):
        assert [t for t, _ in self.run([107, 108], first=100)] == [7, 8]
