"""`evaluate` against a loop by hand: whole videos, long ones in windows, damaged ones left out."""

import functools

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import Video, VideoDataset
from kinetics_i3d.evaluation import protocols
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("tiny", fps=10, short_side=36, size=32)
LABELS = ("sit", "stand", "wave")
LENGTHS = {"short": 5, "usual": 16, "long": 34}


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(1)
    model = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=3)
    model.clip_spec, model.labels = SPEC, LABELS
    kernel, bias = model.get_layer("Conv3d_0c_1x1").get_weights()
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel * 200, bias])
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for name, count in LENGTHS.items():
        frames = rng.integers(0, 256, (count, 48, 64, 3), np.uint8)
        write_video(folder / f"{name}.mp4", frames, fps=10)
    (folder / "broken.mp4").write_bytes(b"no video" * 100)
    return folder


def dataset(folder, *names):
    videos = tuple(
        Video(folder / f"{name}.mp4", LABELS[index % 3], "test", name)
        for index, name in enumerate(names)
    )
    return VideoDataset("tiny", LABELS, videos)


def by_hand(model, path, window):
    """Logits of every frame of a video: windows of new frames, the last filled up from before."""
    clip = ki3d.load_clip(path, spec=SPEC)
    total, count = 0, clip.shape[1]
    for start in range(0, count, window):
        stop = min(start + window, count)
        indices = np.arange(min(start, max(0, stop - 9)), stop)
        if len(indices) < 9:
            indices = np.arange(9) % count
        total = total + np.asarray(model(clip[:, indices]))[0] * (stop - start)
    return total / count


@pytest.mark.parametrize("window", [250, 16])
def test_scores_equal_a_loop_by_hand(model, folder, window, monkeypatch):
    views = functools.partial(protocols.whole_video, window=window)
    monkeypatch.setattr(protocols, "whole_video", views)
    seen = []
    videos = dataset(folder, *LENGTHS)
    found = evaluate(model, videos, progress=seen.append)
    expected = [by_hand(model, video.path, window) for video in videos.videos]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-3, atol=1e-4)
    assert np.ptp(expected, axis=0).min() > 0.01  # mixed-up videos would be noticed
    assert found.targets.tolist() == [0, 1, 2] and seen == [1, 2, 3]
    summary = found.summary()
    right = [row.argmax() == target for target, row in enumerate(np.array(expected))]
    assert summary["top1"] == pytest.approx(sum(right) / 3)
    assert (summary["videos"], summary["skipped"], summary["top5"]) == (3, 0, 1.0)
    assert found.confusion().sum() == 3


def test_a_video_that_cannot_be_decoded_is_skipped_and_counted(model, folder):
    found = evaluate(model, dataset(folder, "short", "broken", "usual"))
    assert [path.rsplit("/")[-1] for path in found.paths] == ["short.mp4", "usual.mp4"]
    assert found.targets.tolist() == [0, 2]
    (message,) = found.skipped
    assert "broken.mp4" in message and found.summary()["skipped"] == 1
    with pytest.raises(DatasetError, match="none of 2 videos"):
        evaluate(model, dataset(folder, "broken", "absent"))


def test_other_labels_are_refused(model, folder):
    other = VideoDataset("tiny", LABELS[::-1], dataset(folder, "short").videos)
    with pytest.raises(DatasetError, match="labels"):
        evaluate(model, other)
