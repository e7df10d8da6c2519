"""`VideoDataset`: videos with label, split and source; `open_dataset` reads one of any known kind.

How each kind lies on the disk is told in `kinetics_i3d.data.layouts`.
"""

import collections
import csv
import dataclasses
import os
import pathlib
import random
import re

from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.label_files import write_labels
from kinetics_i3d.core.types import Labels, PathLike
from kinetics_i3d.data.layouts.files import VideoFinder, cut
from kinetics_i3d.data.layouts.formats import FORMATS, recognise
from kinetics_i3d.data.layouts.label_order import (
    given_labels,
    hint,
    log_respelled,
    match_labels,
    own_labels,
)
from kinetics_i3d.data.layouts.tables import (
    COLUMNS,
    LABELS,
    SOURCE,
    TIMES,
    labels_file,
    read_one,
)
from kinetics_i3d.video.span import Span

GROUP = re.compile(r"(?s)source(!?=)(.+)")  # a part of a dataset by the source of its videos


@dataclasses.dataclass(frozen=True)
class Video:
    """One row: a file or a part of it, its class and split.

    Args:
        path: The file.
        label, split: Its class and part.
        source: The longer video that it was cut from.
        span: The `Span` of the file that it is of, or None for all of it.
        labels: All its classes, of a dataset whose videos may have several or none; `label` is the
            first of them then, or empty. None in a dataset of one class a video.
    """

    path: pathlib.Path
    label: str
    split: str
    source: str
    span: Span | None = None
    labels: tuple | None = None

    @property
    def classes(self):
        """The classes of the video, a tuple."""
        return (self.label,) if self.labels is None else self.labels

    @property
    def location(self):
        """The path with the span behind it, as every reader of videos takes it."""
        return self.path if self.span is None else pathlib.Path(self.span.located(self.path))


