"""`open_dataset` opens a dataset of any format; `find_videos` lists the videos that a path names.

The formats themselves are rows of `kinetics_i3d.data.layouts.formats.FORMATS`.
"""

import glob
import os
import pathlib

from absl import logging

from kinetics_i3d.core.errors import DatasetError, UserError
from kinetics_i3d.core.files import read_lines
from kinetics_i3d.core.labels import check_class_names
from kinetics_i3d.core.types import Labels, PathLike, check_count, check_path
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.layouts.files import VideoFinder, cut, walk_videos
from kinetics_i3d.data.layouts.formats import FORMATS, index_suffixes, recognize
from kinetics_i3d.data.layouts.labels import (
    check_labels,
    hint,
    labels_of,
    log_respelled,
    match_labels,
)
from kinetics_i3d.data.layouts.listing import cells_of
from kinetics_i3d.data.records.addresses import Address
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.video.frame_folder import is_frame_folder
from kinetics_i3d.video.source import VIDEO_SUFFIXES, is_video_name
from kinetics_i3d.video.span import split_span

FLOW_VIDEO_SUFFIX = ".flow.mp4"  # written by `show_flow`; `find_videos` leaves it out


def open_dataset(
    path: PathLike | Dataset,
    *,
    kind: str | None = None,
    videos: PathLike | None = None,
    split_number: int = 1,
    labels: Labels | None = None,
) -> Dataset:
    """Opens a dataset of any known format.

    Args:
        path: A list or table of videos; or a folder: of lists, of a public dataset, with a folder
            per class, or of prepared records, also by an address such as `"s3://bucket/records"`. A
            `Dataset` is returned unchanged.
        kind: One of `kinetics_i3d.data.layouts.formats.KINDS`; by default recognized by the files.
        videos: The folder of the videos, if it is not that of their list.
        split_number: Which of the official splits of UCF-101, HMDB-51 and J-HMDB, from 1.
        labels: Class names in the order of a model's outputs; by default the order of the format,
            or that of Kinetics-400 or -600 if the labels are exactly those, else sorted.

    Returns:
        A `VideoDataset` of the videos that exist, whose `missing` has the others (their number is
        logged); or the `Records` of prepared records. Both have the interface of `Dataset`.

    Raises:
        ValueError: If an argument is not valid.
        DatasetError: If no format fits, or more than one; if a row is incomplete, repeated, or has
            an unknown label; if no video exists; or if the records are damaged.

    Example:

    >>> dataset = ki3d.open_dataset(folder)
    >>> len(dataset), dataset.labels, dataset.splits
    (2, ('sit', 'stand'), ('test', 'train'))
    """
    if isinstance(path, Dataset):
        return path
    if not isinstance(path, (str, os.PathLike, Address)):
        raise ValueError(
            f"`path` must be the path of a dataset, or a Dataset. Received: {type(path).__name__}"
        )
    if not str(path):
        raise ValueError("`path` must be the path of a dataset. Received: path=''")
    if videos is not None:
        check_path("videos", videos)
    names = check_labels(labels)
    split_number = check_count("split_number", split_number)
    kind, files = recognize(path, kind=kind, videos=videos)
    row = FORMATS[kind]
    if split_number != 1 and not row.has_splits:
        raise DatasetError(
            f"{path}: {kind} has no official splits by number; `split_number` must be 1. "
            f"Received: split_number={split_number}"
        )
    if videos is not None and row.contains_videos:
        raise DatasetError(
            f"{path}: {kind} contains its videos; `videos` must be left out. "
            f"Received: videos={videos}"
        )
    if row.load is not None:
        records = row.load(files)
        if names and tuple(names) != tuple(records.labels):
            raise DatasetError(
                f"{path}: records have their own labels, in the order of their targets; `labels` "
                "must be left out or equal to them"
            )
        return records
    path = pathlib.Path(path)
    root = path if path.is_dir() else path.parent
    listing = row.read(files, root=root, split=split_number, labels=names)
    return _find_listed(listing, videos=videos, labels=names)


def _find_listed(listing, *, videos=None, labels=None):
    """The `VideoDataset` of a `Listing`, its rows compared with the labels and the files."""
    labels = labels or labels_of(listing)
    try:
        check_class_names(labels)  # otherwise the weights trained on them could not be read
    except ValueError as error:
        raise DatasetError(f"{listing.path}: {error}") from error
    folder = pathlib.Path(listing.folder if videos is None else videos)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such video folder")
    if not listing.rows:
        raise DatasetError(f"{listing.path}: lists no videos")
    spelling, _ = match_labels({label for row in listing.rows for label in row.classes}, labels)
    log_respelled(listing.path, spelling)
    _check_rows(listing, spelling, labels)
    finder = VideoFinder(folder)
    files = [(row, *finder.find_stem(row)) for row in listing.rows]
    several = any(row.labels is not None for row in listing.rows)  # in one of several tables
    present: list = []
    missing: list = []
    for row, path, span in cut(files, listing.path):
        classes = tuple(spelling[label] for label in row.classes)
        video = Video(
            path or folder / row.name,
            next(iter(classes), ""),
            row.split,
            row.source,
            span,
            labels=classes if several else None,
        )
        (missing if path is None else present).append(video)
    if not present:
        raise DatasetError(
            f"{listing.path}: none of its {len(missing)} videos exist below {folder}, such as "
            f"{missing[0].path.name}; set `videos` (--videos) to another folder"
        )
    _log_listing(listing, [*present, *missing], missing)
    return VideoDataset(listing.name, labels, tuple(present), tuple(missing))


