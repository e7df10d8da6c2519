"""Speed of InceptionI3D relative to the plain Keras graph, and memory to classify a 10 s video.

Engines run interleaved in one process; the table shows medians and ratios.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from report import publish

FRAMES, SIZE, CLASSES = 64, 224, 400


def speed(rounds):
    """{engine: [seconds per clip, ...]}."""
    import keras
    import tensorflow as tf

    import kinetics_i3d as ki3d

    model = ki3d.InceptionI3D(classes=CLASSES)
    plain = keras.Model(model.inputs, model.outputs)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, FRAMES, SIZE, SIZE, 3)).astype("float32")
    tensor = tf.constant(clips)
    graph = tf.function(lambda x: plain(x, training=False))
    xla = tf.function(lambda x: plain(x, training=False), jit_compile=True)
    engines = {
        "plain Keras graph, tf.function": lambda: graph(tensor).numpy(),
        "InceptionI3D.predict": lambda: model.predict(clips, verbose=0),
        "InceptionI3D.predict_on_batch": lambda: model.predict_on_batch(clips),
        "plain Keras graph, XLA": lambda: xla(tensor).numpy(),
    }
    logits = [engine() for engine in engines.values()]
    assert all(np.allclose(output, logits[0], atol=1e-3) for output in logits)
    seconds = {name: [] for name in engines}
    for _ in range(rounds):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_memory(rate=25, seconds=10):
    """Peak resident GB of `classify` on a 340x256 video of random noise, in a new process."""
    from kinetics_i3d.video.writer import write_video

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "noise.mp4"
        random = np.random.default_rng(0)
        frames = (random.integers(0, 255, (256, 340, 3), np.uint8) for _ in range(rate * seconds))
        write_video(path, frames, fps=rate)
        code = f"import kinetics_i3d as k; m = k.InceptionI3D(); k.classify({str(path)!r}, m)"
        subprocess.run([sys.executable, "-c", code], check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    memory = peak_memory()
    measured = speed(rounds)
    base = statistics.median(next(iter(measured.values())))
    rows = [
        {
            "engine": name,
            "s per clip (median)": f"{statistics.median(seconds):.3f}",
            "min": f"{min(seconds):.3f}",
            "max": f"{max(seconds):.3f}",
            "throughput relative to plain": f"{base / statistics.median(seconds):.2f}",
        }
        for name, seconds in measured.items()
    ]
    publish(
        "inference",
        f"InceptionI3D({CLASSES}) on {FRAMES}x{SIZE}x{SIZE}, float32, batch 1",
        "python benchmarks/inference.py",
        rows,
        notes=f"Peak memory to classify a 10 s video (250 frames, 340x256): {memory:.2f} GB.",
        data={"seconds": measured, "classify_peak_gb": memory},
    )
