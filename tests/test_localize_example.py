"""`examples/localize.py`: its mAP against cases computed by hand, and its segments."""

import importlib.util
import os
import pathlib
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def localize():
    spec = importlib.util.spec_from_file_location("localize", ROOT / "examples" / "localize.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_temporal_iou(localize):
    assert localize.temporal_iou((0, 4), (2, 6)) == pytest.approx(2 / 6)
    assert localize.temporal_iou((0, 4), (1, 3)) == pytest.approx(1 / 2)
    assert localize.temporal_iou((0, 1), (1, 2)) == localize.temporal_iou((0, 1), (5, 6)) == 0


def test_average_precision_of_cases_computed_by_hand(localize):
    def segments(*rows):
        return [
            localize.Event(video, start, end, "wave", *score) for video, start, end, *score in rows
        ]

    truth = segments(("a", 0, 10), ("a", 20, 30), ("b", 0, 10))
    # A hit, a second hit of the same one, which is wrong, and a hit: precision 1, 1/2, 2/3.
    detected = segments(("a", 0, 10, 0.9), ("a", 1, 10, 0.8), ("a", 21, 30, 0.7))
    assert localize.average_precision(detected, truth, 0.5) == pytest.approx((1 + 2 / 3) / 3)
    # The order is that of the scores; another video does not count; 0.4 is below 0.5.
    detected = segments(("b", 20, 30, 0.9), ("b", 0, 10, 0.8), ("a", 0, 4, 0.7))
    assert localize.average_precision(detected, truth, 0.5) == pytest.approx((1 / 2) / 3)
    assert localize.average_precision(detected, truth, 0.4) == pytest.approx((2 / 3 + 2 / 3) / 3)
    assert localize.average_precision([], truth, 0.5) == 0
    other = [localize.Event("a", 0, 5, "kick")]
    assert localize.mean_average_precision(truth + other, truth, 0.7) == 1
    assert localize.mean_average_precision(truth, truth + other, 0.7) == 0.5


def test_segments_of_right_windows_are_the_true_ones_and_a_shift_costs_precision(localize):
    labels = ["bow", "clap", "jump"]
    borders = [0.0, 2.2, 4.0, 6.4, 8.0]
    truth = [
        localize.Event("a.mp4", start, end, label)
        for start, end, label in zip(
            borders, borders[1:], ("jump", "bow", "clap", "bow"), strict=False
        )
    ]
    center = np.arange(100) * 0.08 + 0.04
    rows = types.SimpleNamespace(
        center=center, start=np.maximum(0, center - 0.64), end=np.minimum(8, center + 0.64)
    )
    path = pathlib.Path("a.mp4")
    classes = localize.classes_of(rows, path, truth, labels)
    probabilities = np.eye(3, dtype=np.float32)[classes]
    actions = labels[:2]
    detected = list(localize.events_of(path, rows, probabilities, labels, actions))
    wanted = [segment for segment in truth if segment.label in actions]
    assert [segment.label for segment in detected] == [segment.label for segment in wanted]
    for ours, theirs in zip(detected, wanted, strict=True):
        assert (ours.start, ours.end) == pytest.approx((theirs.start, theirs.end), abs=0.1)
    assert localize.mean_average_precision(detected, wanted, 0.9) == 1
    moved = [segment._replace(start=segment.start + 1, end=segment.end + 1) for segment in detected]
    assert localize.mean_average_precision(moved, wanted, 0.5) < 1


@pytest.mark.slow
@pytest.mark.skipif(
    not os.environ.get("KINETICS_I3D_PAGES"), reason="takes long; `make acceptance` runs this"
)
def test_a_shift_of_the_seconds_lowers_the_precision(localize):
    means = localize.main(["--long-videos", "3", "--each", "6"])
    assert max(means, key=means.get) == 0
    assert means[0] > 2 * max(means[-1], means[1])


def test_joined_videos_have_the_frames_and_the_truth_of_their_clips(localize, tmp_path):
    import kinetics_i3d as ki3d

    random = np.random.default_rng(0)
    clips = list(localize.figure_clips("test", ("bow", "wave"), 3, random))
    paths, truth = localize.join(clips, tmp_path, "test", each=3)
    assert [segment.label for segment in truth] == [label for label, _ in clips]
    assert truth[0].start == 0 and truth[1].start == truth[0].end
    assert truth[-1].end == pytest.approx(sum(len(frames) for _, frames in clips) / 25)
    frames = list(ki3d.read_frames(paths[0]))
    middle = len(clips[0][1]) + 5
    assert len(frames) == sum(len(part) for _, part in clips)
    assert np.abs(frames[middle].astype(float) - clips[1][1][5]).mean() < 8
