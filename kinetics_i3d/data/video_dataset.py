"""`VideoDataset`: videos, each with its label, split and source."""

import collections
import csv
import dataclasses
import json
import os
import pathlib
import random
import re

from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.label_files import write_labels
from kinetics_i3d.core.types import PathLike, check_fraction
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.layouts.hmdb51 import source_film
from kinetics_i3d.data.layouts.listing import UNDIVIDED, split_name
from kinetics_i3d.data.layouts.tables import COLUMNS, LABELS, SOURCE, TIMES, labels_file
from kinetics_i3d.data.layouts.ucf101 import VIDEO as UCF_VIDEO
from kinetics_i3d.video.span import Span

SHARE = 0.2  # fraction of the groups of each class that `split_undivided` holds out
_BY_SOURCE = re.compile(r"(?s)source(!?=)(.+)")
_KINETICS_VIDEO = re.compile(r"(.{11})_\d{6}_\d{6}")  # <YouTube id>_<start>_<end>


@dataclasses.dataclass(frozen=True)
class Video:
    """A video of a dataset: a file, or a part of it.

    Args:
        path: The file, or the folder of its frames.
        label: Its class, the first of `labels`; empty for a video without any.
        split: The split that it belongs to.
        source: The longer video that it was cut from.
        span: The `Span` of the file; None for the whole file.
        labels: All its classes, in a dataset whose videos may have several or none; None in a
            dataset of one class per video.
    """

    path: pathlib.Path
    label: str
    split: str
    source: str
    span: Span | None = None
    labels: tuple | None = None

    @property
    def classes(self):
        """A tuple of all its classes."""
        return (self.label,) if self.labels is None else self.labels

    @property
    def location(self):
        """The path followed by the span, which every reader of videos accepts."""
        return self.path if self.span is None else pathlib.Path(self.span.located(self.path))


