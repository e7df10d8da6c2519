"""TV-L1 by Numba, by TensorFlow and by OpenCV: speed, and how far their flows differ.

Programs run interleaved on the same pairs of real frames; the table shows medians.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import concurrent.futures
import importlib.metadata
import itertools
import pathlib
import statistics
import time

import numpy as np
from report import publish

from kinetics_i3d.flow import TVL1
from kinetics_i3d.flow.compute import to_gray
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.video.reader import read_frames

CLIPS = pathlib.Path(
    os.environ.get("KINETICS_I3D_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared")
)
# Start of each clip in seconds: one with slow motion, one with 4 to 34 pixels per frame.
STARTS = {"cricket_shot.avi": 1.2, "arm_wrestling.mp4": 0.0}
SIZES = ((224, 224), (256, 340))
PROGRAMS = ("opencv", "numba", "tensorflow")
NOISE = 2.5e-4  # gray levels


def pairs_of(path, size, count, start=0.0):
    """Pairs of consecutive gray frames, cropped at the center."""
    frames = []
    for frame in read_frames(path, fps=25, short_side=256, start=start):
        top, left = ((full - part) // 2 for full, part in zip(frame.shape, size, strict=False))
        frames.append(to_gray(frame[top : top + size[0], left : left + size[1]]))
        if len(frames) > count:
            return list(itertools.pairwise(frames))
    raise SystemExit(f"{path}: fewer than {count + 1} frames")


def timed(function):
    """(wall seconds, processor seconds) of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - processor


def measure(pairs, rounds):
    """{program: {"one": [(wall, processor), ...], "two": [wall, ...], "flows": array}}.

    The seconds are per pair, with one thread and with two.
    """
    import cv2

    parameters = TVL1()
    programs = {name: pair_function("tvl1", name) for name in PROGRAMS}
    results = {}
    for name, program in programs.items():  # also compiles
        flows = np.stack([program(*pair, parameters) for pair in pairs])
        results[name] = {"one": [], "two": [], "flows": flows}

    def both_at_once(program):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda pair: program(*pair, parameters), pairs))

    def one_by_one(program):
        for pair in pairs:
            program(*pair, parameters)

    for _ in range(rounds):
        for pair in pairs:
            for name, program in programs.items():
                results[name]["one"].append(timed(lambda p=program, a=pair: p(*a, parameters)))
        for name, program in programs.items():
            results[name]["two"].append(timed(lambda p=program: both_at_once(p))[0] / len(pairs))
        # OpenCV can also use two threads for one pair: the faster of both ways counts.
        cv2.setNumThreads(2)
        own = timed(lambda: one_by_one(programs["opencv"]))[0] / len(pairs)
        cv2.setNumThreads(1)
        results["opencv"]["two"][-1] = min(results["opencv"]["two"][-1], own)
    return results


def with_noise(pairs):
    """OpenCV's flow of the same pairs with noise far below one gray level."""
    import cv2

    random = np.random.default_rng(0)
    flows = []
    for pair in pairs:
        noisy = [(frame + random.normal(0, NOISE, frame.shape)) / 255 for frame in pair]
        method = cv2.optflow.DualTVL1OpticalFlow_create()
        flows.append(method.calc(*(frame.astype(np.float32) for frame in noisy), None))
    return np.stack(flows)


def differences(flows, other):
    """Mean and 99th percentile of the end-point difference, as cells of a row."""
    distance = np.hypot(*np.moveaxis(flows - other, -1, 0))
    return {
        "mean difference (px)": f"{distance.mean():.4f}",
        "99th percentile (px)": f"{np.percentile(distance, 99):.3f}",
    }


def rows_of(clip, size, count, rounds):
    """The table rows of one clip and size, and the numbers behind them."""
    pairs = pairs_of(CLIPS / "clips" / clip, size, count, STARTS[clip])
    results = measure(pairs, rounds)
    opencv_flows = results["opencv"]["flows"]
    moves = np.hypot(opencv_flows[..., 0], opencv_flows[..., 1])
    about = {
        "clip": clip,
        "frames": f"{size[0]}x{size[1]}",
        "motion, mean / 99th (px)": f"{moves.mean():.1f} / {np.percentile(moves, 99):.1f}",
    }
    wall, processor, two = {}, {}, {}
    for name, values in results.items():
        wall[name], processor[name] = (
            1000 * statistics.median(column) for column in zip(*values["one"], strict=True)
        )
        two[name] = 1000 * statistics.median(values["two"])
    rows = [
        {
            **about,
            "program": name,
            "ms per pair, 1 thread": f"{wall[name]:.1f}",
            "processor ms": f"{processor[name]:.1f}",
            "speed relative to OpenCV (processor)": f"{processor['opencv'] / processor[name]:.1f}",
            "ms per pair, 2 threads": f"{two[name]:.1f}",
            **differences(results[name]["flows"], opencv_flows),
        }
        for name in PROGRAMS
    ]
    rows.append(dict.fromkeys(rows[0], "") | about | {"program": "opencv, frames with noise"})
    rows[-1].update(differences(with_noise(pairs), opencv_flows))
    return rows, {"wall_ms": wall, "processor_ms": processor, "two_threads_ms": two}


def main(options):
    import cv2
    import tensorflow as tf

    cv2.setNumThreads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows, data = [], {}
    for clip in STARTS:
        for size in SIZES:
            size_rows, numbers = rows_of(clip, size, options.pairs, options.rounds)
            rows += size_rows
            data[f"{clip} {size[0]}x{size[1]}"] = numbers
    packages = ("numba", "opencv-contrib-python-headless")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    publish(
        "flow",
        "TV-L1 optical flow with OpenCV's default parameters",
        "python benchmarks/flow.py",
        rows,
        notes=(
            f"{options.rounds} rounds over {options.pairs} pairs of each clip, interleaved, "
            f"programs compiled before. With {versions}. Differences are end-point differences "
            "from OpenCV's flow of the same 8-bit frames. The last row of each block compares "
            f"OpenCV with itself under normal noise of {NOISE:g} gray levels."
        ),
        data=data,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=6)
    main(parser.parse_args())
