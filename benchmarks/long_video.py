"""Peak memory of features and predictions of a two-hour video, against that of a one-minute one.

Each measurement is the largest resident set of a process of its own. The long video is the short
one, repeated without encoding it again.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
from report import publish

FPS = 25
TASKS = ("windows", "whole", "timeline")


def write_minute(path, size):
    """Writes a minute of moving blocks, without pictures that refer to later ones."""
    import av

    random = np.random.default_rng(0)
    blocks = random.integers(0, 256, (size[0] // 8, size[1] // 8, 3), np.uint8)
    picture = blocks.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "bf": "0"})
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "yuv420p"
        for number in range(60 * FPS):
            moved = np.roll(picture, (number, 2 * number), (0, 1))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        out.mux(stream.encode(None))


def repeat(source, path, times):
    """Copies the packets of a video one time after the other."""
    import av

    with av.open(str(source)) as first, av.open(str(path), "w") as out:
        template = first.streams.video[0]
        stream = out.add_stream_from_template(template)
        length = int(60 / template.time_base)
        for number in range(times):
            first.seek(0)
            for packet in first.demux(template):
                if packet.dts is not None:
                    packet.pts += number * length
                    packet.dts += number * length
                    packet.stream = stream
                    out.mux(packet)


def measure(task, video, options):
    """Runs a task in a process of its own; returns rows, peak MiB and seconds."""
    words = [sys.executable, __file__, "--task", task, "--video", str(video)]
    words += ["--weights", options.weights, "--stride", str(options.stride)]
    begin = time.perf_counter()
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    result = json.loads(done.stdout.splitlines()[-1])
    return result | {"seconds": time.perf_counter() - begin}


def run(options):
    """The child process: runs one task and prints its rows and its peak memory."""
    import kinetics_i3d as ki3d

    if options.task == "timeline":
        timeline = ki3d.classify_over_time(options.video, options.weights, stride=options.stride)
        rows = len(timeline)
        print(len(ki3d.find_segments(timeline)), "segments")
    elif options.task == "windows":
        features = ki3d.extract_features(options.video, options.weights, stride=options.stride)
        rows = len(features)
    else:
        rows = len(ki3d.extract_features(options.video, options.weights, window="whole"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"rows": rows, "peak": peak}))


def main():
    """Prints and records the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", default="rgb_figures")
    parser.add_argument("--minutes", type=int, default=120, help="of the long video")
    parser.add_argument("--stride", type=int, default=16, help="of the windows")
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.add_argument("--video", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        run(options)
        return

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        short, long = (pathlib.Path(folder) / f"{name}.mp4" for name in ("short", "long"))
        write_minute(short, (96, 128))
        repeat(short, long, options.minutes)
        for task in options.tasks:
            first, second = (measure(task, video, options) for video in (short, long))
            rows.append(
                {
                    "task": task,
                    "rows, 1 minute": first["rows"],
                    f"rows, {options.minutes} minutes": second["rows"],
                    "peak, 1 minute": f"{first['peak']:.0f} MiB",
                    f"peak, {options.minutes} minutes": f"{second['peak']:.0f} MiB",
                    "ratio": f"{second['peak'] / first['peak']:.2f}",
                }
            )
            print(rows[-1], f"{second['seconds']:.0f} s", flush=True)
    if options.minutes < 120:
        return  # a trial
    name = "long_video" if options.weights == "rgb_figures" else f"long_video_{options.weights}"
    publish(
        name,
        f"Memory of long videos, `{options.weights}`",
        " ".join(["python", "benchmarks/long_video.py", *sys.argv[1:]]),
        rows,
        notes="Peak resident set of a process that does the task. windows: `extract_features`, "
        f"windows of 64 frames at stride {options.stride}; whole: `window='whole'`; timeline: "
        "`classify_over_time` and `find_segments`.",
    )


if __name__ == "__main__":
    main()
