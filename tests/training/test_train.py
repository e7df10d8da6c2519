"""Whole tiny runs, and configs that are refused before the first step."""

import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import shutil
import signal
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from short_network import register

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.core.progress import show_progress
from kinetics_i3d.data import pipeline, video_clips
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.training import preflight
from kinetics_i3d.training import train as train_module
from kinetics_i3d.training.errors import TrainingError, TrainingStopped
from kinetics_i3d.training.features import Features
from kinetics_i3d.training.outputs import read_history
from kinetics_i3d.training.sources import ClipSource
from kinetics_i3d.training.state import StateFolder
from kinetics_i3d.training.step import Step
from kinetics_i3d.training.train import train
from kinetics_i3d.weights.assign import named_variables
from kinetics_i3d.weights.checkpoint import read_info

SHORT = register()


@pytest.mark.long
def test_run_writes_weights_config_and_history(noisy, tiny, tmp_path):
    policy = keras.config.dtype_policy()
    output = tmp_path / "run"
    config = dataclasses.replace(
        tiny, ema=0.5, validation="test", batch_norm="recalibrate", recalibration_batches=2, keep=1
    )
    model = train(noisy, config, output, spec_name="tiny", about={"by": "a test"}, tensorboard=True)
    assert keras.config.dtype_policy() == policy

    loaded = InceptionI3D(weights=output / "weights.h5")
    assert loaded.labels == model.labels == ("sit", "stand")
    assert loaded.architecture == SHORT
    assert loaded.clip_spec == ClipSpec("tiny", fps=25.0, short_side=36, size=32)
    clips = np.random.default_rng(1).uniform(-1, 1, (2, 9, 32, 32, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(loaded(clips)), np.asarray(model(clips)))
    start = InceptionI3D(architecture=SHORT, classes=2)
    moved = [  # statistics and weights both
        not np.array_equal(a, b)
        for a, b in zip(loaded.get_weights(), start.get_weights(), strict=True)
    ]
    assert all(moved)

    assert json.loads((output / "config.json").read_text())["frames"] == 9
    history = read_history(output / "history.csv")
    assert [row["epoch"] for row in history] == [0, 1]
    assert [row["step"] for row in history] == [3, 6]
    for row in history:
        assert np.isfinite(row["loss"]) and np.isfinite(row["val_loss"])
        assert 0 <= row["accuracy"] <= 1 and 0 <= row["val_accuracy"] <= 1
        assert 0 <= row["waiting"] <= 1 and row["clips_per_second"] > 0
    names = {file.name for file in output.iterdir()}
    assert {"best.h5", "weights-epoch-0002.h5", "state", "tensorboard", "videos.csv"} <= names
    assert "weights-epoch-0001.h5" not in names
    shown = [
        value
        for events in (output / "tensorboard").iterdir()
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in [
            (one.tag, event.step, tf.make_ndarray(one.tensor)) for one in event.summary.value
        ]
    ]
    losses = [value for tag, step, value in shown if tag == "val_loss"]
    assert losses == pytest.approx([row["val_loss"] for row in history])
    assert ("loss", 6) in [(tag, step) for tag, step, _ in shown]
    ((width, height, *strips),) = [value for tag, _, value in shown if tag == "clips/rgb"]
    assert (int(width), int(height)) == (8 * 32, 32)
    assert [tf.io.decode_png(each).shape for each in strips] == [(32, 8 * 32, 3)] * tiny.batch_size

    other = dataclasses.replace(config, seed=1)
    before = {file: file.read_bytes() for file in output.iterdir() if file.is_file()}
    with pytest.raises(
        FileExistsError, match=r"config\.json: belongs to a run with a different config"
    ):
        train(noisy, other, output)
    again = train(noisy, config, output)  # only read
    np.testing.assert_array_equal(np.asarray(again(clips)), np.asarray(model(clips)))
    assert before == {file: file.read_bytes() for file in output.iterdir() if file.is_file()}


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("transfer", ["full", "fixed"])
def test_flow_from_rgb_weights_measures_batch_norm_on_flow(noisy, tiny, tmp_path, transfer):
    rgb = InceptionI3D(architecture=SHORT, classes=2)
    save_weights(rgb, tmp_path / "rgb.h5")
    config = dataclasses.replace(
        tiny,
        weights=str(tmp_path / "rgb.h5"),
        streams=("flow",),
        transfer=transfer,
        batch_norm="freeze",
        epochs=1,
    )
    model = train(noisy, config, tmp_path / "run")
    assert model.clip_spec.stream == "flow"
    if transfer == "fixed":
        kernel = named_variables(rgb)["Conv3d_1a_7x7_conv/kernel"].numpy().mean(3, keepdims=True)
        trained = named_variables(model)["Conv3d_1a_7x7_conv/kernel"].numpy()
        np.testing.assert_array_equal(trained, np.repeat(kernel, 2, axis=3))
    for name, variable in named_variables(model).items():
        if name.endswith("moving_variance"):
            assert not (variable.numpy() == 1.0).any(), name
    # The state of a fixed run holds no backbone: finished anew, it measures the same statistics.
    (tmp_path / "run" / "weights.h5").unlink()
    again = train(noisy, config, tmp_path / "run")
    for one, two in zip(model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.long
@pytest.mark.slow
def test_fixed_transfer_computes_features_once_and_keeps_the_backbone(
    noisy, tiny, tmp_path, monkeypatch
):
    start = InceptionI3D(architecture=SHORT, classes=3)
    save_weights(start, tmp_path / "start.h5", labels=("a", "b", "c"))
    config = dataclasses.replace(
        tiny,
        weights=str(tmp_path / "start.h5"),
        transfer="fixed",
        feature_passes=2,
        validation="test",
        learning_rate=0.1,
        epochs=3,
    )
    whole = train(noisy, config, tmp_path / "whole")
    body, trained = (named_variables(model) for model in (start, whole))
    for name, variable in body.items():
        same = np.array_equal(variable.numpy(), trained[name].numpy())
        assert same != name.startswith("Conv3d_0c_1x1"), name
    features = Features(tmp_path / "whole" / "features" / "training")
    assert len(features) == 12 and features.targets.sum(axis=0).tolist() == [6, 6]
    rows, _ = features.take(np.arange(12))
    assert len(np.unique(np.asarray(rows).mean(axis=(1, 2, 3, 4)))) == 12  # each cut anew
    first, *_, last = read_history(tmp_path / "whole" / "history.csv")
    assert last["step"] == 9 and last["loss"] < first["loss"]

    # Asked to stop in the second epoch's last step, seen in its validation; gone on without clips.
    request, steps = types.SimpleNamespace(stop_requested=False), []

    def counted(*batch, taken=Step.train):
        steps.append(batch)
        request.stop_requested = len(steps) == 6
        return taken(*batch)

    monkeypatch.setattr(Step, "train", counted)
    monkeypatch.setattr(train_module, "stop_on_sigterm", lambda: contextlib.nullcontext(request))
    with pytest.raises(TrainingStopped, match="stopped while validating; run the same command"):
        train(noisy, config, tmp_path / "parts")
    assert len(read_history(tmp_path / "parts" / "history.csv")) == 1
    monkeypatch.undo()
    monkeypatch.setattr(ClipSource, "training", None)
    monkeypatch.setattr(ClipSource, "validation", None)
    parts = train(noisy, config, tmp_path / "parts")
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    curves = [read_history(tmp_path / name / "history.csv") for name in ("whole", "parts")]
    assert len({json.dumps([row["val_loss"] for row in rows]) for rows in curves}) == 1
    # The process that resumed within the validation has taken no step of that epoch.
    assert [["steps_per_second" in row for row in rows] for rows in curves] == [
        [True, True, True],
        [True, False, True],
    ]


@pytest.mark.long
def test_each_stage_shows_its_progress_to_those_who_ask(noisy, tiny, tmp_path, capsys):
    config = dataclasses.replace(
        tiny,
        epochs=1,
        linear_probe=2,
        validation="test",
        batch_norm="recalibrate",
        recalibration_batches=3,
    )
    with show_progress(every=0.0):
        train(noisy, config, tmp_path / "full")
    shown = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    stages = [line.partition(":")[0] for line in shown]
    expected = ["classifier warm-up", "validation", "batch norm statistics"]
    assert list(dict.fromkeys(stages)) == expected
    assert "classifier warm-up: 12 of 12 clips" in shown
    assert "batch norm statistics: 3 of 3 batches" in shown

    start = tmp_path / "full" / "weights.h5"
    fixed = {"weights": str(start), "transfer": "fixed", "validation": "test", "epochs": 1}
    with show_progress(every=0.0):
        train(noisy, dataclasses.replace(tiny, **fixed), tmp_path / "fixed")
    shown = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert "training features: 6 of 6 clips" in shown

    train(noisy, config, tmp_path / "silent")
    out, err = capsys.readouterr()
    assert " of " not in out + err


@pytest.mark.slow
def test_sigterm_stops_after_the_current_step(noisy, tiny, tmp_path, monkeypatch):
    steps = []

    def interrupted(*batch, taken=Step.train):
        steps.append(batch)
        if len(steps) == 2:
            signal.raise_signal(signal.SIGTERM)
        return taken(*batch)

    monkeypatch.setattr(Step, "train", interrupted)
    with pytest.raises(
        TrainingStopped, match="stopped after step 2; run the same command to resume"
    ):
        train(noisy, dataclasses.replace(tiny, epochs=3), tmp_path / "run")
    assert len(steps) == 2
    assert [path.name for path in (tmp_path / "run/state").iterdir()] == ["step-000000002.npz"]
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.slow
def test_a_process_of_several_reads_its_share_of_the_clips(noisy, tiny, tmp_path, monkeypatch):
    def stopped(config, output, model, optimizer, clips, *_, **options):
        raise TrainingStopped(f"process {clips.process_rank} of {clips.world_size}")

    monkeypatch.setattr(train_module, "process_of", lambda strategy: (1, 2))
    monkeypatch.setattr(train_module.Run, "of", stopped)
    with pytest.raises(TrainingStopped, match="process 1 of 2"):
        train(noisy, tiny, tmp_path / "run")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"linear_probe": 2}, "stopped while fitting the classifier"),
        (
            {"batch_norm": "recalibrate", "recalibration_batches": 9, "epochs": 1},
            "stopped while measuring batch norm",
        ),
        ({"transfer": "fixed"}, "stopped while computing features"),
    ],
)
def test_sigterm_stops_outside_the_steps(noisy, tiny, tmp_path, monkeypatch, fields, why):
    def interrupted(self, seed, *, taken=ClipSource.training, **options):
        for batch in taken(self, seed, **options):
            if seed != tiny.seed or "transfer" in fields:
                signal.raise_signal(signal.SIGTERM)
            yield batch

    if "transfer" in fields:
        save_weights(InceptionI3D(architecture=SHORT, classes=3), tmp_path / "start.h5")
        fields = {**fields, "weights": str(tmp_path / "start.h5")}
    monkeypatch.setattr(ClipSource, "training", interrupted)
    with pytest.raises(TrainingStopped, match=why):
        train(noisy, dataclasses.replace(tiny, **fields), tmp_path / "run")
    monkeypatch.undo()
    assert train(noisy, dataclasses.replace(tiny, **fields), tmp_path / "run").labels


