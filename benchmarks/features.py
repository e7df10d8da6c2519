"""Timed features: memory by length, throughput against the network alone, a folder against a loop.

    python benchmarks/features.py
    python benchmarks/features.py --seconds 6 --times 3 --videos 2 --rounds 1   # quick
    python benchmarks/features.py --parts throughput

Memory: the peak of `kinetics-i3d features` on a video of a minute and on that video repeated.
Throughput: that minute against the same windows as ready tensors. Streams: both streams of that
minute against the sum of both networks and of the flow. Both are interleaved in one process.
Folder: one call on a folder against a shell loop that calls `classify` on each file.
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
TITLES = {
    "memory": "Timed features: memory of a long video",
    "throughput": "Timed features: throughput against the network alone",
    "streams": "Timed features: both streams against their parts",
    "folder": "Timed features: a folder of videos",
}
NOTES = {
    "memory": "Windows far apart, so that all frames are decoded and few windows computed.",
    "throughput": "Medians of interleaved rounds; ratios are within a round.",
    "streams": "Medians of interleaved rounds; ratios are within a round. Flow is TV-L1, "
    "computed in the call; the networks have random weights.",
    "folder": "",
}
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
    """{program: seconds of each round}, interleaved after a warm-up round."""
    seconds = {name: [] for name in programs}
    for turn in range(rounds + 1):
        for name, program in programs.items():
            begun = time.perf_counter()
            program()
            if turn:
                seconds[name].append(time.perf_counter() - begun)
    return {name: np.array(spent) for name, spent in seconds.items()}


def _network(model, channels, windows):
    """A function that runs a network up to Mixed_5c on so many windows of ready clips."""
    import kinetics_i3d as ki3d
    from kinetics_i3d.inference.feature_options import BATCH_FRAMES

    part = ki3d.feature_model(model, "Mixed_5c")
    batch = BATCH_FRAMES // WINDOW
    shape = (batch, WINDOW, 224, 224, channels)
    clips = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)

    def call():
        for begin in range(0, windows, batch):
            part.predict_on_batch(clips[: min(batch, windows - begin)])

    return call


def _features(model, video):
    """A function that computes the features of the same number of windows of a video."""
    from kinetics_i3d.inference.feature_options import FeatureOptions
    from kinetics_i3d.inference.features import FeatureExtractor

    options = FeatureOptions(window=WINDOW, stride=WINDOW, tail="drop")
    extractor = FeatureExtractor(model, options)  # one for all videos, as the command has it
    return lambda: extractor.extract(video)


def throughput(short, seconds, rounds):
    """Rows of the throughput of features against that of the network alone."""
    import kinetics_i3d as ki3d

    windows = seconds * FPS // WINDOW
    model = ki3d.load_model(WEIGHTS)
    spent = timed(
        {"network": _network(model, 3, windows), "features": _features(model, short)}, rounds
    )
    ratios = spent["network"] / spent["features"]
    speeds = [windows / statistics.median(spent[name]) for name in ("features", "network")]
    return [
        {
            "what": "features of a video, rgb: throughput against the network alone",
            "measured": f"{speeds[0]:.2f} and {speeds[1]:.2f} windows/s",
            "ratio": f"{statistics.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})",
            "wanted": "at least 0.95",
        }
    ]


def streams(short, seconds, rounds):
    """Rows of the time of features of both streams against that of their parts."""
    import kinetics_i3d as ki3d
    from kinetics_i3d.flow.compute import read_flow

    windows = seconds * FPS // WINDOW
    both = ki3d.TwoStreamI3D(classes=400)  # random weights take the same time
    spent = timed(
        {
            "rgb network": _network(both.streams["rgb"], 3, windows),
            "flow network": _network(both.streams["flow"], 2, windows),
            "flow": lambda: sum(1 for _ in read_flow(short)),
            "features": _features(both, short),
        },
        rounds,
    )
    parts = spent["rgb network"] + spent["flow network"] + spent["flow"]
    seconds = [statistics.median(values) for values in (spent["features"], parts)]
    return [
        {
            "what": "features of a video, both streams: time against both networks and the flow",
            "measured": f"{seconds[0]:.1f} s and {seconds[1]:.1f} s",
            "ratio": f"{statistics.median(spent['features'] / parts):.2f}",
            "wanted": "about 1",
        }
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
    """Prints and records the ratios of each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60, help="of the short video")
    parser.add_argument("--times", type=int, default=120, help="that the long video repeats it")
    parser.add_argument("--videos", type=int, default=100, help="in the folder")
    parser.add_argument("--rounds", type=int, default=5, help="of throughput and streams")
    parser.add_argument("--parts", nargs="+", choices=TITLES, default=[*TITLES])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        short = folder / "short.mp4"
        make_short(short, options.seconds)
        parts = {
            "memory": lambda: memory(folder, short, options.seconds, options.times),
            "throughput": lambda: throughput(short, options.seconds, options.rounds),
            "streams": lambda: streams(short, options.seconds, options.rounds),
            "folder": lambda: folder_of_videos(folder, options.videos),
        }
        for part in options.parts:
            publish(
                f"features_{part}",
                TITLES[part],
                " ".join(["python", "benchmarks/features.py", *sys.argv[1:]]),
                parts[part](),
                notes=f"`{WEIGHTS}`, windows of {WINDOW} frames, 320x240 videos at {FPS} frames a "
                f"second. {NOTES[part]}".strip(),
            )


if __name__ == "__main__":
    main()
