"""Speed of the training pipeline with records and with videos, and how long training waits for it.

Measures random clips of 64 frames from 10 s videos, and real training steps fed by the pipeline.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import cProfile
import io
import itertools
import pathlib
import pstats
import statistics
import tempfile
import time

from report import publish

from kinetics_i3d.core.clip_spec import DEEPMIND, ClipSpec
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.pipeline import augmentation, decoded_clips, training_clips
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.data.records.reader import RecordSplit
from kinetics_i3d.data.streams import read_window
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

SHARED = pathlib.Path(
    os.environ.get("KINETICS_I3D_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared")
)
CLIPS = ("arm_wrestling.mp4", "flipping_pancake.mkv", "walking_the_dog.mp4", "weightlifting.mp4")
SECONDS, FRAMES, BATCH = 10, 64, 4
SMALL = ClipSpec("small", short_side=128, size=112)
SPECS = {"256, crop 224": DEEPMIND, "128, crop 112": SMALL}


def make_videos(folder):
    """A dataset of H.264 videos of ten seconds, 25 frames per second and 256 lines."""
    videos = []
    for clip in CLIPS:
        path = folder / f"{pathlib.Path(clip).stem}.mp4"
        frames = read_frames(SHARED / "clips" / clip, fps=25, short_side=256)
        looped = itertools.islice(itertools.cycle(list(frames)), 25 * SECONDS)
        write_video(path, looped, fps=25)
        videos.append(Video(path, "abcd"[len(videos)], "train", clip))
    return VideoDataset("videos", tuple("abcd"), tuple(videos))


def drawn(dataset, clips):
    """(clips per second, clips per processor second), after a warm-up of one clip per video."""
    iterator = iter(dataset)
    for _ in CLIPS:
        next(iterator)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(clips):
        next(iterator)
    return clips / (time.perf_counter() - wall), clips / (time.process_time() - processor)


def clip_rows(videos, folder, options):
    """The table's rows of clips, and the numbers behind them."""
    rows, data = [], {}
    for size, spec in SPECS.items():
        config = PrepareConfig(streams=("rgb",), spec=spec)
        records = prepare(videos, folder / spec.name, config)
        sources = {"videos": videos, "records": records.split("train")}
        specs = {"rgb": spec}
        speeds = {name: [] for name in sources}
        for _ in range(options.rounds):
            for name, source in sources.items():
                for clips in (
                    decoded_clips(source, specs=specs, frames=FRAMES),
                    training_clips(
                        source, spec=spec, frames=FRAMES, batch_size=1, augment=augmentation(spec)
                    ),
                ):
                    speeds[name].append(drawn(clips, options.clips))
        for name, runs in speeds.items():
            decoded, trained = (
                [statistics.median(column) for column in zip(*runs[part::2], strict=True)]
                for part in (0, 1)
            )
            data[f"{size} {name}"] = {"decoded": decoded, "augmented": trained}
        base = data[f"{size} videos"]
        for name in sources:
            speed = data[f"{size} {name}"]
            rows.append(
                {
                    "frames": size,
                    "from": name,
                    "decoded clips/s": f"{speed['decoded'][0]:.1f}",
                    "per processor second": f"{speed['decoded'][1]:.1f}",
                    "relative to videos": f"{speed['decoded'][1] / base['decoded'][1]:.2f}",
                    "augmented clips/s": f"{speed['augmented'][0]:.1f}",
                    "augmented, per processor second": f"{speed['augmented'][1]:.1f}",
                    "augmented, relative to videos": (
                        f"{speed['augmented'][1] / base['augmented'][1]:.2f}"
                    ),
                }
            )
    return rows, data


def waiting(source, frames, steps):
    """(share of the training time spent waiting for clips, seconds per step)."""
    import keras

    from kinetics_i3d.models.inception_i3d import InceptionI3D

    clips = training_clips(
        source, spec=SMALL, frames=frames, batch_size=BATCH, augment=augmentation(SMALL)
    )
    model = InceptionI3D(classes=len(CLIPS))
    model.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    iterator = iter(clips)
    model.train_on_batch(*next(iterator))  # builds the graph
    waited, start = 0.0, time.perf_counter()
    for _ in range(steps):
        before = time.perf_counter()
        batch = next(iterator)
        waited += time.perf_counter() - before
        model.train_on_batch(*batch)
    total = time.perf_counter() - start
    return waited / total, total / steps


def profile(videos):
    """The profile of reading clips from videos, as text."""
    profiler = cProfile.Profile()
    profiler.enable()
    for position in (0.1, 0.5, 0.9):
        for video in videos.videos:
            read_window(video.path, StreamSpecs(DEEPMIND), frames=FRAMES, position=position)
    profiler.disable()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).strip_dirs().sort_stats("tottime").print_stats(6)
    return "\n".join(line for line in text.getvalue().splitlines() if line.strip())


def main(options):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        videos = make_videos(folder)
        rows, data = clip_rows(videos, folder, options)
        records = RecordSplit(
            prepare(videos, folder / SMALL.name, PrepareConfig(streams=("rgb",), spec=SMALL)),
            "train",
        )
        waits = {}
        for frames in (16, 64):
            for kind, source in (("videos", videos), ("records", records)):
                share, seconds = waiting(source, frames, options.steps)
                waits[f"{frames} frames from {kind}"] = {"share": share, "step": seconds}
        spent = profile(videos)
    data["waiting"] = waits
    lines = [
        f"- {name}: {100 * wait['share']:.1f} % of the time, {wait['step']:.2f} s per step"
        for name, wait in waits.items()
    ]
    publish(
        "input",
        f"Training clips of {FRAMES} frames from {SECONDS} s videos",
        "python benchmarks/input.py",
        rows,
        notes=(
            f"{options.rounds} rounds of {options.clips} clips, interleaved, one process. "
            f"Training steps of InceptionI3D on {BATCH} clips of 112x112, fed by the pipeline, "
            "wait for their batches:\n\n" + "\n".join(lines) + "\n\nProfile of clips from videos "
            f"({3 * len(CLIPS)} clips of 256 lines):\n\n```\n{spent}\n```"
        ),
        data=data,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--steps", type=int, default=12)
    main(parser.parse_args())
