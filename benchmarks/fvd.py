"""FVD between real videos and the same videos degraded, by kind and level.

A useful distance is zero for the same videos and grows with the level of noise, blur, shuffled
frames and dropped frames.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import itertools

import numpy as np
from report import publish

import kinetics_i3d as ki3d
from kinetics_i3d.data.datasets import open_dataset

FRAMES = 16


def noise(clip, level, random):
    """Adds Gaussian noise of `level` gray levels."""
    noisy = clip + random.normal(scale=level, size=clip.shape)
    return np.rint(np.clip(noisy, 0, 255)).astype(np.uint8)


def blur(clip, level, random):
    """Averages over squares of 2 * level + 1 pixels."""
    del random
    width = 2 * level + 1
    result = clip.astype(np.float64)
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = (level + 1, level)
        sums = np.cumsum(np.pad(result, padding, mode="edge"), axis=axis)
        size = clip.shape[axis]
        upper = sums.take(range(width, width + size), axis)
        result = (upper - sums.take(range(size), axis)) / width
    return np.rint(result).astype(np.uint8)


def shuffle(clip, level, random):
    """Shuffles frames within windows of `level`."""
    order = np.arange(len(clip))
    for begin in range(0, len(clip), level):
        random.shuffle(order[begin : begin + level])
    return clip[order]


def drop(clip, level, random):
    """Shows every `level`-th frame in place of those that follow it."""
    del random
    return clip[np.arange(len(clip)) // level * level]


DEGRADATIONS = {
    "noise": (noise, (5, 20, 60)),
    "blur": (blur, (1, 3, 8)),
    "shuffle": (shuffle, (2, 4, 16)),
    "drop": (drop, (2, 4, 8)),
}


def main():
    """Prints and records the distances."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="J-HMDB, or another dataset of clips of 16 frames or more")
    parser.add_argument("--kind", default="jhmdb")
    parser.add_argument("--videos", type=int, default=120)
    options = parser.parse_args()

    dataset = open_dataset(options.data, kind=options.kind).split("test")
    clips: list = []
    for video in dataset.videos:
        frames = list(itertools.islice(ki3d.read_frames(video.path), FRAMES))
        if len(frames) == FRAMES and (not clips or frames[0].shape == clips[0][0].shape):
            clips.append(np.stack(frames))
        if len(clips) == options.videos:
            break
    real = ki3d.fvd_features(np.stack(clips))
    rows = [{"degradation": "none", "level": "", "FVD": f"{ki3d.fvd(real, real).fvd:.1f}"}]
    for name, (degrade, levels) in DEGRADATIONS.items():
        for level in levels:
            random = np.random.default_rng(0)
            degraded = np.stack([degrade(clip, level, random) for clip in clips])
            distance = ki3d.fvd(real, ki3d.fvd_features(degraded)).fvd
            rows.append({"degradation": name, "level": level, "FVD": f"{distance:.1f}"})
            print(rows[-1], flush=True)
    publish(
        "fvd",
        "FVD between real videos and the same videos degraded",
        f"python benchmarks/fvd.py DATA --videos {len(clips)}",
        rows,
        notes=f"The first {FRAMES} frames of {len(clips)} test videos of J-HMDB, protocol "
        "`reference`. Levels: noise, standard deviation in gray levels; blur, radius of a square "
        "in pixels; "
        "shuffle, frames within which the order is changed; drop, one frame in so many is shown.",
    )


if __name__ == "__main__":
    main()
