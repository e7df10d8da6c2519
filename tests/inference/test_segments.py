"""`find_segments`: smoothing, threshold, gaps, minimum length and the background."""

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.inference.segments import mean_over_windows

LABELS = ("run", "sit", "wave")


def timeline(rows, *, window=1.0, stride=1.0, activation="softmax", end=None):
    """A `Timeline` of these probabilities of run, sit and wave."""
    start = np.arange(len(rows)) * stride
    stop = start + window if end is None else np.minimum(start + window, end)
    rows = np.array(rows, np.float32)
    return ki3d.Timeline("v.mp4", LABELS, rows, start, stop, activation)


def plain(segments):
    return [(segment.start, segment.end, segment.label) for segment in segments]


RUN, SIT, NONE = (0.8, 0.1, 0.1), (0.1, 0.7, 0.2), (0.4, 0.3, 0.3)


def test_equal_labels_in_a_row_are_one_segment_and_the_rest_is_background():
    segments = ki3d.find_segments(timeline([NONE, RUN, RUN, RUN, NONE, NONE, SIT, SIT]))
    assert plain(segments) == [(1, 4, "run"), (6, 8, "sit")]
    assert [segment.score for segment in segments] == pytest.approx([0.8, 0.7])


def test_windows_that_overlap_are_averaged():
    rows = [RUN, RUN, SIT, SIT]
    edges, means = mean_over_windows(timeline(rows, window=2.0))
    assert edges.tolist() == [0, 1, 2, 3, 4, 5]
    # By hand: window k covers k to k + 2.
    np.testing.assert_allclose(means[:, 0], [0.8, 0.8, 0.45, 0.1, 0.1], atol=1e-6)
    np.testing.assert_allclose(means[:, 1], [0.1, 0.1, 0.4, 0.7, 0.7], atol=1e-6)
    assert plain(ki3d.find_segments(timeline(rows, window=2.0))) == [(0, 2, "run"), (3, 5, "sit")]
    lower = ki3d.find_segments(timeline(rows, window=2.0), threshold=0.4)
    assert plain(lower) == [(0, 3, "run"), (3, 5, "sit")]
    assert lower[0].score == pytest.approx((0.8 + 0.8 + 0.45) / 3)


def test_a_stride_beyond_the_window_leaves_background_between():
    spread = timeline([RUN, RUN, RUN], stride=3.0)
    edges, means = mean_over_windows(spread)
    assert edges.tolist() == [0, 1, 3, 4, 6, 7]
    np.testing.assert_allclose(means[:, 0], [0.8, 0, 0.8, 0, 0.8], atol=1e-6)
    assert len(ki3d.find_segments(spread)) == 3
    (joined,) = ki3d.find_segments(spread, max_gap=2.0)
    assert plain([joined]) == [(0, 7, "run")]
    assert joined.score == pytest.approx(3 * 0.8 / 7)


def test_short_gaps_are_closed_unless_another_label_is_in_them():
    rows = [RUN, NONE, RUN, SIT, RUN]
    assert plain(ki3d.find_segments(timeline(rows), min_length=0)) == [
        (0, 3, "run"),
        (3, 4, "sit"),
        (4, 5, "run"),
    ]
    assert len(ki3d.find_segments(timeline(rows), min_length=0, max_gap=0.5)) == 4
    separate = timeline([RUN, NONE, SIT, NONE, RUN])
    assert len(ki3d.find_segments(separate, max_gap=3.0)) == 3


def test_gaps_are_closed_before_short_segments_are_left_out():
    rows = [RUN, NONE, RUN, NONE, NONE, NONE, SIT]
    assert plain(ki3d.find_segments(timeline(rows), min_length=2.5)) == [(0, 3, "run")]


def test_a_segment_of_exactly_the_minimum_length_stays():
    tenths = timeline([RUN] * 3, window=0.1, stride=0.1)
    assert len(ki3d.find_segments(tenths, min_length=0.3)) == 1
    assert ki3d.find_segments(tenths, min_length=0.31) == []


def test_only_labels_that_do_not_exclude_each_other_overlap():
    rows = [(0.9, 0.6, 0.0), (0.9, 0.6, 0.0), (0.2, 0.6, 0.0)]
    assert plain(ki3d.find_segments(timeline(rows))) == [(0, 2, "run"), (2, 3, "sit")]
    several = ki3d.find_segments(timeline(rows, activation="sigmoid"))
    assert plain(several) == [(0, 2, "run"), (0, 3, "sit")]


def test_the_last_window_ends_with_the_video():
    part = timeline([RUN, RUN], window=2.0, end=2.5)
    assert plain(ki3d.find_segments(part)) == [(0, 2.5, "run")]


def test_nothing_but_background_is_no_segment():
    assert ki3d.find_segments(timeline([NONE] * 5)) == []


def test_segments_are_ready_for_json():
    (segment,) = ki3d.find_segments(timeline([RUN] * 3, window=1 / 3, stride=1 / 3))
    assert segment.to_dict() == {"start": 0.0, "end": 1.0, "label": "run", "score": 0.8}


def test_a_long_timeline_keeps_its_precision():
    rows = np.tile(np.array([RUN, SIT, NONE], np.float32).repeat(2, axis=0), (10_000, 1))
    segments = ki3d.find_segments(timeline(rows))
    assert len(segments) == 20_000
    assert {round(segment.score, 5) for segment in segments} == {0.8, 0.7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0}, "`threshold` must be above 0 and at most 1. Received: threshold=0"),
        ({"threshold": 50}, "`threshold` must be"),
        ({"min_length": -1}, "`min_length` must be seconds, 0 or more"),
        ({"max_gap": float("nan")}, "`max_gap` must be seconds"),
    ],
)
def test_wrong_numbers_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        ki3d.find_segments(timeline([RUN]), **options)