def _check_rows(listing, spelling, labels):
    """Raises `DatasetError` for an unknown label, or a video that is listed twice."""
    seen: dict = {}
    for row in listing.rows:
        for label in row.classes:
            if label not in spelling:
                raise DatasetError(f"{row.where}: unknown label {label!r}{hint(label, labels)}")
        earlier = seen.setdefault((row.name, row.start, row.end), [])
        for other in earlier:
            # The lists of SlowFast name the same videos for validation and for the test.
            both = {other.split, row.split} == {"val", "test"} and other.label == row.label
            if not both:
                same_file = other.file == row.file and other.line
                there = f"line {other.line}" if same_file else other.where
                raise DatasetError(f"{row.where}: {row.name} is already in {there}")
        earlier.append(row)


def _log_listing(listing, videos, missing):
    """Logs how many videos are missing, have several labels, or have none."""
    total = len(listing.rows)
    if missing:
        logging.warning(
            "%s: %d of %d videos are missing, such as %s",
            listing.path,
            len(missing),
            total,
            missing[0].path.name,
        )
    several = [video for video in videos if len(video.classes) > 1]
    if several:
        logging.warning(
            "%s: %d of %d videos have several labels, such as %s (%s)",
            listing.path,
            len(several),
            total,
            several[0].path.name,
            ", ".join(several[0].classes),
        )
    unlabeled = [video for video in videos if not video.classes]
    if unlabeled:
        logging.warning(
            "%s: %d of %d videos have no label, such as %s",
            listing.path,
            len(unlabeled),
            total,
            unlabeled[0].path.name,
        )


_HEADERS = ("path", "video", "file", "filename")  # of a list of paths alone


def find_videos(source):
    """Finds the videos that a path names.

    Args:
        source: A video, with or without a span, or a folder of frames; a folder, searched with all
            its subfolders; a pattern such as `"clips/*.mp4"`; or a list or table of videos, as
            `open_dataset` reads it.

    Returns:
        (root, paths): the folder that contains all that exist, and a list of strings in
        alphabetical order, or in that of the list or table. A path that does not exist is returned
        unchanged; reading it raises the error.

    Raises:
        DatasetError: If a list or table cannot be read.
        UserError: If a folder or a pattern contains no video.
    """
    source = os.fspath(source)
    path, span = split_span(source)
    is_folder = os.path.isdir(path) and not is_frame_folder(path)
    is_list = os.path.isfile(path) and path.lower().endswith(index_suffixes())
    if span is not None and (is_folder or is_list):
        raise UserError(f"{source}: `#t=` selects a part of a video, not of a folder or a list")
    if is_folder:
        videos = walk_videos(path, empty=True)
        names = sorted(name for name in videos if not name.endswith(FLOW_VIDEO_SUFFIX))
        if not names:
            raise UserError(
                f"{source}: no video in this folder; names of videos end in "
                f"{', '.join(sorted(VIDEO_SUFFIXES))}"
            )
        return pathlib.Path(source), [os.path.join(source, name) for name in names]
    if is_list:
        return _listed_videos(source)
    if os.path.exists(path):
        return pathlib.Path(source).parent, [source]
    if glob.has_magic(source):
        matches = glob.glob(source, recursive=True)
        names = sorted(name for name in matches if not name.endswith(FLOW_VIDEO_SUFFIX))
        if not names:
            raise UserError(f"{source}: no video matches this pattern")
        inside = [name for entry in names for name in find_videos(entry)[1]]
        return _rooted(inside, beside=names)
    return pathlib.Path(source).parent, [source]


def _listed_videos(source):
    """(root, paths) of the videos of a list or table, in its order; then those that are missing."""
    try:
        dataset = open_dataset(source)
        paths = [str(video.location) for video in dataset.videos]
        missing = [str(video.location) for video in dataset.missing]
    except DatasetError:
        paths, missing = _paths_alone(source), []
        if paths is None:
            raise
    root, paths = _rooted(paths)
    return root, list(dict.fromkeys([*paths, *missing]))


def _rooted(paths, *, beside=()):
    """(root, paths): the folder that contains paths and `beside`; absolute if it has to be."""
    files = [split_span(path)[0] for path in (*paths, *beside)]
    folders = [os.path.dirname(file) or "." for file in files]
    try:
        root = pathlib.Path(os.path.commonpath(folders))
        inside = [pathlib.Path(folder).relative_to(root) for folder in folders]
    except ValueError:  # relative and absolute ones
        inside = [pathlib.Path("..")]
    if any(".." in folder.parts for folder in inside):
        paths = [os.path.abspath(path) for path in paths]
        root = pathlib.Path(os.path.commonpath([os.path.abspath(folder) for folder in folders]))
    return root, list(dict.fromkeys(paths))


def _paths_alone(source):
    """The paths of a list whose lines are names of videos only, with or without the header `path`.

    They need no classes here, and need not exist.
    """
    try:
        lines = [line for _, line in read_lines(pathlib.Path(source))]
    except DatasetError:
        return None
    names = lines[1:] if lines and lines[0].lower() in _HEADERS else lines
    files = [split_span(name)[0] for name in names]
    if not files or not all(is_video_name(file) and len(cells_of(file)) == 1 for file in files):
        return None
    folder = os.path.dirname(source)
    return [os.path.join(folder, name) for name in names]
