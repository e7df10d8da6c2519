"""`find_videos`: the videos that a path names: a file, a folder, a pattern, a list or a table."""

import glob
import os
import pathlib

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.layouts.files import walk_videos
from kinetics_i3d.data.layouts.formats import INDEX_SUFFIXES
from kinetics_i3d.video.frame_folder import is_frame_folder
from kinetics_i3d.video.source import VIDEO_SUFFIXES
from kinetics_i3d.video.span import split_span

SHOWN = ".flow.mp4"  # what `show_flow` writes, which is no video to look for


def find_videos(source):
    """Finds the videos that a path names.

    Args:
        source: A video, with a span behind it or not, or a folder of frames; a folder, which is
            searched with all folders inside; a pattern such as `"clips/*.mp4"`; or a list or table
            of videos, as `open_dataset` reads it.

    Returns:
        (root, paths): the folder that the videos lie below, and a list of text, in alphabetical
        order. A path where nothing is stands for itself, so that whoever reads it says so.

    Raises:
        DatasetError: If a list or table cannot be read.
        UserError: If a folder or a pattern names no video.

    Example:

    >>> root, paths = find_videos(folder)
    >>> [os.path.basename(path) for path in paths]
    ['more.mp4', 'video.mp4']
    """
    source = os.fspath(source)
    path = split_span(source)[0]
    if os.path.isdir(path) and not is_frame_folder(path):
        names = sorted(name for name in walk_videos(path, empty=True) if not name.endswith(SHOWN))
        if not names:
            raise UserError(
                f"{source}: no video in this folder; they end in "
                f"{', '.join(sorted(VIDEO_SUFFIXES))}"
            )
        return pathlib.Path(source), [os.path.join(source, name) for name in names]
    if os.path.exists(path):
        if path.lower().endswith(INDEX_SUFFIXES):
            return _of_list(source)
        return pathlib.Path(source).parent, [source]
    if glob.has_magic(source):
        names = sorted(glob.glob(source, recursive=True))
        if not names:
            raise UserError(f"{source}: no file has such a name")
        root = os.path.commonpath([os.path.dirname(name) or "." for name in names])
        inside = [name for entry in names for name in find_videos(entry)[1]]
        return pathlib.Path(root), list(dict.fromkeys(inside))
    return pathlib.Path(source).parent, [source]


def _of_list(source):
    """The videos of a list or table, in its order."""
    videos = open_dataset(source).videos
    paths = list(dict.fromkeys(str(video.location) for video in videos))
    return pathlib.Path(os.path.commonpath([video.path.parent for video in videos])), paths
