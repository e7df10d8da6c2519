"""LiteRT files in four precisions: speed and size relative to TensorFlow.

An I3D with random weights; engines interleaved, two threads. `agreement.py` measures how far the
files agree with Keras.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import pathlib
import statistics
import tempfile
import time

import numpy as np
from report import publish

from kinetics_i3d.exporting.isolated_runner import open_litert
from kinetics_i3d.exporting.litert import PRECISIONS, convert

FRAMES, SIZE, CLASSES, THREADS = 64, 224, 400, 2
PLAIN = "TensorFlow float32"


def speed(rounds, folder):
    """({engine: [(seconds, processor seconds), ...]}, {engine: bytes}) of 64x224x224."""
    import keras
    import tensorflow as tf

    import kinetics_i3d as ki3d

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(classes=CLASSES)
    plain = keras.Model(model.inputs, model.outputs)
    graph = tf.function(lambda x: plain(x, training=False))
    pixels = np.random.default_rng(0).integers(0, 256, (1, FRAMES, SIZE, SIZE, 3), np.uint8)
    clips = model.clip_spec.normalize(pixels)
    tensor = tf.constant(clips)
    engines = {PLAIN: lambda: graph(tensor).numpy()}
    sizes = {PLAIN: 4 * model.count_params()}
    for precision in PRECISIONS:
        path = folder / f"speed_{precision}.tflite"
        calibration = [{"rgb": clips}] if precision == "int8" else ()
        file = convert(model, {"rgb": pixels.shape}, precision=precision, clips=calibration)
        path.write_bytes(file)
        network, name = open_litert(path, threads=THREADS), f"LiteRT {precision}"
        engines[name] = lambda network=network: network(rgb=pixels)["logits"]
        sizes[name] = path.stat().st_size
    for engine in engines.values():
        engine()
    seconds = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            start = time.perf_counter(), time.process_time()
            engine()
            spent = time.perf_counter() - start[0], time.process_time() - start[1]
            seconds[name].append(spent)
    return seconds, sizes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as beside:
        seconds, sizes = speed(options.rounds, pathlib.Path(beside))
    base = statistics.median(spent for _, spent in seconds[PLAIN])
    rows = []
    for name, measured in seconds.items():
        wall, spent = (statistics.median(column) for column in zip(*measured, strict=True))
        rows.append(
            {
                "engine": name,
                "s per clip (median)": f"{wall:.3f}",
                "min": f"{min(wall for wall, _ in measured):.3f}",
                "processor s": f"{spent:.3f}",
                "by processor time": f"{base / spent:.2f}x",
                "MB": f"{sizes[name] / 1e6:.1f}",
            }
        )
    publish(
        "export_litert",
        f"LiteRT: InceptionI3D({CLASSES}) on {FRAMES}x{SIZE}x{SIZE}, batch 1, {THREADS} threads",
        "python benchmarks/export_litert.py",
        rows,
        notes="Random weights. How far the files agree with Keras: `benchmarks/agreement.py`.",
        data={"seconds": seconds, "bytes": sizes},
    )