@dataclasses.dataclass(frozen=True)
class VideoDataset(Dataset):
    """Videos with labels and splits, as `open_dataset` returns them.

    Args:
        name: The name of the dataset.
        labels: Class names in the order of a model's outputs.
        videos: `Video`s whose files exist.
        missing: `Video`s whose files do not exist, with the paths where they were expected.

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

    def split_sizes(self):
        """{name of a split: number of its videos}."""
        return collections.Counter(video.split for video in self.videos)

    @property
    def multi_label(self):
        """Whether a video may have several classes, or none."""
        return any(video.labels is not None for video in (*self.videos, *self.missing))

    @property
    def is_undivided(self):
        """Whether no list and no folder assigns the videos to splits."""
        return all(video.split == UNDIVIDED for video in self.videos)

    @property
    def lists_videos(self):
        """True."""
        return True

    def split(self, name: str) -> "VideoDataset":
        """Selects the videos of one split.

        Args:
            name: A split; or `"source=NAME"`, the videos of one source in all splits, or
                `"source!=NAME"`, all others, for leave-one-group-out protocols.

        Returns:
            A `VideoDataset`.

        Raises:
            DatasetError: If it would be empty.

        Example:

        >>> dataset = ki3d.open_dataset(folder)
        >>> len(dataset.split("source=video.mp4")), len(dataset.split("source!=video.mp4"))
        (1, 1)
        """
        by_source = _BY_SOURCE.fullmatch(name)

        def belongs(video):
            if by_source is None:
                return video.split == name
            return (video.source == by_source[2]) == (by_source[1] == "=")

        chosen = self._select(belongs)
        if chosen.videos:
            return chosen
        if by_source:
            sources = sorted({video.source for video in self.videos})
            raise DatasetError(
                f"{self.name}: no videos in {name!r}; there are {len(sources)} sources, such as "
                f"{', '.join(sources[:5])}"
            )
        gone = f" (all {len(chosen.missing)} are missing)" if chosen.missing else ""
        near = [split for split in self.splits if split_name(split) == name]
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {[*self.splits]}"
        raise DatasetError(f"{self.name}: no videos in split {name!r}{gone}{hint}")

    def hold_out(self, fraction: float, *, seed: int = 0) -> "tuple[VideoDataset, VideoDataset]":
        """Divides the videos so that no source of a class is on both sides.

        Other classes of the same source may be on the other side, as in the official split of
        J-HMDB. With several labels per video no source is on both sides.

        Args:
            fraction: Share of the sources of each class (with several labels: of all sources) to
                hold out, 0 to 1. At least one source is held out and, below 1, one is kept; of a
                class with a single source none is held out.
            seed: Chooses the sources.

        Returns:
            (kept, held out), two `VideoDataset`s.

        Raises:
            ValueError: If `fraction` is out of range.
        """
        check_fraction("fraction", fraction)
        sources = collections.defaultdict(set)
        for video in self.videos:
            sources[_class_of_source(video)].add(video.source)
        chosen = set()
        for label in ("",) if self.multi_label else self.labels:
            names = sorted(sources[label])
            random.Random(f"{seed} {label}").shuffle(names)
            most = len(names) - (fraction < 1 or len(names) == 1)
            count = min(max(1, round(fraction * len(names))), most)
            chosen |= {(label, name) for name in names[:count]}
        return self._divide(chosen)

    def for_process(self, index, count):
        """Every `count`-th video from `index` on, or all if there are fewer than `count`."""
        if len(self) < count:
            return self
        return dataclasses.replace(self, videos=self.videos[index::count])

    def class_counts(self):
        """{label: number of videos that have it}."""
        return collections.Counter(label for video in self.videos for label in video.classes)

    def random_clips(self, **options):
        """Random clips from the video files, as `video_clips` returns."""
        from kinetics_i3d.data.video_clips import video_clips

        return video_clips(self, **options)

    def identity(self, specs=None):
        """Yields the labels, then the path, classes, sizes and times of the files of each video.

        Without `specs`, only what a moved dataset keeps: name, classes and size.
        """
        from kinetics_i3d.data.streams import files_of

        yield tuple(self.labels)
        for video in self.videos:
            if specs is None:
                size = os.path.getsize(video.path) if os.path.isfile(video.path) else 0
                yield video.location.name, video.classes, size
                continue
            stats = [os.stat(path) for path in files_of(video.location, specs)]
            times = [(stat.st_size, stat.st_mtime_ns) for stat in stats]
            label = video.label if video.labels is None else video.labels
            yield str(video.location), label, times

    def shared_sources(self):
        """Finds the sources whose videos of one class are in more than one split.

        A model should not be tested on a part of a video that it was trained on.

        Returns:
            A sorted tuple of (label, source).
        """
        splits = collections.defaultdict(set)
        for video in self.videos:
            splits[_class_of_source(video), video.source].add(video.split)
        return tuple(sorted(key for key, names in splits.items() if len(names) > 1))

    def write_table(self, path: PathLike) -> None:
        """Writes the videos as a csv table that `open_dataset` reads; missing ones are left out.

        The order of the labels is written to `<name>.labels.txt` beside it. If videos may have
        several labels, those of a video are written as a JSON list.

        Args:
            path: The csv file. Videos below its folder are written relative to it, others by their
                absolute paths.

        Example:

        >>> ki3d.open_dataset(folder).write_table(folder / "copy.csv")
        >>> ki3d.open_dataset(folder / "copy.csv").labels
        ('sit', 'stand')
        """
        path = pathlib.Path(path)
        write_labels(labels_file(path), self.labels)
        root = os.path.join(os.path.abspath(path.parent), "")
        with (
            atomic_path(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            spans = any(video.span is not None for video in self.videos)
            several = self.multi_label
            columns = ("path", LABELS, "split") if several else COLUMNS
            writer.writerow((*columns, SOURCE, *(TIMES if spans else ())))
            for video in self.videos:
                name = os.path.abspath(video.path).removeprefix(root).replace(os.sep, "/")
                times = ("", "") if video.span is None else video.span.texts()
                classes = json.dumps(video.classes, ensure_ascii=False)
                label = classes if several else video.label
                writer.writerow((name, label, video.split, video.source, *(times if spans else ())))

    def _select(self, belongs):
        """The dataset of the videos, existing and missing, for which `belongs` is true."""
        return dataclasses.replace(
            self,
            videos=tuple(filter(belongs, self.videos)),
            missing=tuple(filter(belongs, self.missing)),
        )

    def _divide(self, chosen):
        """(other videos, videos of the chosen (class, source) pairs)."""

        def is_chosen(video):
            return (_class_of_source(video), video.source) in chosen

        return self._select(lambda video: not is_chosen(video)), self._select(is_chosen)


def _class_of_source(video):
    """The class that a source is counted in; `""` for all videos with several labels."""
    return video.label if video.labels is None else ""


def split_undivided(dataset, *, share=SHARE, seed=0):
    """Divides videos that are not assigned to splits, and logs how they were divided.

    Clips cut from the same longer video look alike, so a model that was trained on some of them
    cannot be tested on the others. They stay together if their file names identify their source.

    Args:
        dataset: A `VideoDataset`, such as a folder of videos per class.
        share: Fraction of the groups of each class to hold out, above 0 and below 1; at least one
            group, but none of a class that has only one.
        seed: Chooses the groups.

    Returns:
        (training, held out), two `VideoDataset`s of the splits `"train"` and `"val"`. The second is
        empty if no class has two groups.
    """
    grouped = group_sources(dataset)
    training, held_out = (
        _map_videos(part, lambda video, name=name: dataclasses.replace(video, split=name))
        for name, part in zip(("train", "val"), grouped.hold_out(share, seed=seed), strict=True)
    )
    groups = {(_class_of_source(video), video.source) for video in grouped.videos}
    is_grouped = len(groups) < len(dataset)
    logging.info(
        "%s: no split is given; %d of %d videos are held out for validation, chosen %s (seed %d)",
        dataset.name,
        len(held_out),
        len(dataset),
        "by the groups in the file names" if is_grouped else "at random",
        seed,
    )
    return training, held_out


def group_sources(dataset):
    """A `VideoDataset` with the sources of `group_of`."""
    return _map_videos(dataset, lambda video: dataclasses.replace(video, source=group_of(video)))


def group_of(video):
    """The source of a `Video`; if that is only its file, the one that a public file name states.

    These are the names of UCF-101, HMDB-51 and Kinetics.

    Example:

    >>> from kinetics_i3d.data.video_dataset import Video
    >>> name = "Archery/v_Archery_g07_c01.avi"
    >>> group_of(Video(pathlib.Path(name), "Archery", "all", name))
    'g07'
    """
    name, stem = video.path.name, video.path.stem
    if pathlib.PurePath(video.source).name not in (name, stem):  # given by the dataset
        return video.source
    ucf = UCF_VIDEO.fullmatch(stem)
    if ucf:
        return ucf[2]
    kinetics = _KINETICS_VIDEO.fullmatch(stem)
    if kinetics:
        return kinetics[1]
    film = source_film(stem, video.label)
    return video.source if film == stem else film


def _map_videos(dataset, function):
    return dataclasses.replace(
        dataset,
        videos=tuple(map(function, dataset.videos)),
        missing=tuple(map(function, dataset.missing)),
    )