@pytest.mark.long
@pytest.mark.slow
def test_a_run_of_other_videos_is_not_continued(noisy, tiny, tmp_path):
    train(noisy, dataclasses.replace(tiny, epochs=1), tmp_path / "run")
    before = (tmp_path / "run" / "config.json").read_bytes()
    for videos in (noisy.videos[:4], noisy.videos * 2):
        other = dataclasses.replace(noisy, videos=videos)
        with pytest.raises(TrainingError, match=r"first epoch had 3 steps, but has [26] with"):
            train(other, tiny, tmp_path / "run")
    first, second, *others = noisy.videos
    replaced = tmp_path / "replaced" / first.path.parent.name / first.path.name
    replaced.parent.mkdir(parents=True)
    shutil.copy(second.path, replaced)
    for path in (second.path, replaced):
        videos = (dataclasses.replace(first, path=path), second, *others)
        other = dataclasses.replace(noisy, videos=videos)
        with pytest.raises(TrainingError, match="is a run of other training or validation videos"):
            train(other, tiny, tmp_path / "run")
    assert (tmp_path / "run" / "config.json").read_bytes() == before
    assert not (tmp_path / "run" / "weights_before.h5").exists()
    folder = tmp_path / "moved"
    folder.mkdir()
    moved = [
        dataclasses.replace(video, path=pathlib.Path(shutil.copy(video.path, folder)))
        for video in noisy.videos
    ]
    train(dataclasses.replace(noisy, videos=tuple(moved)), tiny, tmp_path / "run")
    assert (tmp_path / "run" / "weights_before.h5").exists()


