"""`VideoDataset`: a table of videos with label, split and source, and the readers that make one.

J-HMDB: Jhuang et al., "Towards Understanding Action Recognition", ICCV 2013.
"""

import csv
import dataclasses
import pathlib
import random

from absl import logging

from kinetics_i3d.core.errors import DatasetError

COLUMNS = ("path", "label", "split")


@dataclasses.dataclass(frozen=True)
class Video:
    """One row: a file, its class, its split, and the longer video that it was cut from."""

    path: pathlib.Path
    label: str
    split: str
    source: str


@dataclasses.dataclass(frozen=True)
class VideoDataset:
    """Videos with labels.

    Args:
        name: What people call it.
        labels: Class names; their order is that of a model's outputs.
        videos: `Video` rows.
    """

    name: str
    labels: tuple
    videos: tuple

    def __len__(self):
        return len(self.videos)

    def split(self, name):
        """The part of one split.

        Raises:
            DatasetError: If no video is in it.
        """
        part = tuple(video for video in self.videos if video.split == name)
        if not part:
            known = sorted({video.split for video in self.videos})
            raise DatasetError(f"{self.name}: no videos in split {name!r}; there are {known}")
        return dataclasses.replace(self, videos=part)

    def hold_out(self, fraction, *, seed=0):
        """Parts a dataset in two so that no source video of a class is on both sides.

        Other actions of the same film may be, as in J-HMDB's official split.

        Args:
            fraction: Share of each class's sources in the second part, 0 to 1; at least one.
            seed: Chooses the sources.

        Returns:
            (kept, held out), two `VideoDataset`s.
        """
        chosen = set()
        for label in self.labels:
            sources = sorted({video.source for video in self.videos if video.label == label})
            random.Random(f"{seed} {label}").shuffle(sources)
            chosen |= {(label, name) for name in sources[: max(1, round(fraction * len(sources)))]}
        held = tuple(video for video in self.videos if (video.label, video.source) in chosen)
        kept = tuple(video for video in self.videos if (video.label, video.source) not in chosen)
        return dataclasses.replace(self, videos=kept), dataclasses.replace(self, videos=held)


def read_table(path, *, labels=None, source=None):
    """Reads a table of videos.

    Args:
        path: A csv file with the columns `path` (relative to the file), `label` and `split`.
        labels: Class names in order; by default those of the table, sorted.
        source: `Video -> str`, which names the longer video a clip was cut from; by default each
            file is its own.

    Returns:
        A `VideoDataset` of the files that exist. Missing ones are counted in the log.

    Raises:
        DatasetError: If the table is missing or empty, has other columns, an incomplete or repeated
            row, or an unknown label (with the line's number), or if none of its files exist.

    Example:

    >>> read_table(folder / "videos.csv").labels
    ('sit', 'stand')
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: no such table of videos")
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise DatasetError(f"{path}: needs the columns {COLUMNS}, has {reader.fieldnames}")
        rows = [(reader.line_num, row) for row in reader]
    known = tuple(labels or sorted({row["label"] for _, row in rows if row["label"]}))
    videos: list = []
    seen: dict = {}
    for line, row in rows:
        where = f"{path}, line {line}"
        if not all(row[column] for column in COLUMNS):
            raise DatasetError(f"{where}: one of {COLUMNS} is empty")
        if row["label"] not in known:
            raise DatasetError(f"{where}: unknown label {row['label']!r}")
        if row["path"] in seen:
            raise DatasetError(f"{where}: {row['path']} stands in line {seen[row['path']]} already")
        seen[row["path"]] = line
        video = Video(path.parent / row["path"], row["label"], row["split"], row["path"])
        videos.append(dataclasses.replace(video, source=source(video)) if source else video)
    present = tuple(video for video in videos if video.path.is_file())
    if not present:
        raise DatasetError(f"{path}: none of its {len(videos)} videos exist")
    if len(present) < len(videos):
        logging.warning(
            "%s: %d of %d videos are missing", path, len(videos) - len(present), len(videos)
        )
    return VideoDataset(path.parent.name, known, present)


def jhmdb(folder):
    """J-HMDB with the official split 1.

    Args:
        folder: With `split1.csv` and one folder a class.

    Returns:
        A `VideoDataset` of 21 classes, splits `"train"` and `"test"`. Clips of one source video,
        by HMDB's file names `<source>_<label>_<view>_...`, share their `source`.

    Raises:
        DatasetError: As `read_table`.
    """
    return read_table(
        pathlib.Path(folder) / "split1.csv",
        source=lambda video: video.path.stem.split(f"_{video.label}_")[0],
    )


def open_dataset(path):
    """Reads whatever of the known kinds lies at `path`.

    Args:
        path: A csv table, or a folder with `split1.csv` (J-HMDB) or exactly one csv table.

    Returns:
        A `VideoDataset`.

    Raises:
        DatasetError: If there is nothing of a known kind, or more than one table.
    """
    path = pathlib.Path(path)
    if (path / "split1.csv").is_file():
        return jhmdb(path)
    if path.is_dir():
        tables = sorted(path.glob("*.csv"))
        if len(tables) != 1:
            raise DatasetError(f"{path}: needs exactly one csv table, has {len(tables)}")
        path = tables[0]
    return read_table(path)
