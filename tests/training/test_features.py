"""Features: computed once, and read as batches from any row on."""

import itertools
import os
import resource
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.training.errors import (
    TrainingError,
    TrainingStopped,
    reporting_write_errors,
    stop_on_sigterm,
    until_stopped,
)
from kinetics_i3d.training.features import Features, make_features


@pytest.fixture
def backbone():
    inputs = keras.Input((2, 3))
    return keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))


def batches():
    """Seven rows n, n, ... of class n % 2, in batches of 3; two of the last do not count."""
    for first in (0, 3, 6):
        numbers = np.arange(first, first + 3)
        clips = np.broadcast_to(numbers[:, None, None], (3, 2, 3)).astype(np.float32)
        targets = np.eye(2, dtype=np.float32)[numbers % 2]
        yield tf.constant(clips), tf.constant(targets), tf.constant(numbers < 7, tf.float32)


def test_features_are_the_backbone_outputs_of_counted_clips(backbone, tmp_path):
    made = make_features(tmp_path / "made", backbone, batches)
    assert len(made) == 7
    features, targets = made.take(np.arange(7))
    np.testing.assert_array_equal(features[:, 1, 2], 2.0 * np.arange(7))
    np.testing.assert_array_equal(targets.numpy().argmax(-1), np.arange(7) % 2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["made"]


def test_features_are_computed_once(backbone, tmp_path):
    make_features(tmp_path / "made", backbone, batches)
    again = make_features(tmp_path / "made", None, None)  # would fail if it were used
    assert len(again) == len(Features(tmp_path / "made")) == 7


def test_features_of_another_key_are_computed_again(backbone, tmp_path):
    def placed(position=0):
        yield from ((*batch, position) for batch in batches())

    folder = tmp_path / "run" / "features" / "training"
    make_features(folder, backbone, placed, key="old")
    doubled = keras.Sequential([backbone, keras.layers.Rescaling(2.0)])
    assert make_features(folder, None, None, key="old").take(np.arange(7))[0].numpy().max() == 12.0
    made = make_features(folder, doubled, placed, key="new")
    assert made.take(np.arange(7))[0].numpy().max() == 24.0


def test_unfinished_features_without_a_key_are_computed_again(backbone, tmp_path):
    left = tmp_path / ".made-unfinished"
    left.mkdir()
    (left / "clips.f32").write_bytes(b"\0" * 24)
    assert float(make_features(tmp_path / "made", backbone, batches).take([6])[0][0, 0, 0]) == 12.0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["made"]


def test_full_disk_leaves_no_files(backbone, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # bytes; a batch has 72
    try:
        with (
            pytest.raises(TrainingError) as caught,
            reporting_write_errors(tmp_path / "made", "nothing is lost"),
        ):
            make_features(tmp_path / "made", backbone, batches)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == (
        f"{tmp_path / 'made'}: cannot be written (File too large); nothing is lost: free some "
        "space and run the same command to resume"
    )
    assert list(tmp_path.iterdir()) == []


def test_features_of_two_streams_are_stored_separately(tmp_path):
    inputs = {name: keras.Input((2,), name=name) for name in ("rgb", "flow")}
    backbone = keras.Model(inputs, {"rgb": inputs["rgb"] + 1, "flow": inputs["flow"] * 2})
    clips = {name: tf.constant([[1.0, 2.0], [3.0, 4.0]]) for name in inputs}
    rows = [(clips, tf.eye(2), tf.ones(2))]
    features, _ = make_features(tmp_path / "made", backbone, lambda: rows).take([1])
    assert features["rgb"].numpy().tolist() == [[4, 5]]
    assert features["flow"].numpy().tolist() == [[6, 8]]


def test_training_reads_each_row_once_per_pass_from_any_row(backbone, tmp_path):
    made = make_features(tmp_path / "made", backbone, batches)

    def rows(start, count):
        found = itertools.islice(made.training(batch_size=2, seed=1, start=start), count)
        return [(b[0].numpy()[:, 0, 0] / 2, b[1].numpy().argmax(-1), b[2].numpy()) for b in found]

    whole = rows(0, 14)
    values = np.concatenate([one[0] for one in whole]).reshape(4, 7)
    assert all(sorted(turn) == list(range(7)) for turn in values.tolist())
    assert len({tuple(turn) for turn in values.tolist()}) == 4
    np.testing.assert_array_equal(np.concatenate([one[2] for one in whole]), np.arange(28))
    assert all((one[0] % 2 == one[1]).all() for one in whole)
    for one, other in zip(rows(6, 11), whole[3:], strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_validation_counts_each_row_once(backbone, tmp_path):
    made = make_features(tmp_path / "made", backbone, batches)
    seen = [(b[0].numpy()[:, 0, 0] / 2, b[2].numpy() > 0) for b in made.validation(batch_size=4)]
    assert [len(values) for values, _ in seen] == [4, 4]
    assert np.concatenate([values[real] for values, real in seen]).tolist() == list(range(7))


def positioned(start=0):
    """`batches` from one on, with the position behind each."""
    return ((*batch, number) for number, batch in enumerate(batches(), 1) if number > start)


def rows_of(features):
    return features.take(np.arange(len(features)))[0].numpy(), features.targets


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(rows_of(one), rows_of(other), strict=True))


@pytest.mark.parametrize("torn", [False, True])
def test_stopped_features_resume_after_the_last_batch(backbone, tmp_path, torn):
    whole = make_features(tmp_path / "whole", backbone, batches)
    with stop_on_sigterm() as request:

        def stopping(*start):
            for batch in positioned(*start):
                if batch[-1] == 2:
                    signal.raise_signal(signal.SIGTERM)
                yield batch

        with pytest.raises(TrainingStopped, match="stopped while computing features; run the same"):
            make_features(
                tmp_path / "made",
                backbone,
                lambda *start: until_stopped(
                    stopping(*start), request, tmp_path, "computing features"
                ),
                key="1",
            )
    assert not (tmp_path / "made").exists()
    if torn:  # a kill in the middle of a batch
        with open(tmp_path / ".made-unfinished" / "clips.f32", "ab") as file:
            file.write(b"torn")
    taken = []

    def rest(*start):
        taken.extend(start)
        return positioned(*start)

    made = make_features(tmp_path / "made", backbone, rest, key="1")
    assert taken == [2] and same(made, whole)
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "about.json",
        "clips.f32",
        "rows.npz",
    ]


def test_unfinished_features_of_another_key_are_discarded(backbone, tmp_path):
    def failing():
        yield next(positioned())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        make_features(tmp_path / "made", backbone, failing, key="1")
    assert (tmp_path / ".made-unfinished").is_dir()
    made = make_features(tmp_path / "made", backbone, positioned, key="2")
    assert same(made, make_features(tmp_path / "whole", backbone, batches))


KILLED = """
import os, signal, sys
import keras
from kinetics_i3d.training.features import make_features
sys.path.insert(0, os.path.dirname(sys.argv[2]))
from test_features import positioned

def killing():
    for batch in positioned():
        if batch[-1] == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        yield batch

inputs = keras.Input((2, 3))
backbone = keras.Model(inputs, keras.layers.Rescaling(2.0)(inputs))
make_features(sys.argv[1], backbone, killing, key="1")
"""


@pytest.mark.long
def test_features_resume_after_sigkill(backbone, tmp_path):
    words = [sys.executable, "-c", KILLED, str(tmp_path / "made"), __file__]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(words, env=environment, check=False).returncode == -signal.SIGKILL
    taken = []
    made = make_features(
        tmp_path / "made",
        backbone,
        lambda *start: taken.extend(start) or positioned(*start),
        key="1",
    )
    assert taken == [2] and same(made, make_features(tmp_path / "whole", backbone, batches))


def test_features_of_a_neighboring_run_are_linked(backbone, tmp_path):
    first = make_features(tmp_path / "a/features/training", backbone, positioned, key="1")
    second = make_features(tmp_path / "b/features/training", None, None, key="1")
    assert same(first, second)
    one, two = (tmp_path / f"{name}/features/training/clips.f32" for name in "ab")
    assert os.path.samefile(one, two)  # linked: they may be large
    other = make_features(tmp_path / "c/features/training", backbone, positioned, key="2")
    assert not os.path.samefile(one, tmp_path / "c/features/training/clips.f32") and len(other) == 7
    # Validation's are others.
    made = make_features(tmp_path / "b/features/validation", backbone, positioned, key="1")
    assert len(made) == 7
