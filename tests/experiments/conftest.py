"""A dataset without files, and fakes of training and testing."""

import pathlib
import types

import numpy as np
import pytest

from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.evaluation.result import Evaluation
from kinetics_i3d.experiments import runner
from kinetics_i3d.experiments.scales import SCALES


@pytest.fixture
def videos():
    """Two videos to train, four to test, of two classes."""
    rows = [(f"{number}.mp4", "train" if number < 2 else "test") for number in range(6)]
    return VideoDataset(
        "toy",
        ("sit", "stand"),
        tuple(
            Video(pathlib.Path(name), ("sit", "stand")[number % 2], split, name)
            for number, (name, split) in enumerate(rows)
        ),
    )


@pytest.fixture
def mini():
    return SCALES["mini"]


@pytest.fixture
def library(monkeypatch):
    """Fakes of `train` and `evaluate` that record the runs.

    `trained` and `tested` are the runs in order; `right` is {run: number of the four test videos
    that its network classifies correctly}, 3 by default; `errors` is {run: error of its training}.
    """
    calls = types.SimpleNamespace(trained=[], tested=[], right={}, errors={})

    def train(dataset, config, output, **options):
        calls.trained.append(output.name)
        if output.name in calls.errors:
            raise calls.errors[output.name]
        output.mkdir(parents=True, exist_ok=True)
        (output / "weights.h5").write_text(f"{options['about']['cell']} {config.seed}")
        return (output / "weights.h5").read_text()

    def evaluate(models, dataset, *, cache):
        assert [video.split for video in dataset.videos] == ["test"] * 4 and cache.name == "logits"
        calls.tested.append(models)
        targets = np.array([0, 1, 0, 1])
        logits, digests = {}, {}
        for model in models:
            name, stream = model.split()[0], model.split(".")[1]
            answers = np.where(np.arange(4) < calls.right.get(name, 3), targets, 1 - targets)
            logits[stream] = np.eye(2, dtype=np.float32)[answers]
            digests[stream] = f"digest of {model}"
        paths = tuple(str(video.path) for video in dataset.videos)
        return Evaluation(dataset.labels, paths, targets, logits, digests=digests)

    monkeypatch.setattr(runner, "train", train)
    monkeypatch.setattr(runner, "evaluate", evaluate)
    # It collects the garbage of all tests, which takes seconds, and the fakes leave none.
    monkeypatch.setattr(runner.keras.utils, "clear_session", lambda: None)
    monkeypatch.setattr(runner, "InceptionI3D", lambda weights: weights.read_text())
    return calls