@pytest.mark.long
@pytest.mark.slow
def test_classes_are_compared_without_validation(noisy, tiny, tmp_path):
    train(noisy, dataclasses.replace(tiny, epochs=1), tmp_path / "run")
    renamed = {"sit": "walk", "stand": "run"}
    videos = [dataclasses.replace(video, label=renamed[video.label]) for video in noisy.videos]
    other = dataclasses.replace(noisy, labels=("run", "walk"), videos=tuple(videos))
    with pytest.raises(FileExistsError, match="different classes"):
        train(other, tiny, tmp_path / "run")


@pytest.mark.long
@pytest.mark.slow
def test_one_step_trains_and_its_rate_is_recorded(noisy, tiny, tmp_path, monkeypatch):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        config = dataclasses.replace(tiny, epochs=1, batch_size=6)
        model = train(noisy, config, tmp_path / "run")
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.dtype_policy.name == "float32"
    (row,) = read_history(tmp_path / "run" / "history.csv")
    assert row["learning_rate"] == pytest.approx(tiny.learning_rate)
    with pytest.raises(ValueError, match="`save_every` must be a whole number above 0"):
        train(noisy, config, tmp_path / "two", save_every=0)


@pytest.mark.long
@pytest.mark.slow
def test_a_run_of_other_classes_is_not_continued(noisy, tiny, tmp_path):
    config = dataclasses.replace(tiny, validation="0.3", steps=1)
    train(noisy, config, tmp_path / "run")
    labels = tuple(f"other {label}" for label in noisy.labels)
    videos = tuple(
        dataclasses.replace(video, label=f"other {video.label}") for video in noisy.videos
    )
    others = dataclasses.replace(noisy, labels=labels, videos=videos)
    for finished in (True, False):
        if not finished:
            (tmp_path / "run" / "weights.h5").unlink()
        with pytest.raises(
            FileExistsError, match=r"belongs to a run with different classes.*'other "
        ):
            train(others, config, tmp_path / "run")


