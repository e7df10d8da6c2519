"""`classify_over_time`: the probabilities of `classify` for each window, and their seconds."""

import csv
import json

import numpy as np
import pytest
from short_network import tiny_model

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.inference.feature_options import Features
from kinetics_i3d.inference.segments import Segment
from kinetics_i3d.inference.timeline import timeline_of, write_timeline

pytestmark = pytest.mark.slow


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


def test_what_is_no_classifier_is_refused(model, short):
    nameless = ki3d.InceptionI3D(architecture=short, classes=3)
    with pytest.raises(ValueError, match="must name its 3 classes"):
        ki3d.classify_over_time("nowhere.mp4", nameless)
    with pytest.raises(ValueError, match="`window` must be at least 9 frames"):
        ki3d.classify_over_time("nowhere.mp4", model, window=4)
    with pytest.raises(VideoError, match=r"nowhere\.mp4"):
        ki3d.classify_over_time("nowhere.mp4", model)
