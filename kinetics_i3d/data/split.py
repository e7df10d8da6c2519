"""`split_undivided`: training and validation parts of videos that nothing assigns to a split.

Clips that were cut from one longer video look alike: a network that has seen one of them is not
tested by the others. Where file names tell which clips belong together, they stay together.
"""

import dataclasses
import pathlib
import re

from absl import logging

from kinetics_i3d.data.datasets import class_of_source
from kinetics_i3d.data.layouts.hmdb51 import source_film
from kinetics_i3d.data.layouts.listing import UNDIVIDED
from kinetics_i3d.data.layouts.ucf101 import VIDEO as UCF_VIDEO

SHARE = 0.2  # of the groups of each class
KINETICS_VIDEO = re.compile(r"(.{11})_\d{6}_\d{6}")  # <YouTube id>_<start>_<end>


def is_undivided(dataset):
    """Whether nothing says which split the videos of a `VideoDataset` belong to."""
    return all(video.split == UNDIVIDED for video in dataset.videos)


def split_undivided(dataset, *, share=SHARE, seed=0):
    """Holds out a part of every class; the log says how much and by what.

    Args:
        dataset: A `VideoDataset`, as a folder of videos a class is read.
        share: Share of the groups of each class to hold out, above 0 and below 1; at least one
            group, and none of a class that has only one.
        seed: Chooses the groups.

    Returns:
        (training, held out), two `VideoDataset`s of the splits `"train"` and `"val"`. The second is
        empty where no class has two groups.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> training, held = split_undivided(open_dataset(folder))
    >>> len(training), len(held)
    (2, 0)
    """
    grouped = dataclasses.replace(
        dataset,
        videos=tuple(_with_group(video) for video in dataset.videos),
        missing=tuple(_with_group(video) for video in dataset.missing),
    )
    _, held = grouped.hold_out(share, seed=seed)
    groups: dict = {}
    for video in grouped.videos:
        groups.setdefault(class_of_source(video), set()).add(video.source)
    chosen = {
        (class_of_source(video), video.source)
        for video in (*held.videos, *held.missing)
        if len(groups.get(class_of_source(video), ())) > 1
    }
    training, held = (
        dataclasses.replace(
            grouped,
            videos=_side(grouped.videos, chosen, is_held),
            missing=_side(grouped.missing, chosen, is_held),
        )
        for is_held in (False, True)
    )
    known = sum(len(names) for names in groups.values()) < len(dataset)
    logging.info(
        "%s: no split is given; %d of %d videos are held out for validation, chosen %s (seed %d)",
        dataset.name,
        len(held),
        len(dataset),
        "by the groups that the file names tell" if known else "at random",
        seed,
    )
    return training, held


def group_of(video):
    """The longer video, or the group of similar ones, that a `Video` belongs to.

    The names of UCF-101, HMDB-51 and Kinetics tell it; any other video has its own `source`.

    Example:

    >>> from kinetics_i3d.data.datasets import Video
    >>> group_of(Video(pathlib.Path("v_Archery_g07_c01.avi"), "Archery", "all", "x"))
    'g07'
    """
    stem = pathlib.Path(video.path).stem
    ucf = UCF_VIDEO.fullmatch(stem)
    if ucf:
        return ucf[2]
    kinetics = KINETICS_VIDEO.fullmatch(stem)
    if kinetics:
        return kinetics[1]
    film = source_film(stem, video.label)
    return video.source if film == stem else film


def _with_group(video):
    return dataclasses.replace(video, source=group_of(video))


def _side(videos, chosen, is_held):
    name = "val" if is_held else "train"
    return tuple(
        dataclasses.replace(video, split=name)
        for video in videos
        if ((class_of_source(video), video.source) in chosen) == is_held
    )