@pytest.mark.long
@pytest.mark.slow
def test_finished_run_continues_with_more_epochs(noisy, tiny, tmp_path):
    config = dataclasses.replace(tiny, schedule="constant", epochs=2, validation="test")
    whole = train(noisy, config, tmp_path / "whole")
    train(noisy, dataclasses.replace(config, epochs=1), tmp_path / "parts")
    first = (tmp_path / "parts/weights.h5").read_bytes()
    parts = train(noisy, config, tmp_path / "parts")
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(read_history(tmp_path / "parts/history.csv")) == 2
    assert (tmp_path / "parts/weights_before.h5").read_bytes() == first
    for wrong in ({"epochs": 1}, {"epochs": 3, "seed": 1}, {"steps": 9}):
        with pytest.raises(FileExistsError, match="with a different config; choose another output"):
            train(noisy, dataclasses.replace(config, **wrong), tmp_path / "parts")


@pytest.mark.long
@pytest.mark.slow
def test_run_with_an_old_config_continues(noisy, tiny, tmp_path, write_old_config):
    config = dataclasses.replace(tiny, schedule="constant", warmup=0.0, ema=0.5)
    whole = train(noisy, config, tmp_path / "whole")
    shorter = dataclasses.replace(config, epochs=1)
    train(noisy, shorter, tmp_path / "parts")
    write_old_config(tmp_path / "parts/config.json", shorter)
    train(noisy, shorter, tmp_path / "parts")  # only read
    parts = train(noisy, config, tmp_path / "parts")
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_balanced_class_weights_change_the_run(noisy, tiny, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    few = tuple(video for video in noisy.videos if video.path.stem not in ("3", "5"))
    uneven = dataclasses.replace(noisy, videos=few)
    config = dataclasses.replace(tiny, epochs=1, validation="test")
    np.testing.assert_array_equal(preflight.class_counts(uneven.split("train")), [3, 1])
    plain = train(uneven, config, tmp_path / "plain")
    assert not [line for line in caplog.messages if "class_weight=" in line]
    weighted = dataclasses.replace(config, class_weight="balanced")
    balanced = train(uneven, weighted, tmp_path / "balanced")
    assert "class_weight='balanced': weights from 0.667 to 2" in caplog.messages
    assert any(
        not np.array_equal(one, other)
        for one, other in zip(plain.get_weights(), balanced.get_weights(), strict=True)
    )


@pytest.mark.long
@pytest.mark.slow
def test_features_are_reused_with_another_learning_rate(noisy, tiny, tmp_path, monkeypatch):
    save_weights(InceptionI3D(architecture=SHORT, classes=3), tmp_path / "start.h5")
    config = dataclasses.replace(
        tiny, weights=str(tmp_path / "start.h5"), transfer="fixed", validation="test", epochs=1
    )
    train(noisy, config, tmp_path / "one")
    fresh = train(noisy, dataclasses.replace(config, learning_rate=0.1), tmp_path / "else/two")
    monkeypatch.setattr(ClipSource, "training", None)
    monkeypatch.setattr(ClipSource, "validation", None)
    again = train(noisy, dataclasses.replace(config, learning_rate=0.1), tmp_path / "two")
    for one, other in zip(fresh.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(TypeError):  # other clips have to be made
        train(noisy, dataclasses.replace(config, size=40, test_size=32), tmp_path / "three")


@pytest.mark.long
@pytest.mark.slow
def test_failure_in_a_worker_is_one_line_and_saves_the_state(noisy, tiny, tmp_path, monkeypatch):
    whole = train(noisy, tiny, tmp_path / "whole")
    read, calls = video_clips.read_window, itertools.count()

    def fail(*args, **options):
        if next(calls) == 10:
            raise ZeroDivisionError("of a worker")
        return read(*args, **options)

    monkeypatch.setattr(video_clips, "read_window", fail)
    monkeypatch.setattr(pipeline, "usable_processors", lambda: 1)
    with pytest.raises(DatasetError) as failure:
        train(noisy, tiny, tmp_path / "run")
    text = str(failure.value)
    assert "\n" not in text
    assert "cannot be read (ZeroDivisionError: of a worker, while reading " in text
    assert text.endswith(".mp4)")
    (state, *_) = StateFolder(tmp_path / "run/state").steps()
    assert 1 <= state < 6
    resumed = train(noisy, tiny, tmp_path / "run")
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.long
def test_loss_that_is_not_finite_stops_the_run_and_saves_the_batch(noisy, tiny, tmp_path):
    config = dataclasses.replace(
        tiny, learning_rate=1e30, warmup=0.0, schedule="constant", optimizer="sgd"
    )
    with pytest.raises(
        TrainingError, match=r"the loss of step . is (nan|inf); its batch is in"
    ) as seen:
        train(noisy, config, tmp_path / "run")
    assert "\n" not in str(seen.value) and "lower learning_rate" in str(seen.value)
    (path,) = (tmp_path / "run").glob("bad_batch_*.npz")
    assert str(path) in str(seen.value)
    with np.load(path) as batch:
        assert batch["clips"].shape == (2, 9, 32, 32, 3) and batch["targets"].shape == (2, 2)
        assert batch["numbers"].shape == (2,)
    assert not (tmp_path / "run" / "weights.h5").exists()


@pytest.mark.parametrize(
    ("wrong", "kind", "why"),
    [
        ({"precision": "mixed_float16"}, ValueError, "`precision` must be .* on a CPU"),
        ({"split": "dev"}, DatasetError, "no videos in split 'dev'"),
        ({"validation": "dev"}, DatasetError, "no videos in split 'dev'"),
        (
            {"validation": "train"},
            DatasetError,
            "the validation split 'train' is also the training split",
        ),
        ({"validation": "1.5"}, DatasetError, "a fraction above 0 and below 1, not 1.5"),
        ({"frames": 8}, ValueError, "`frames` must be at least 9 for the rgb stream"),
        ({"system": "I3D"}, ValueError, "`system` must be one of .*Received: system='I3D'"),
        (
            {"system": "ConvNetLSTM", "linear_probe": 1},
            ValueError,
            "`linear_probe` must be 0 for ConvNetLSTM",
        ),
    ],
)
def test_invalid_config_is_refused_before_anything_is_written(
    noisy, tiny, tmp_path, wrong, kind, why
):
    with pytest.raises(kind, match=why):
        train(noisy, dataclasses.replace(tiny, **wrong), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unwritable_output_is_refused(noisy, tiny, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match=r"file.run: the folder is not writable"):
        train(noisy, tiny, tmp_path / "file" / "run")
    if os.path.isdir("/proc/self"):
        with pytest.raises(TrainingError, match="/proc/run: the folder is not writable"):
            train(noisy, tiny, "/proc/run")


def test_other_keras_backend_is_refused(noisy, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(
        TrainingError, match="Keras' TensorFlow backend, but the backend is jax; unset"
    ):
        train(noisy, tiny, tmp_path / "run")


def test_a_bad_file_is_warned_of_once_a_run(noisy, tiny, tmp_path, monkeypatch, caplog):
    """Also without the command, which has a run of its own around everything."""

    def warn_twice(*_):
        for _ in range(2):
            warn_about("bad.mp4", "skipped: %s", "bad.mp4")
        raise DatasetError("enough")

    monkeypatch.setattr(train_module, "training_and_validation", warn_twice)
    for runs in (1, 2):
        with pytest.raises(DatasetError, match="enough"):
            train(noisy, tiny, tmp_path / "run")
        assert caplog.messages.count("skipped: bad.mp4") == runs


@pytest.fixture
def several(noisy):
    """The noisy videos: those that stand also wave, and of the others every second has no class."""
    labels = {"stand": ("stand", "wave"), "sit": ("sit",)}
    videos = tuple(
        dataclasses.replace(video, labels=() if number % 4 == 2 else labels[video.label])
        for number, video in enumerate(noisy.videos)
    )
    return dataclasses.replace(noisy, labels=("sit", "stand", "wave"), videos=videos)


@pytest.mark.long
@pytest.mark.slow
def test_multi_label_run_is_trained_and_evaluated(several, tiny, tmp_path, caplog):
    caplog.set_level("INFO", logger="absl")
    config = dataclasses.replace(tiny, epochs=1, validation="test", mixup=0.2, linear_probe=1)
    model = train(several, config, tmp_path / "run")
    assert "so loss='sigmoid' is used" in caplog.text
    assert (
        model.activation == "sigmoid"
        and read_info(tmp_path / "run/best.h5").activation == "sigmoid"
    )
    stored = json.loads((tmp_path / "run/config.json").read_text())
    assert (stored["loss"], stored["label_smoothing"]) == ("sigmoid", 0.0)
    (row,) = read_history(tmp_path / "run/history.csv")
    assert 0 <= row["val_map"] <= 1 and row["val_loss"] > 0 and 0 <= row["val_accuracy"] <= 1
    assert f"val_map {row['val_map']:.3f}" in caplog.text
    listed = open_dataset(tmp_path / "run/videos.csv")
    assert {video.path.stem: video.classes for video in listed.videos} == {
        video.path.stem: video.classes for video in several.videos
    }
    found = evaluate(model, several)
    assert found.targets.tolist()[:3] == [[True, False, False], [False, True, True], [False] * 3]
    assert 0 <= found.summary()["map"] <= 1
    again = train(several, config, tmp_path / "run")  # only read
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


@pytest.mark.long
@pytest.mark.slow
def test_multi_label_records_train_and_resume_to_the_bit(several, tiny, tmp_path):
    """As from the videos: a loss per class, mAP; a continued run ends with the same weights."""
    config = PrepareConfig(("rgb",), spec=ClipSpec("records", short_side=36, size=32), shard_size=2)
    records = prepare(several, tmp_path / "records", config)
    np.testing.assert_array_equal(preflight.class_counts(records.split("train")), [2, 3, 3])
    config = dataclasses.replace(tiny, schedule="constant", epochs=2, validation="test")
    whole = train(records, config, tmp_path / "whole")
    assert whole.activation == "sigmoid"
    assert json.loads((tmp_path / "whole/config.json").read_text())["loss"] == "sigmoid"
    train(records, dataclasses.replace(config, epochs=1), tmp_path / "parts")
    parts = train(tmp_path / "records", config, tmp_path / "parts")
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    curves = [
        [(row["loss"], row["val_loss"], row["val_map"]) for row in read_history(path)]
        for path in (tmp_path / "whole/history.csv", tmp_path / "parts/history.csv")
    ]
    assert curves[0] == curves[1] and all(0 <= row[2] <= 1 for row in curves[0])


def test_softmax_loss_of_multi_label_videos_is_refused(several, tiny, tmp_path):
    wrong = dataclasses.replace(tiny, loss="softmax")
    with pytest.raises(ValueError, match=r"`loss` must be 'sigmoid' .*Received: loss='softmax'"):
        train(several, wrong, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    np.testing.assert_array_equal(preflight.class_counts(several), [2, 4, 4])
