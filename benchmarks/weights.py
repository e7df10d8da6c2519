"""Time and memory to load and convert a checkpoint like the released ones.

The file is written by TensorFlow's Saver with random values and the names and shapes of the
released RGB network. Each measurement runs in its own process; the table shows medians.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from report import publish

NAMES = pathlib.Path(__file__).parents[1] / "tests/weights/releases/rgb_kinetics400.json"


def write(prefix):
    """Writes the checkpoint."""
    import tensorflow as tf

    random = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = []
        for name, shape in json.loads(NAMES.read_text()).items():
            scale = np.sqrt(2 / np.prod(shape[:-1])) if name.endswith("/w") else 0.1
            values = np.abs(random.normal(0, scale, shape)) if "var" in name else None
            values = random.normal(0, scale, shape) if values is None else values + 0.5
            variables.append(tf.compat.v1.get_variable(name, shape, use_resource=False))
            variables[-1].load(values.astype(np.float32), session)
        tf.compat.v1.train.Saver(variables).save(session, str(prefix), write_meta_graph=False)


def read(source, output):
    """Seconds to read and translate all tensors."""
    from kinetics_i3d.weights.read import read_weights

    start = time.perf_counter()
    assert len(read_weights(source).arrays) == 230
    return time.perf_counter() - start


def load(source, output):
    """Seconds to load and build a model."""
    import kinetics_i3d as ki3d

    start = time.perf_counter()
    ki3d.InceptionI3D(weights=source)
    return time.perf_counter() - start


def convert(source, output):
    """Seconds to convert, including the verification."""
    import kinetics_i3d as ki3d

    start = time.perf_counter()
    ki3d.convert(source, output)
    return time.perf_counter() - start


def run_task(task, source, output):
    """Runs one task in this process and prints its seconds and peak memory in MB."""
    import keras
    import tensorflow as tf

    tf.constant(0)
    keras.ops.zeros(1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = globals()[task](source, output)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "frameworks": before}))


def measure(rounds):
    """A row for each task."""
    tasks = {
        "read 230 tensors, names translated": ("read", "-"),
        "InceptionI3D(weights=...), network built": ("load", "-"),
        "convert to PyTorch, verified": ("convert", "i3d.pt"),
        "convert to safetensors, verified": ("convert", "i3d.safetensors"),
        "convert to Keras, verified": ("convert", "i3d.keras"),
    }
    results = {name: [] for name in tasks}
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "model.ckpt"
        write(source)
        for _ in range(rounds):
            for name, (task, output) in tasks.items():
                command = [sys.executable, __file__, "--task", task, str(source)]
                done = subprocess.run(
                    [*command, str(pathlib.Path(folder) / output)],
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                results[name].append(json.loads(done.stdout.splitlines()[-1]))
    return [
        {
            "what": name,
            "seconds": f"{statistics.median(run['seconds'] for run in runs):.2f}",
            "peak MB": f"{statistics.median(run['peak'] for run in runs):.0f}",
            "of which frameworks": f"{statistics.median(run['frameworks'] for run in runs):.0f}",
        }
        for name, runs in results.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--task", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run_task(*options.task)
    else:
        publish(
            "weights",
            "Loading and converting a checkpoint of 50.8 MB",
            "python benchmarks/weights.py",
            measure(options.rounds),
            notes="Seconds without importing the frameworks.",
        )
