"""Several devices and several processes take the same steps as one."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kinetics_i3d.training.distribute import (
    cluster,
    make_strategy,
    process_of,
    reporting_lost_processes,
)
from kinetics_i3d.training.errors import TrainingError

# Trains on the same global batch however it is split; all processes print the same.
STEPS = """
import json, sys
import keras, numpy as np, tensorflow as tf
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.distribute import make_strategy, process_of
from kinetics_i3d.training.optimizers import make_optimizer, prepare_optimizer
from kinetics_i3d.training.batch_norm import recalibrate
from kinetics_i3d.training.step import Step

kind, dropout = sys.argv[1], float(sys.argv[2])
if kind == "mirrored":
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = make_strategy(kind)
rank, size = process_of(strategy)
keras.utils.set_random_seed(0)
with strategy.scope():
    inputs = x = keras.Input((4, 8, 8, 2))
    for width in (6, 8):
        x = keras.layers.Conv3D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(synchronized=True, momentum=0.9)(x)
        x = keras.layers.ReLU()(x)
    x = keras.layers.Dropout(dropout)(keras.layers.GlobalAveragePooling3D()(x))
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    optimizer = make_optimizer(TrainConfig(optimizer="sgd", learning_rate=0.1, ema=0.5))
    prepare_optimizer(optimizer, model)
again = make_strategy(kind)  # as the next run of this process does
with again.scope():
    norm = keras.layers.BatchNormalization(momentum=0.5)  # which sees a device's clips alone
    x = keras.layers.GlobalAveragePooling3D()(norm(inputs))
    plain = keras.Model(inputs, keras.layers.Dense(3)(x))
    other = make_optimizer(TrainConfig(optimizer="sgd"))
    prepare_optimizer(other, plain)
step = Step(model, optimizer, global_clipnorm=0.5, accumulate=2, strategy=strategy)
random = np.random.default_rng(0)
losses, half = [], 8 // size
for number in range(6):
    clips = random.normal(size=(8, 4, 8, 8, 2)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[random.integers(0, 3, 8)]
    # Parts of a batch stay together: with accumulation batch norm sees a quarter at a time.
    order = np.arange(8).reshape(2, 2, 2).transpose(1, 0, 2).reshape(8)
    if step.replicas > 1:
        clips, targets = clips[order], targets[order]
    mine = slice(rank * half, (rank + 1) * half)
    values = np.zeros(3, np.int64)
    values[rank], values[-1] = number + 10 * rank, rank
    loss, _, values = step.train(tf.constant(clips[mine]), tf.constant(targets[mine]), values)
    losses.append(loss)
tested, *_ = step.test(tf.constant(clips[mine]), tf.constant(targets[mine]))
total = step.all_reduce_sum([float(tested.sum()), len(tested)])
Step(plain, other, strategy=again).train(tf.constant(clips[mine]), tf.constant(targets[mine]))
means = norm.moving_mean.numpy().tolist()
recalibrate(model, iter([tf.constant(clips[mine])]), 1, strategy=strategy)
recalibrate(plain, iter([tf.constant(clips[mine])]), 1, strategy=again)
means += norm.moving_mean.numpy().tolist()
optimizer.finalize_variable_values(model.trainable_variables)
weights = [float(np.abs(one.numpy()).sum()) for one in model.variables if one.dtype == "float32"]
print(json.dumps({
    "losses": losses, "tested": (total / total[-1]).tolist()[0], "weights": weights,
    "values": values.tolist(), "replicas": step.replicas, "means": means,
}))
"""


def run(kind, dropout=0.0, **environment):
    words = [sys.executable, "-c", STEPS, kind, str(dropout)]
    return subprocess.Popen(
        words,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


def same(one, other):
    # Sums of floats in another order: the gradients differ in their last digits, and each step
    # carries that on.
    np.testing.assert_allclose(other["losses"], one["losses"], rtol=1e-5)
    assert other["tested"] == pytest.approx(one["tested"], rel=1e-4)
    np.testing.assert_allclose(other["weights"], one["weights"], rtol=1e-4)
    np.testing.assert_allclose(other["means"], one["means"], rtol=1e-5)  # of all clips


@pytest.fixture(scope="module")
def single():
    return result(run("none"))


@pytest.mark.long
@pytest.mark.slow
def test_two_processes_match_one(single, cluster_of):
    processes = [run("multiworker", TF_CONFIG=config) for config in cluster_of(2)]
    first, second = map(result, processes)
    assert (single["replicas"], first["replicas"]) == (1, 2)
    assert first["losses"] == second["losses"] and first["weights"] == second["weights"]
    assert first["means"] == second["means"]
    assert first["values"] == second["values"] == [5, 15, 1]
    same(single, first)


@pytest.mark.long
def test_two_mirrored_devices_match_one(single):
    both = result(run("mirrored"))
    assert both["replicas"] == 2 and both["values"] == [5, 0, 0]
    same(single, both)
    assert np.isfinite(result(run("mirrored", dropout=0.5))["losses"]).all()


def test_default_strategy_has_one_replica(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    for kind in ("none", "auto"):
        strategy = make_strategy(kind)
        assert strategy.num_replicas_in_sync == 1 and process_of(strategy) == (0, 1)


def test_cluster_is_read_from_tf_config(monkeypatch):
    text = '{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}'
    monkeypatch.setenv("TF_CONFIG", text)
    assert cluster() == {"worker": ["a:1", "b:2"], "index": 1}


@pytest.mark.parametrize(
    "text",
    [
        *("no json", "[1]", '{"task": {"index": "x"}}', '{"task": {"type": "chief"}}'),
        '{"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, "task": {"type": "worker"}}',
    ],
)
def test_malformed_tf_config_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(
        ValueError, match=r"`TF_CONFIG` must be JSON of workers alone, .*Received: TF_CONFIG="
    ):
        make_strategy("auto")


def test_unknown_strategy_and_missing_workers_are_refused(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(ValueError, match="Did you mean 'mirrored'"):
        make_strategy("miror")
    with pytest.raises(ValueError, match="'none' or 'mirrored' without workers in TF_CONFIG"):
        make_strategy("multiworker")


def test_death_of_another_process_is_a_training_error():
    import tensorflow as tf

    lost = tf.errors.AbortedError(None, None, "Graph execution error:\nCollective ops is aborted")
    message = r"^run: another of the 2 processes ended; restart all"
    with pytest.raises(TrainingError, match=message), reporting_lost_processes(2, "run"):
        raise lost
    with pytest.raises(tf.errors.AbortedError), reporting_lost_processes(1, "run"):
        raise lost
