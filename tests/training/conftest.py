"""A few noisy videos, a config of a tiny run over them, and clusters on this machine."""

import json
import socket

import numpy as np
import pytest

from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.video.writer import write_video


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """Path of a table: six noisy videos to train, two to test; the sitting are dark."""
    folder, rows = tmp_path_factory.mktemp("noise"), ["path,label,split"]
    random = np.random.default_rng(0)
    for number in range(8):
        frames = random.integers(0, 100, (12, 40, 48, 3)) + 100 * (number % 2)
        write_video(folder / f"{number}.mp4", frames.astype(np.uint8), fps=25)
        label = ("sit", "stand")[number % 2]
        rows.append(f"{number}.mp4,{label},{'train' if number < 6 else 'test'}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder / "table.csv"


@pytest.fixture(scope="session")
def noisy(noise):
    """The same as a `VideoDataset`."""
    return open_dataset(noise)


@pytest.fixture(scope="session")
def tiny(short):
    """A config of three steps an epoch."""
    return TrainConfig(
        architecture=short,
        frames=9,
        size=32,
        test_short_side=36,
        test_size=32,
        epochs=2,
        batch_size=2,
        learning_rate=1e-3,
    )


@pytest.fixture(scope="session")
def cluster_of():
    """count -> the TF_CONFIG of each process of a cluster on this machine."""

    def make(count):
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in sockets]
        for server in sockets:
            server.close()
        return [
            json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": n}})
            for n in range(count)
        ]

    return make


@pytest.fixture
def write_old_config():
    """(path, config) -> writes the `config.json` of a version without `loss`."""

    def write(path, config):
        fields = json.loads(config.for_labels(multi_label=False).to_json())
        del fields["loss"], fields["class_weight"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(fields, indent=2))

    return write
