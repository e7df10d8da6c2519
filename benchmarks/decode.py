"""Decoding speed on one thread: this package, PyAV, OpenCV and decord, in frames per second.

Programs run interleaved on the same files, each with one thread; the table shows medians. OpenCV
and decord are left out where they are not installed.
"""

import argparse
import importlib.metadata
import importlib.util
import itertools
import os
import pathlib
import statistics
import tempfile
import time

import numpy as np
from report import publish

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.video import painter as pictures
from kinetics_i3d.video.clip import read_clip
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

SHARED = pathlib.Path(
    os.environ.get("KINETICS_I3D_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared")
)
SOURCES = {"340x256": ("arm_wrestling.mp4", 256), "1280x720": ("flipping_pancake.mkv", 720)}
OPTIONAL = {"cv2": "opencv-contrib-python-headless", "decord": "decord"}
BASE = "PyAV, to RGB of that size, its defaults"
SAME = "PyAV, to RGB of that size, the values of ours"


def make_videos(folder, seconds):
    """H.264 files of 25 frames a second from real clips: {size: path}."""
    paths = {}
    for size, (clip, side) in SOURCES.items():
        paths[size] = folder / f"{size}.mp4"
        width = int(size.split("x")[0])
        frames = read_frames(SHARED / "clips" / clip, fps=25, short_side=side)
        first = itertools.islice(frames, round(25 * seconds))
        write_video(paths[size], (widened(frame, width) for frame in first), fps=25)
        frames.close()
    return paths


def widened(frame, width):
    """A frame cut or padded to a width."""
    return np.pad(frame[:, :width], ((0, 0), (0, max(0, width - frame.shape[1])), (0, 0)), "edge")


def pyav(convert):
    """path -> number of frames, by PyAV with one decoding thread."""

    def count(path):
        import av

        frames = 0
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for picture in container.decode(stream):
                convert(picture)
                frames += 1
        return frames

    return count


def to_spec_size(**options):
    """A function that converts PyAV's frames to RGB arrays of the size of the spec."""

    def convert(picture):
        height, width = DEEPMIND.resized(picture.height, picture.width)
        picture.reformat(width, height, "rgb24", threads=1, **options).to_ndarray()

    return convert


def opencv(path):
    import cv2

    cv2.setNumThreads(1)
    video = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    frames = 0
    while True:
        success, frame = video.read()
        if not success:
            return frames
        height, width = DEEPMIND.resized(*frame.shape[:2])
        if frame.shape[:2] != (height, width):
            frame = cv2.resize(frame, (width, height))
        cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        frames += 1


def decord(path):
    import decord

    context = decord.cpu(0)
    first = decord.VideoReader(str(path), ctx=context, num_threads=1)
    height, width = DEEPMIND.resized(*first[0].shape[:2])
    reader = decord.VideoReader(str(path), ctx=context, num_threads=1, width=width, height=height)
    for index in range(len(reader)):
        reader[index].asnumpy()
    return len(reader)


def programs():
    """{name: path -> number of frames} of what is installed."""
    from av.video.reformatter import Interpolation

    ours = (
        Interpolation.BILINEAR
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.ACCURATE_RND
        | Interpolation.BITEXACT
    )
    all_programs = {
        "PyAV, decoding only": pyav(lambda picture: None),
        "PyAV, to RGB of the video's size": pyav(
            lambda picture: picture.to_ndarray(format="rgb24", threads=1)
        ),
        BASE: pyav(to_spec_size()),
        SAME: pyav(to_spec_size(interpolation=ours)),
        "OpenCV, resized and to RGB": opencv,
        "decord, resized RGB": decord,
        "read_frames(fps=25, short_side=256)": lambda path: sum(
            1 for _ in read_frames(path, fps=25, short_side=256)
        ),
        "read_clip, cropped to 224": lambda path: len(read_clip(path)),
    }
    absent = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
    for name in absent:
        print(f"{name} is not installed, skipped")
    needs = {"OpenCV, resized and to RGB": "cv2", "decord, resized RGB": "decord"}
    return {
        name: program for name, program in all_programs.items() if needs.get(name) not in absent
    }


def measure(paths, rounds):
    """{size: {program: [(frames per second, frames per processor second), ...]}}."""
    results = {size: {name: [] for name in programs()} for size in paths}
    all_programs = programs()
    for _ in range(rounds):
        for size, path in paths.items():
            for name, program in all_programs.items():
                wall, processor = time.perf_counter(), time.process_time()
                frames = program(path)
                wall, processor = time.perf_counter() - wall, time.process_time() - processor
                results[size][name].append((frames / wall, frames / processor))
    return results


def rows_of(size, results):
    """The table rows of one file, and {program: frames per processor second}."""
    medians = {
        name: [statistics.median(column) for column in zip(*runs, strict=True)]
        for name, runs in results.items()
    }
    rows = [
        {
            "video": size,
            "program": name,
            "frames/s": f"{wall:.0f}",
            "frames per processor second": f"{processor:.0f}",
            "relative to PyAV's defaults": f"{processor / medians[BASE][1]:.2f}",
            "relative to PyAV with our flags": f"{processor / medians[SAME][1]:.2f}",
        }
        for name, (wall, processor) in medians.items()
    ]
    return rows, {name: processor for name, (_, processor) in medians.items()}


def main(options):
    rows, data = [], {}
    pictures.compile_shortcut()  # as the training pipeline does
    with tempfile.TemporaryDirectory() as folder:
        results = measure(make_videos(pathlib.Path(folder), options.seconds), options.rounds)
    for size, runs in results.items():
        size_rows, data[size] = rows_of(size, runs)
        rows += size_rows
    versions = [
        f"{package} {importlib.metadata.version(package)}"
        for name, package in OPTIONAL.items()
        if importlib.util.find_spec(name) is not None
    ]
    publish(
        "decode",
        "Decoding H.264 on one thread",
        "python benchmarks/decode.py",
        rows,
        notes=(
            f"{options.rounds} rounds over {options.seconds:g} s of video at 25 frames per second, "
            f"programs interleaved; {', '.join(versions) or 'no other program'}. Without resizing, "
            "PyAV's defaults take a shortcut that turns white into 253. The row with our flags "
            "sets those of `read_frames`; its pixels are bit-exact."
        ),
        data=data,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=6.0)
    main(parser.parse_args())
