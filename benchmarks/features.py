"""Timed features: memory by length, throughput against the network alone, a folder against a loop.

    python benchmarks/features.py
    python benchmarks/features.py --seconds 6 --times 3 --videos 2 --rounds 1   # quick

Memory: the peak of `kinetics-i3d features` on a video of a minute and on that video repeated.
Throughput: that minute against the same windows as ready tensors; with both streams against
the sum of both networks and of the flow, interleaved in one process. Folder: one call on a folder
against a shell loop that calls `classify` on each file.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import itertools
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from report import publish

CLIPS = sorted((pathlib.Path(__file__).parents[1] / "examples").glob("*.mp4"))
WEIGHTS = "rgb_kinetics400"
WINDOW = 64
FPS = 25
COMMAND = [sys.executable, "-m", "kinetics_i3d"]


def make_short(path, seconds):
    """Writes a video of the example clips."""
    import kinetics_i3d as ki3d

    frames = itertools.chain.from_iterable(map(ki3d.read_frames, itertools.cycle(CLIPS)))
    ki3d.write_video(path, itertools.islice(frames, seconds * FPS), fps=FPS)


def repeat(source, target, times, seconds):
    """Writes a video that shows another one several times, by copying its packets."""
    import av

    with av.open(str(source)) as video, av.open(str(target), "w") as output:
        stream = video.streams.video[0]
        copy = output.add_stream_from_template(stream)
        length = int(seconds / stream.time_base)
        packets = [packet for packet in video.demux(stream) if packet.dts is not None]
        stamps = [(packet.pts, packet.dts) for packet in packets]
        for turn in range(times):
            for packet, (pts, dts) in zip(packets, stamps, strict=True):
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                packet.stream = copy
                output.mux(packet)
                packet.time_base = stream.time_base


def run(*words):
    """(seconds, peak memory in MiB) of a command."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(process.args)}: exit code {process.returncode}")
    return time.perf_counter() - begun, usage.ru_maxrss / 1024


def memory(folder, short, seconds, times):
    """Rows of the peak memory of a short and of a long video."""
    long = folder / "long.mp4"
    repeat(short, long, times, seconds)
    peaks = {}
    for path, length in ((short, 1), (long, times)):
        # Windows far apart: all frames are decoded, and the network does not take an hour.
        words = ("--weights", WEIGHTS, "--window", WINDOW, "--stride", 10 * WINDOW)
        _, peaks[length] = run("features", path, "--output", folder / f"memory{length}", *words)
    ratio = peaks[times] / peaks[1]
    text = f"{peaks[1]:.0f} MiB, {peaks[times]:.0f} MiB"
    what = f"peak memory, {seconds} and {seconds * times} seconds of video"
    return [{"what": what, "measured": text, "ratio": f"{ratio:.2f}", "wanted": "at most 1.2"}]


def timed(programs, rounds):
    """{program: median seconds}, interleaved after a warm-up round."""
    seconds = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            begun = time.perf_counter()
            program()
            if turn:
                seconds[name].append(time.perf_counter() - begun)
    return {name: statistics.median(spent) for name, spent in seconds.items()}


def throughput(short, seconds, rounds):
    """Rows of the time of features against that of their parts."""
    import kinetics_i3d as ki3d
    from kinetics_i3d.flow.compute import read_flow
    from kinetics_i3d.inference.feature_options import BATCH_FRAMES, FeatureOptions
    from kinetics_i3d.inference.features import FeatureExtractor

    windows = seconds * FPS // WINDOW
    rgb = ki3d.load_model(WEIGHTS)
    both = ki3d.TwoStreamI3D(classes=400)  # random weights take the same time

    def network(model, channels):
        part = ki3d.feature_model(model, "Mixed_5c")
        batch = BATCH_FRAMES // WINDOW
        clips = np.zeros((batch, WINDOW, 224, 224, channels), np.float32)

        def call():
            for begin in range(0, windows, batch):
                part.predict_on_batch(clips[: min(batch, windows - begin)])

        return call

    def features(model):
        options = FeatureOptions(window=WINDOW, stride=WINDOW, tail="drop")
        extractor = FeatureExtractor(model, options)  # one for all videos, as the command has it
        return lambda: extractor.extract(short)

    medians = timed(
        {
            "rgb network": network(rgb, 3),
            "rgb features": features(rgb),
            "flow network": network(both.streams["flow"], 2),
            "flow": lambda: sum(1 for _ in read_flow(short)),
            "features of both streams": features(both),
        },
        rounds,
    )
    parts = medians["rgb network"] + medians["flow network"] + medians["flow"]
    whole = medians["features of both streams"]
    speeds = [windows / medians[name] for name in ("rgb features", "rgb network")]
    return [
        {
            "what": "features of a video, rgb: throughput against the network alone",
            "measured": f"{speeds[0]:.2f} and {speeds[1]:.2f} windows/s",
            "ratio": f"{speeds[0] / speeds[1]:.2f}",
            "wanted": "at least 0.95",
        },
        {
            "what": "features of a video, both streams: time against both networks and the flow",
            "measured": f"{whole:.1f} s and {parts:.1f} s",
            "ratio": f"{whole / parts:.2f}",
            "wanted": "about 1",
        },
    ]


def folder_of_videos(folder, count):
    """Rows of the time of a folder of short videos against a loop of `classify`."""
    videos = folder / "videos"
    videos.mkdir()
    for number in range(count):
        shutil.copy(CLIPS[number % len(CLIPS)], videos / f"{number:03d}.mp4")
    words = ("--weights", WEIGHTS)
    once, _ = run("features", videos, "--output", folder / "features", *words, "--stride", WINDOW)
    loop = sum(run("classify", path, *words)[0] for path in sorted(videos.iterdir()))
    return [
        {
            "what": f"{count} short videos: a loop of `classify` against one call of `features`",
            "measured": f"{loop:.0f} s and {once:.0f} s",
            "ratio": f"{loop / once:.1f}",
            "wanted": "at least 2",
        }
    ]


def main():
    """Prints and records the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="of the short video")
    parser.add_argument("--times", type=int, default=120, help="that the long video repeats it")
    parser.add_argument("--videos", type=int, default=100, help="in the folder")
    parser.add_argument("--rounds", type=int, default=3, help="of the throughput")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        short = folder / "short.mp4"
        make_short(short, options.seconds)
        rows = []
        for part in (
            lambda: memory(folder, short, options.seconds, options.times),
            lambda: throughput(short, options.seconds, options.rounds),
            lambda: folder_of_videos(folder, options.videos),
        ):
            rows += part()
            print(*rows, sep="\n", flush=True)
    publish(
        "features",
        "Timed features: memory, throughput, a folder",
        "python benchmarks/features.py",
        rows,
        notes=f"`{WEIGHTS}`, windows of {WINDOW} frames, 320x240 videos at {FPS} frames a second; "
        f"medians of {options.rounds} interleaved rounds. Flow is TV-L1, computed in the call; the "
        "networks of both streams have random weights.",
    )


if __name__ == "__main__":
    main()