@dataclasses.dataclass(frozen=True)
class VideoDataset:
    """Videos with labels and splits, as `open_dataset` returns them.

    Args:
        name: Name of the dataset.
        labels: Class names, in the order of a model's outputs.
        videos: `Video` rows.
        missing: `Video` rows whose files do not exist, with the expected paths.

    Example:

    >>> dataset = ki3d.open_dataset(folder)
    >>> dataset.labels, [video.split for video in dataset.videos]
    (('sit', 'stand'), ['train', 'test'])
    """

    name: str
    labels: tuple
    videos: tuple
    missing: tuple = ()

    def __len__(self):
        return len(self.videos)

    @property
    def multi_label(self):
        """Whether a video may have several classes, or none."""
        return any(video.labels is not None for video in (*self.videos, *self.missing))

    def split(self, name: str) -> "VideoDataset":
        """The part of one split.

        Args:
            name: A split of the dataset; or `"source=NAME"`, the videos of one source, whatever
                their split, and `"source!=NAME"`, all others: so one group of videos is left out
                of a training and tested on (leave-one-group-out).

        Returns:
            A `VideoDataset`.

        Raises:
            DatasetError: If no video is in it.

        Example:

        >>> dataset = open_dataset(folder)
        >>> len(dataset.split("source=video.mp4")), len(dataset.split("source!=video.mp4"))
        (1, 1)
        """
        group = GROUP.fullmatch(name)
        videos, missing = (
            tuple(video for video in part if _belongs(video, name, group))
            for part in (self.videos, self.missing)
        )
        if not videos and group:
            known = sorted({video.source for video in self.videos})
            raise DatasetError(
                f"{self.name}: no videos in {name!r}; there are {len(known)} sources, such as "
                f"{', '.join(known[:5])}"
            )
        if not videos:
            known = sorted({video.split for video in self.videos})
            gone = f" (all {len(missing)} are missing)" if missing else ""
            raise DatasetError(f"{self.name}: no videos in split {name!r}{gone}; there are {known}")
        return dataclasses.replace(self, videos=videos, missing=missing)

    def hold_out(self, fraction: float, *, seed: int = 0) -> "tuple[VideoDataset, VideoDataset]":
        """Parts a dataset in two so that no source video of a class is on both sides.

        Other actions of the same film may be, as in J-HMDB's official split. Of videos with several
        labels no source is on both sides.

        Args:
            fraction: Share of each class's sources in the second part, 0 to 1; at least one. Of
                videos with several labels, of all sources.
            seed: Chooses the sources.

        Returns:
            (kept, held out), two `VideoDataset`s.
        """
        sources = collections.defaultdict(set)
        for video in self.videos:
            sources[class_of_source(video)].add(video.source)
        chosen = set()
        for label in ("",) if self.multi_label else self.labels:
            names = sorted(sources[label])
            random.Random(f"{seed} {label}").shuffle(names)
            chosen |= {(label, name) for name in names[: max(1, round(fraction * len(names)))]}

        def side(held):
            videos, missing = (
                tuple(
                    each
                    for each in part
                    if ((class_of_source(each), each.source) in chosen) == held
                )
                for part in (self.videos, self.missing)
            )
            return dataclasses.replace(self, videos=videos, missing=missing)

        return side(False), side(True)

    def shared_sources(self):
        """Sources of which a class has videos in more than one split.

        What a model is tested on should not be cut from the same film as what it learned from.

        Returns:
            A sorted tuple of (label, source).
        """
        splits = collections.defaultdict(set)
        for video in self.videos:
            splits[class_of_source(video), video.source].add(video.split)
        return tuple(sorted(key for key, found in splits.items() if len(found) > 1))

    def write_table(self, path: PathLike) -> None:
        """Writes the videos as a table that `read_table` reads; missing ones are left out.

        The order of the labels goes into `<name>.labels.txt` beside it.

        Args:
            path: The csv file to write. Paths of videos below its folder are written relative to
                it, others absolute.

        Example:

        >>> open_dataset(folder).write_table(folder / "copy.csv")
        >>> read_table(folder / "copy.csv").labels
        ('sit', 'stand')
        """
        path = pathlib.Path(path)
        write_labels(labels_file(path), self.labels)
        here = os.path.join(os.path.abspath(path.parent), "")
        with (
            atomic_path(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            spans = any(video.span is not None for video in self.videos)
            columns = ("path", LABELS, "split") if self.multi_label else COLUMNS
            writer.writerow((*columns, SOURCE, *(TIMES if spans else ())))
            for video in self.videos:
                name = os.path.abspath(video.path).removeprefix(here).replace(os.sep, "/")
                times = ("", "") if video.span is None else dataclasses.astuple(video.span)
                label = ";".join(video.classes)
                row = (name, label, video.split, video.source, *(times if spans else ()))
                writer.writerow(row)


def class_of_source(video):
    """The class by which the sources of videos are told apart: none of videos of several."""
    return video.label if video.labels is None else ""


def _belongs(video, name, group):
    """Whether a video is in a split, or in the part of a match of `GROUP`."""
    return video.split == name if group is None else (video.source == group[2]) == (group[1] == "=")


def read_table(path, *, labels=None, source=None):
    """Reads a table of videos.

    Args:
        path: A csv file with the columns `path` (relative to the file), `label` and `split`, and by
            choice `source`, `start` and `end` (seconds of the part of the file). The order of the
            labels may stand in `<name>.labels.txt` beside it. Of videos with several classes there
            is a column `labels` in place of `label`, whose cells are such as `sit;stand` or empty,
            or a row of each.
        labels: Class names in order; by default those of that file, or else of the table: in the
            order of Kinetics-400 or -600 if they are exactly those, else sorted.
        source: `Video -> str`, which names the longer video a clip was cut from; by default the
            column, or each file is its own.

    Returns:
        A `VideoDataset` of the files that exist. Missing ones are counted in the log.

    Raises:
        DatasetError: If the table is missing or empty, has other columns, an incomplete or repeated
            row, or an unknown label (with the line's number), or if none of its files exist.

    Example:

    >>> read_table(folder / "videos.csv").labels
    ('sit', 'stand')
    """
    dataset = _look_for(read_one(path), labels=given_labels(labels))
    if source is None:
        return dataset
    videos, missing = (
        tuple(dataclasses.replace(video, source=source(video)) for video in part)
        for part in (dataset.videos, dataset.missing)
    )
    return dataclasses.replace(dataset, videos=videos, missing=missing)


def jhmdb(folder):
    """J-HMDB with the official split 1.

    Args:
        folder: With `split1.csv` and one folder a class.

    Returns:
        A `VideoDataset` of 21 classes, splits `"train"` and `"test"`. Clips of one source video,
        by HMDB's file names `<source>_<label>_<view>_...`, share their `source`.

    Raises:
        DatasetError: As `open_dataset`.
    """
    return open_dataset(folder, kind="jhmdb")


def open_dataset(
    path: PathLike,
    *,
    kind: str | None = None,
    videos: PathLike | None = None,
    split: int = 1,
    labels: Labels | None = None,
) -> VideoDataset:
    """Reads whatever of the known kinds lies at `path`.

    Args:
        path: A list of videos, or a folder: of lists, of a public dataset, or of a folder a class.
        kind: One of `kinetics_i3d.data.layouts.KINDS`; by default what the files look like.
        videos: The folder of the videos, where it is not that of their list.
        split: Which of the official splits of UCF-101, HMDB-51 and J-HMDB.
        labels: Class names in the order of a model's outputs; by default the layout's own order, or
            that of Kinetics-400 or -600 if the labels are exactly those, else sorted.

    Returns:
        A `VideoDataset` of the videos that exist; `missing` has the others, whose number is logged.

    Raises:
        ValueError: If `kind`, `split` or `labels` cannot be.
        DatasetError: If no kind fits, or several do; if a row is incomplete, repeated, or has an
            unknown label; or if none of the videos exist.

    Example:

    >>> len(open_dataset(folder))
    2
    """
    labels = given_labels(labels)
    if isinstance(split, bool) or not isinstance(split, int) or split < 1:
        raise ValueError(f"`split` must be a whole number from 1. Received: split={split!r}")
    kind, files = recognise(path, kind=kind, videos=videos)
    layout = FORMATS[kind]
    if split != 1 and not layout.splits:
        raise DatasetError(f"{path}: {kind} has no official splits by number; needs 1, not {split}")
    if videos is not None and kind == "folders":
        raise DatasetError(f"{path}: {kind} has its videos inside, not in {videos}")
    path = pathlib.Path(path)
    root = path if path.is_dir() else path.parent
    listing = layout.read(files, root=root, split=split, labels=labels)
    return _look_for(listing, videos=videos, labels=labels)


def _look_for(listing, *, videos=None, labels=None):
    """The `VideoDataset` of a `Listing`: its rows held against the labels and the disk."""
    known = labels or own_labels(listing)
    folder = pathlib.Path(listing.folder if videos is None else videos)
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder of videos")
    if not listing.rows:
        raise DatasetError(f"{listing.path}: lists no videos")
    finder = VideoFinder(folder)
    found = {label for row in listing.rows for label in row.classes}
    spelling, _ = match_labels(found, known)
    log_respelled(listing.path, spelling)
    seen: dict = {}
    files: list = []
    for row in listing.rows:
        for label in row.classes:
            if label not in spelling:
                raise DatasetError(f"{row.where}: unknown label {label!r}{hint(label, known)}")
        first = seen.setdefault((row.name, row.start, row.end), row)
        # The lists of SlowFast name the same videos for validation and for the test.
        both = {first.split, row.split} == {"val", "test"} and first.label == row.label
        if first is not row and not both:
            there = f"line {first.line}" if first.file == row.file else first.where
            raise DatasetError(f"{row.where}: {row.name} stands in {there} already")
        files.append((row, *finder.find_stem(row)))
    present: list = []
    missing: list = []
    for row, path, span in cut(files, listing.path):
        part = missing if path is None else present
        classes = tuple(spelling[label] for label in row.classes)
        part.append(
            Video(
                path or folder / row.name,
                next(iter(classes), ""),
                row.split,
                row.source,
                span,
                labels=None if row.labels is None else classes,
            )
        )
    if not present:
        raise DatasetError(
            f"{listing.path}: none of its {len(missing)} videos exist below {folder}, such as "
            f"{missing[0].path.name}; `videos` (--videos) names another folder"
        )
    if missing:
        logging.warning(
            "%s: %d of %d videos are missing", listing.path, len(missing), len(listing.rows)
        )
    several = [video for video in (*present, *missing) if len(video.classes) > 1]
    if several:
        logging.warning(
            "%s: %d of %d videos have several labels, such as %s (%s)",
            listing.path,
            len(several),
            len(listing.rows),
            several[0].path.name,
            ", ".join(several[0].classes),
        )
    unlabelled = [video for video in (*present, *missing) if not video.classes]
    if unlabelled:
        logging.warning(
            "%s: %d of %d videos have no label, such as %s",
            listing.path,
            len(unlabelled),
            len(listing.rows),
            unlabelled[0].path.name,
        )
    return VideoDataset(listing.name, known, tuple(present), tuple(missing))
