"""`plan_shards`: which video goes into which shard, fixed by a seed before the work begins."""

import collections
import os
import pathlib
import random

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.records.manifest import digest


def plan_shards(dataset, *, size, seed=0):
    """Shuffles the videos of each split and deals them out.

    Args:
        dataset: A `VideoDataset`. Its missing videos have a place too, so that another's does not
            depend on what has been downloaded.
        size: Videos a shard.
        seed: Chooses the shuffle.

    Returns:
        {split: list of (file name, list of (name, `Video`))}; a video's name is its path from the
        folder that holds them all, with its span behind it if it has one.

    Raises:
        DatasetError: If there is no video, or a split's name cannot be that of a file.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> plan = plan_shards(open_dataset(folder), size=32)
    >>> [(file, [name for name, video in videos]) for file, videos in plan["test"]]
    [('test-00000-of-00001.tfrecord', ['more.mp4'])]
    """
    every = dataset.videos + dataset.missing
    if not every:
        raise DatasetError(f"{dataset.name}: no videos")
    paths = [pathlib.Path(os.path.abspath(video.path)) for video in every]
    root = os.path.commonpath([path.parent for path in paths])
    by_split = collections.defaultdict(list)
    for path, video in zip(paths, every, strict=True):
        name = path.relative_to(root).as_posix()
        by_split[video.split].append(
            (name if video.span is None else video.span.located(name), video)
        )
    plan = {}
    for split, videos in sorted(by_split.items()):
        if pathlib.PurePath(split).name != split or split.startswith("."):
            raise DatasetError(f"{dataset.name}: the split {split!r} cannot be a file's name")
        videos.sort(key=lambda pair: pair[0])
        random.Random(f"{seed} {split}").shuffle(videos)
        parts = [videos[first : first + size] for first in range(0, len(videos), size)]
        plan[split] = [
            (f"{split}-{index:05d}-of-{len(parts):05d}.tfrecord", part)
            for index, part in enumerate(parts)
        ]
    return plan


def summarize(shards):
    """By what a split's videos, in their order, are known again; JSON-ready."""
    rows = [(name, video.label) for _, videos in shards for name, video in videos]
    return {"number": len(rows), "digest": digest(rows)}
