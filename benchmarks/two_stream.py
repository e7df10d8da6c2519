"""A video of ten seconds: time for its flow, and to classify it with both streams.

Programs run interleaved in one process after a warm-up round; the table shows medians. The network
has the size of the released ones and random weights.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import functools
import itertools
import pathlib
import statistics
import tempfile
import time

import numpy as np
from report import publish

from kinetics_i3d.flow import optical_flow
from kinetics_i3d.flow.compute import read_flow
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

SHARED = pathlib.Path(
    os.environ.get("KINETICS_I3D_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared")
)
CLIP = "arm_wrestling.mp4"  # 340x256
FRAMES = 251  # which give 250 flows


def measure(path, frames, rounds):
    """{program: [(seconds, processor seconds), ...]}."""
    import keras

    import kinetics_i3d as ki3d
    from kinetics_i3d.models.load import PRECISIONS

    models = {}
    for precision, policy in PRECISIONS.items():
        keras.config.set_dtype_policy(policy)
        models[precision] = ki3d.TwoStreamI3D(classes=400)
        models[precision].labels = tuple(f"class {number}" for number in range(400))
    keras.config.set_dtype_policy("float32")
    shapes = {"rgb": 3, "flow": 2}
    clips = {
        name: np.zeros((1, 250, 224, 224, channels), np.float32)
        for name, channels in shapes.items()
    }
    programs = {
        "flow of 250 frames in memory": lambda: optical_flow(frames),
        "flow of the file": lambda: sum(1 for _ in read_flow(path)),
    }
    for precision, model in models.items():
        programs |= {
            f"network only, both streams, {precision}": functools.partial(
                model.predict_on_batch, clips
            ),
            f"classify from the file, {precision}": functools.partial(ki3d.classify, path, model),
        }
    seconds = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            wall, processor = time.perf_counter(), time.process_time()
            program()
            if turn:
                spent = time.perf_counter() - wall, time.process_time() - processor
                seconds[name].append(spent)
    return seconds


def main(options):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "video.mp4"
        source = read_frames(SHARED / "clips" / CLIP, fps=25, short_side=256)
        frames = list(itertools.islice(itertools.cycle(list(source)), FRAMES))
        write_video(path, frames, fps=25)
        seconds = measure(path, np.stack(frames), options.rounds)
    rows = [
        {
            "what": name,
            "seconds (median)": f"{statistics.median(wall for wall, _ in spent):.2f}",
            "min": f"{min(wall for wall, _ in spent):.2f}",
            "processor seconds (median)": f"{statistics.median(cpu for _, cpu in spent):.2f}",
        }
        for name, spent in seconds.items()
    ]
    publish(
        "two_stream",
        "A video of 10 s, 340x256, 25 frames per second",
        "python benchmarks/two_stream.py",
        rows,
        notes=f"{options.rounds} interleaved rounds on all cores. TV-L1 by Numba.",
        data=seconds,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    main(parser.parse_args())
