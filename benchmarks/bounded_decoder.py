"""What the bounded decoder costs: `read_frames` with it and without it, in turn.

The same files are read with one thread, in this process and in a child process. A table shows the
medians of the ratios of times, for reading alone and while this process works on each frame, and
the time that a new child takes to start.
"""

import argparse
import os
import pathlib
import statistics
import tempfile
import time

import numpy as np
from decode import make_videos
from report import publish

from kinetics_i3d.core.child_process import kill_children
from kinetics_i3d.video.limits import bounded_decoder
from kinetics_i3d.video.reader import read_frames, video_info

SIZES = {"340x256": 256, "1280x720": 720, "1280x720 to 455x256": 256}


def read(path, short_side, work):
    """Seconds that reading takes, and its frames."""
    frames = 0
    begin = time.perf_counter()
    for frame in read_frames(path, fps=25, short_side=short_side):
        frames += 1
        if work:
            np.sqrt(frame[::2, ::2].astype(np.float32)).sum()
    return time.perf_counter() - begin, frames


def measure(paths, rounds):
    """Rows of the table."""
    rows = []
    for name, short_side in SIZES.items():
        path = paths[name.split()[0]]
        row = {"frames": name}
        for work in (False, True):
            times: dict = {False: [], True: []}
            for number in range(rounds + 1):
                for is_bounded in (False, True) if number % 2 else (True, False):
                    with bounded_decoder(is_bounded):
                        seconds, frames = read(path, short_side, work)
                    if number:  # the first round starts the child
                        times[is_bounded].append(seconds)
            ratios = [two / one for one, two in zip(times[False], times[True], strict=True)]
            column = "while frames are worked on" if work else "reading alone"
            row[f"frames/s, {column}"] = round(frames / statistics.median(times[False]))
            row[f"time with it, {column}"] = f"{statistics.median(ratios):.2f} times"
        rows.append(row)
    return rows


def start_seconds(path, rounds):
    """Median seconds of a first call, which starts a child, less those of a second."""
    differences = []
    for _ in range(rounds):
        kill_children()
        seconds = []
        for _ in range(2):
            begin = time.perf_counter()
            video_info(path)
            seconds.append(time.perf_counter() - begin)
        differences.append(seconds[0] - seconds[1])
    return statistics.median(differences)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    parser.add_argument("--seconds", type=float, default=20, metavar="S", help="of each video")
    parser.add_argument("--dry-run", action="store_true", help="print and write nothing")
    options = parser.parse_args()
    os.environ.setdefault("KINETICS_I3D_BOUNDED_DECODER", "0")
    with tempfile.TemporaryDirectory() as folder:
        paths = make_videos(pathlib.Path(folder), options.seconds)
        rows = measure(paths, options.rounds)
        with bounded_decoder(True):
            seconds = start_seconds(paths["340x256"], options.rounds)
    notes = (
        f"Times are taken in turn, {options.rounds} rounds after one that is not counted; ratios "
        f"are medians. A new child takes {seconds:.2f} seconds to start, once and after each death."
    )
    if options.dry_run:
        print(*rows, notes, sep="\n")
        return
    publish(
        "bounded_decoder",
        "What the bounded decoder costs",
        "python benchmarks/bounded_decoder.py",
        rows,
        notes=notes,
    )


if __name__ == "__main__":
    main()
