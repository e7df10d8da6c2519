"""A run that is killed at any time ends with the same bits as one that is not."""

import csv
import dataclasses
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from kinetics_i3d.training.outputs import COLUMNS
from kinetics_i3d.weights.checkpoint import read_checkpoint

RUN = """
import sys
from short_network import register
from absl import logging
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.errors import TrainingStopped
from kinetics_i3d.training.train import train

table, output, config, save_every = sys.argv[1:]
logging.set_verbosity(logging.INFO)
register()
try:
    train(open_dataset(table), eval(config), output, save_every=int(save_every), distribute="auto")
except TrainingStopped:
    sys.exit(75)
"""
TIMES = ("steps_per_second", "clips_per_second", "waiting")  # of the machine, not of the run
KILLS = int(os.environ.get("KINETICS_I3D_KILLS", "0"))
KILLS_OF_A_RUN = max(1, min(KILLS, 5))  # so that no test is as long as all kills
KILLS_OF_THE_LARGE = min(KILLS_OF_A_RUN, 2)
pytestmark = pytest.mark.skipif(KILLS == 0, reason="takes minutes; `make acceptance` runs this")


@pytest.fixture
def start(noise, tiny, tmp_path):
    """(output, cluster, fields) -> a process that trains there."""
    log = tmp_path / "log"

    def call(output, *, save_every=1, cluster="{}", **fields):
        config = repr(dataclasses.replace(tiny, **fields))
        words = [sys.executable, "-c", RUN, str(noise), str(tmp_path / output), config]
        with log.open("a") as file:
            environment = {
                **os.environ,
                "PYTHONPATH": os.pathsep.join(sys.path),
                "TF_CPP_MIN_LOG_LEVEL": "3",
                "TF_CONFIG": cluster,
            }
            return subprocess.Popen([*words, str(save_every)], stderr=file, env=environment)

    call.log = log
    return call


def wait_for_a_state(process, folder):
    """Waits until there is a state that was not there, or the run has ended."""
    before = {file.name for file in folder.glob("step-*")}
    while process.poll() is None and {file.name for file in folder.glob("step-*")} <= before:
        time.sleep(0.02)


def values(path):
    return {name: one.tobytes() for name, one in read_checkpoint(path).arrays.items()}


def curves(path):
    with path.open(newline="") as file:
        return [
            {key: row[key] for key in COLUMNS if key not in TIMES} for row in csv.DictReader(file)
        ]


# Its sums of gradients are large enough for Grappler to add them in the order in which they come.
LARGE = {
    "system": "C3D",
    "architecture": "c3d_eighth",
    "frames": 16,
    "size": 112,
    "test_size": 112,
    "test_short_side": 128,
    "batch_size": 16,
}


RUNS = [
    *(
        pytest.param({}, seed, KILLS_OF_A_RUN, id=f"short-{seed}")
        for seed in range(KILLS // KILLS_OF_A_RUN)
    ),
    pytest.param(LARGE, 0, KILLS_OF_THE_LARGE, id="large"),
]


@pytest.mark.parametrize(("network", "seed", "kills"), RUNS)
def test_resume_after_sigkill_is_bit_exact(start, tmp_path, network, seed, kills):
    # Mixing, dropout, an average, its validation and Adam's moments: all have to go on rightly.
    fields = {"mixup": 0.4, "ema": 0.9, "validation": "test", "keep": 2}
    fields.update(network, epochs=4 + 4 * kills)
    whole = start("whole", save_every=1000, **fields)
    chance = random.Random(int(os.environ.get("KINETICS_I3D_SEED", "0")) + seed)
    killed, process = 0, start("killed", **fields)
    while killed < kills:
        wait_for_a_state(process, tmp_path / "killed" / "state")
        time.sleep(chance.uniform(0, 0.3))
        if process.poll() is not None:
            break
        process.kill()
        assert process.wait() == -signal.SIGKILL
        killed += 1
        process = start("killed", **fields)
    assert whole.wait() == 0 and process.wait() == 0
    assert killed == kills, "the run was over before"
    one, other = tmp_path / "whole", tmp_path / "killed"
    assert start.log.read_text().count("resuming at step") >= killed - 1
    assert values(one / "weights.h5") == values(other / "weights.h5")
    assert values(one / "best.h5") == values(other / "best.h5")
    assert curves(one / "history.csv") == curves(other / "history.csv")
    assert len(curves(one / "history.csv")) == fields["epochs"]
    left = {file.name for file in other.iterdir() if not file.name.startswith(".")}
    assert left == {file.name for file in one.iterdir()}


def test_workers_resume_bit_exact_after_one_is_killed(start, cluster_of, tmp_path):
    fields = {
        "validation": "test",
        "epochs": 8,
        "batch_norm": "recalibrate",
        "recalibration_batches": 2,
    }

    def both(output):
        return [start(output, cluster=config, **fields) for config in cluster_of(2)]

    assert [one.wait() for one in both("whole")] == [0, 0]
    first, second = both("killed")
    wait_for_a_state(first, tmp_path / "killed" / "state")
    second.kill()
    assert second.wait() == -signal.SIGKILL
    assert first.wait(timeout=120) == 1
    assert "another of the 2 processes ended; restart all" in start.log.read_text()
    assert not (tmp_path / "killed" / "weights.h5").exists()
    assert [one.wait() for one in both("killed")] == [0, 0]
    assert "resuming at step" in start.log.read_text()
    one, other = tmp_path / "whole", tmp_path / "killed"
    assert values(one / "weights.h5") == values(other / "weights.h5")
    assert curves(one / "history.csv") == curves(other / "history.csv")
