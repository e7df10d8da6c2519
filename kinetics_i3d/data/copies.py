"""`copies_across`: videos that are in two splits under different paths.

A model must not be tested on a video that it was trained on. Links, different spellings of a path
and copies of a file can hide that two videos are the same.
"""

import collections
import os

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.flow.info import fingerprint
from kinetics_i3d.video.frame_folder import split_rate


def copies_across(parts):
    """Finds videos that are in more than one part of a dataset.

    Files are compared by their sizes and the bytes at both ends, folders of pictures by their
    paths with links resolved. Different spans of a video are different videos.

    Args:
        parts: {name of a split: `Video`s}.

    Returns:
        A list of tuples of locations, in the order of the first of each.

    Example:

    >>> dataset = ki3d.open_dataset(folder)
    >>> copies = copies_across({"train": dataset.videos, "test": dataset.videos})
    >>> copies[0][0]
    '/.../video.mp4'
    """
    by_size: dict = collections.defaultdict(list)
    for part, videos in parts.items():
        for video in videos:
            by_size[_size(video), video.span].append((part, video))
    by_content: dict = collections.defaultdict(list)
    for (size, span), candidates in by_size.items():
        if len({part for part, _ in candidates}) > 1:
            for part, video in candidates:
                by_content[_content(video, size), span].append((part, str(video.location)))
    return [
        tuple(location for _, location in copies)
        for (content, _), copies in by_content.items()
        if content is not None and len({part for part, _ in copies}) > 1
    ]


def _size(video):
    """The size of a file, or the path of a folder without links; None if it cannot be read."""
    path, _ = split_rate(video.path)
    try:
        return os.path.realpath(path) if os.path.isdir(path) else os.stat(path).st_size
    except OSError:  # reported when the video is read
        return None


def _content(video, size):
    if isinstance(size, str):
        return size
    try:
        return fingerprint(video.path)["sha256"]
    except VideoError:
        return None
