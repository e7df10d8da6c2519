"""`classify_over_time` against `classify`, and `find_segments`: smoothing, gaps, minimum length."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from short_network import tiny_model

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import VideoError, WeightsError
from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.inference.feature_options import Features
from kinetics_i3d.inference.timeline import Segment, mean_over_windows, timeline_of, write_timeline

pytestmark = pytest.mark.slow
LABELS = ("run", "sit", "wave")


@pytest.fixture(scope="module")
def model():
    model = tiny_model()
    # Random weights predict nearly the same for everything; a louder classifier does not.
    kernel, bias = model.get_layer("Conv3d_0c_1x1").get_weights()
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel * 20, bias])
    return model


@pytest.fixture(scope="module")
def video():
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 48, 3), np.uint8)
    pixels[25:] //= 3
    return ki3d.VideoFrames(pixels, fps=10)


def test_windows_have_the_probabilities_of_their_frames(model, video):
    timeline = ki3d.classify_over_time(video, model, window=16, stride=8, tail="drop")
    clip = ki3d.load_clip(video, spec=model.clip_spec)
    expected = [softmax(np.asarray(model(clip[:, k : k + 16]))[0]) for k in range(0, 35, 8)]
    np.testing.assert_allclose(timeline.probabilities, expected, atol=1e-5)
    assert timeline.probabilities.dtype == np.float32 and len(timeline) == 5
    np.testing.assert_allclose(timeline.start, np.arange(0, 35, 8) / 10)
    np.testing.assert_allclose(timeline.end, np.arange(16, 51, 8) / 10)
    assert timeline.labels == ("sit", "stand", "wave")
    assert np.ptp(timeline.probabilities, axis=0).max() > 0.01


def test_one_pass_has_the_logits_of_each_step(model, video):
    timeline = ki3d.classify_over_time(video, model, window="whole")
    network = ki3d.feature_model(model, "Conv3d_0c_1x1")
    logits = np.asarray(network(ki3d.load_clip(video, spec=model.clip_spec)))[0, :, 0, 0]
    np.testing.assert_allclose(timeline.probabilities, softmax(logits), atol=1e-5)
    np.testing.assert_allclose(timeline.start, np.arange(len(logits)) * 0.8)
    np.testing.assert_allclose(timeline.end, np.minimum(timeline.start + 1.6, 5))


def test_classes_that_do_not_exclude_each_other_have_a_sigmoid(model, video):
    softmax_rows = ki3d.classify_over_time(video, model, window=16, stride=32)
    model.activation = "sigmoid"
    try:
        timeline = ki3d.classify_over_time(video, model, window=16, stride=32)
    finally:
        model.activation = "softmax"
    assert timeline.activation == "sigmoid" and softmax_rows.activation == "softmax"
    odds = np.log(timeline.probabilities / (1 - timeline.probabilities))
    np.testing.assert_allclose(softmax(odds), softmax_rows.probabilities, atol=1e-4)
    np.testing.assert_allclose(sigmoid(odds), timeline.probabilities, atol=1e-4)


def test_logits_of_two_streams_are_added(model):
    logits = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)  # rgb, then flow
    times = (np.arange(4.0), np.arange(4.0) + 2, np.arange(4.0) + 1)
    timeline = timeline_of(Features(logits, *times, {}), model, model.labels, path="v.mp4")
    expected = softmax(logits[:, :3] + logits[:, 3:])
    np.testing.assert_allclose(timeline.probabilities, expected, atol=1e-6)
    assert timeline.end.tolist() == [2, 3, 4, 5]


def test_logits_that_are_not_finite_are_refused(model):
    logits = np.full((1, 3), np.nan, np.float32)
    times = (np.zeros(1), np.ones(1), np.ones(1))
    with pytest.raises(WeightsError, match=r"the logits for v\.mp4 are not finite"):
        timeline_of(Features(logits, *times, {}), model, model.labels, path="v.mp4")


def test_rows_are_ready_for_json(model, video):
    timeline = ki3d.classify_over_time(video, model, window=16, stride=32, tail="drop")
    rows = list(timeline.to_dicts(top=2))
    assert [(row["start"], row["end"]) for row in rows] == [(0.0, 1.6), (3.2, 4.8)]
    best = timeline.probabilities[0].argmax()
    first = rows[0]["predictions"]
    assert first[0]["label"] == timeline.labels[best] and len(first) == 2
    assert first[0]["probability"] == pytest.approx(timeline.probabilities[0, best], abs=1e-6)
    json.dumps(rows)


def test_both_formats_hold_the_same(model, video, tmp_path):
    timeline = ki3d.classify_over_time(video, model, window=16, stride=16)
    segments = [Segment(0.0, 1.6, "sit, down", 0.9)]
    for name in ("jsonl", "csv"):
        paths = write_timeline(tmp_path / "v.1", timeline, segments, file_format=name, top=2)
        assert [path.name for path in paths] == [f"v.1.{name}", f"v.1.segments.{name}"]
    lines = [json.loads(line) for line in (tmp_path / "v.1.jsonl").read_text().splitlines()]
    with (tmp_path / "v.1.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * len(lines) == 2 * len(timeline)
    for row, (line, rank) in zip(table, ((x, k) for x in lines for k in (0, 1)), strict=True):
        best = line["predictions"][rank]
        assert float(row["start"]) == line["start"] and float(row["end"]) == line["end"]
        assert (row["video"], row["label"]) == (line["video"], best["label"])
        assert float(row["probability"]) == best["probability"]
    segment = {"video": timeline.path, "start": 0.0, "end": 1.6, "label": "sit, down", "score": 0.9}
    assert json.loads((tmp_path / "v.1.segments.jsonl").read_text()) == segment
    with (tmp_path / "v.1.segments.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{name: str(part) for name, part in segment.items()}]
    with pytest.raises(ValueError, match="`format` must be one of"):
        write_timeline(tmp_path / "v", timeline, [], file_format="tsv")


def test_names_that_are_not_utf_8_are_escaped(tmp_path):
    named = dataclasses.replace(timeline([RUN]), path="b\udcff.mp4")
    for name in ("jsonl", "csv"):
        path, _ = write_timeline(tmp_path / "v", named, [], file_format=name)
        assert "b\\udcff.mp4" in path.read_text()
    assert json.loads((tmp_path / "v.jsonl").read_text())["video"] == "b\udcff.mp4"


def test_what_is_no_classifier_is_refused(model, short):
    nameless = ki3d.InceptionI3D(architecture=short, classes=3)
    with pytest.raises(ValueError, match="must name its 3 classes"):
        ki3d.classify_over_time("nowhere.mp4", nameless)
    with pytest.raises(ValueError, match="`window` must be at least 9 frames"):
        ki3d.classify_over_time("nowhere.mp4", model, window=4)
    with pytest.raises(VideoError, match=r"nowhere\.mp4"):
        ki3d.classify_over_time("nowhere.mp4", model)


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


def test_a_gap_of_exactly_the_maximum_is_closed():
    """In floating point 2.2 - 1.2 is above 1."""
    part = ki3d.Timeline(
        "v.mp4",
        LABELS,
        np.array([RUN, NONE, RUN], np.float32),
        np.array([0.0, 1.2, 2.2]),
        np.array([1.2, 2.2, 3.2]),
        "softmax",
    )
    assert plain(ki3d.find_segments(part, max_gap=1.0)) == [(0, 3.2, "run")]


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
