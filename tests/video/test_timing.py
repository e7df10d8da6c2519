"""`presentation_times` by itself, with pictures that are stamps only."""

import fractions

from kinetics_i3d.video.sampling import presentation_times

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
