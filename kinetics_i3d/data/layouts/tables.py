"""Tables with the columns path, label, split: anybody's, those of J-HMDB and those of figures.

With columns start and end, in seconds, a row is of that part of its video.

J-HMDB: Jhuang et al., "Towards Understanding Action Recognition", ICCV 2013.
"""

import dataclasses
import math
import pathlib
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.label_files import read_labels
from kinetics_i3d.data.layouts.hmdb51 import source_film
from kinetics_i3d.data.layouts.listing import (
    UNDIVIDED,
    Listing,
    Row,
    folder_name,
    loose,
    part_by_name,
    place_of,
    split_name,
)
from kinetics_i3d.data.layouts.numbered import label_ids_for
from kinetics_i3d.data.layouts.text import cells_of, columns_of, first_lines, read_csv

COLUMNS = ("path", "label", "split")
# Other names of columns, which count where the usual one is not there.
NAMES = {
    "path": (
        *("video_path", "file_path", "filepath", "filename", "file_name", "file", "video"),
        *("video_name", "video_file", "clip", "clip_path", "video_id", "clip_id"),
    ),
    "label": ("tag", "class", "class_name", "classname", "label_name", "action", "category"),
    "split": ("subset", "partition", "set"),
    "start": ("start_time", "time_start", "start_sec", "begin"),
    "end": ("end_time", "time_end", "end_sec", "stop"),
}
FPS = "fps"  # of a folder of frames
SOURCE = "source"  # a column that may be there too
TIMES = ("start", "end")  # and these, in seconds
LOOKS_LIKE = (
    "a table with the columns path and label, and by choice split, source, start and end "
    "(without split: by the table's name, else 'all')"
)
JHMDB_LOOKS_LIKE = "split1.csv, a table of clips with the names of HMDB"
FIGURES_LOOKS_LIKE = "figures.csv"

JHMDB_TABLES = re.compile(r"split(\d)\.csv")
FIGURES_TABLE = "figures.csv"
TIME = re.compile(r"(?:\d+:){0,2}\d+(?:\.\d*)?")


def find(place):
    """The tables in a `Place` that are nobody else's."""
    others = find_jhmdb(place) + find_figures(place)
    return tuple(file for file in _tables(place) if file not in others)


def find_jhmdb(place):
    """The tables of J-HMDB's splits in a `Place`, known by the name of their first clip."""
    found = []
    for file in _tables(place):
        head = place.head(file)
        if JHMDB_TABLES.fullmatch(file.name) and len(head) > 1:
            row = dict(zip(_columns(head[0]), cells_of(head[1]), strict=False))
            stem = pathlib.PurePosixPath(row.get("path", "")).stem
            if source_film(stem, row.get("label", "")) != stem:
                found.append(file)
    return tuple(found)


def find_figures(place):
    """The table that `kinetics-i3d figures` writes, in a `Place`."""
    return tuple(file for file in _tables(place) if file.name == FIGURES_TABLE)


def read(files, *, root, split, labels):
    """Reads the only table, or several of which each is named after a split.

    Args:
        files: What `find` found.
        root: The folder that was asked for; videos are beside the table.
        split: Not used, there is one.
        labels: Not used, rows have names.

    Returns:
        A `Listing`. Every file is its own `source` where the table has no column of that name.

    Raises:
        DatasetError: If there are several, or as `read_one`.
    """
    del split, labels
    parts = [part_by_name(file.stem) for file in files]
    divided = not any("split" in _columns(first_lines(file)[0]) for file in files)
    if len(files) > 1 and divided and UNDIVIDED not in parts and len(set(parts)) == len(parts):
        listings = [read_one(file) for file in files]
        rows = tuple(row for listing in listings for row in listing.rows)
        return Listing(root, folder_name(root), root, rows, listings[0].labels)
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DatasetError(
            f"{files[0].parent}: needs exactly one csv table, has {len(files)} ({names}); give the "
            "path of one"
        )
    return read_one(files[0])


def read_jhmdb(files, *, root, split, labels):
    """Reads one split of J-HMDB; `source` is the film."""
    del labels
    numbered = {int(JHMDB_TABLES.fullmatch(file.name)[1]): file for file in files}
    if split not in numbered:
        raise DatasetError(f"{root}: has no split{split}.csv; its splits are {sorted(numbered)}")
    return read_one(
        numbered[split],
        source=lambda name, label: source_film(pathlib.PurePosixPath(name).stem, label),
    )


def read_figures(files, *, root, split, labels):
    """Reads figures; `source` is the world, which all actions share."""
    del root, split, labels
    return read_one(
        files[0], source=lambda name, label: pathlib.PurePosixPath(name).stem.rpartition("_")[2]
    )


def read_one(path, *, source=None):
    """Reads one table.

    Args:
        path: A csv file. Its videos' paths are relative to its folder.
        source: (path, label) -> source; by default the column `source`, else the path.

    Returns:
        A `Listing`; labels in the order of the file `<name>.labels.txt` beside it, if there is one.
        Labels that are numbers are named by the label file beside it, if there is one.

    Raises:
        DatasetError: If it is missing, has other columns or an incomplete row.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: no such table of videos")
    columns, cells = read_csv(path)
    usual = _usual(columns or ())
    if not set(COLUMNS[:2]) <= set(usual):
        raise DatasetError(f"{path}: needs the columns {COLUMNS}, has {columns}")
    divided = "split" in usual
    needed = COLUMNS if divided else COLUMNS[:2]
    part = part_by_name(path.stem)
    read = []
    for line, named in cells:
        row = named | {name: named[column] for name, column in usual.items()}
        where = place_of(path, line)
        label = row["label"].strip()
        split = row["split"].strip() if divided else part
        if divided and usual["split"] != "split":
            split = split_name(split)
        if not (row["path"].strip() and label and split):
            raise DatasetError(f"{where}: one of {needed} is empty")
        name, stems, listed = loose(row["path"])
        if row.get(FPS, "").strip():
            name = f"{name}#fps={seconds(row[FPS].strip(), where):g}"
        origin = source(name, label) if source else row.get(SOURCE) or name
        start, end = read_times(row, where)
        read.append(Row(name, label, split, origin, path, line, stems, listed, start, end))
    beside = labels_file(path)
    order = read_labels(beside) if beside.is_file() else ()
    if not order and read and all(row.label.isdecimal() for row in read):
        named = label_ids_for([path], numbers={int(row.label) for row in read}, similar=False)
        if named:
            read = [_renamed(row, named) for row in read]
            order = tuple(named[number] for number in sorted(named))
    return Listing(path, folder_name(path.parent), path.parent, tuple(read), order)


def _renamed(row, named):
    if int(row.label) not in named:
        raise DatasetError(
            f"{row.where}: label {row.label} must be one of {min(named)} to {max(named)}, as "
            f"{len(named)} labels are known"
        )
    return dataclasses.replace(row, label=named[int(row.label)])


def _usual(columns):
    """{usual name: column} of the columns that are known by one of their names."""
    columns_by_name = {}
    for usual in (*COLUMNS, *TIMES):
        named = [name for name in (usual, *NAMES[usual]) if name in columns]
        if named:
            columns_by_name[usual] = named[0]
    return columns_by_name


def _columns(header):
    """The usual names of the columns of a header."""
    return [
        next((usual for usual, names in NAMES.items() if column in names), column)
        for column in columns_of(cells_of(header))
    ]


def read_times(row, where):
    """The seconds of a row's cells `start` and `end`.

    Args:
        row: {column: cell}.
        where: What errors name.

    Returns:
        (start, end); (None, None) where both are empty. An empty start is 0, an empty end that of
        the video, infinity.

    Raises:
        DatasetError: If one is no time, or the end is not behind the start.

    Example:

    >>> read_times({"start": "1.5", "end": ""}, "videos.csv, line 2")
    (1.5, inf)
    """
    cells = [row.get(name, "").strip() for name in TIMES]
    if not any(cells):
        return None, None
    start, end = (
        default if not cell else seconds(cell, where)
        for cell, default in zip(cells, (0.0, math.inf), strict=True)
    )
    if end <= start:
        raise DatasetError(f"{where}: end must be behind start, has {cells[0]!r} and {cells[1]!r}")
    return start, end


def seconds(text, where):
    """Reads a time: seconds, or minutes and hours before them as in `1:02:03.5`.

    Raises:
        DatasetError: If it is none.

    Example:

    >>> seconds("1:02:03.5", "videos.csv, line 2")
    3723.5
    """
    if "." not in text:  # where it stands for the point
        text = text.replace(",", ".")
    if not TIME.fullmatch(text):
        raise DatasetError(f"{where}: must be a time in seconds, is {text!r}")
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def labels_file(table):
    """Where the order of a table's labels stands, if it stands anywhere.

    Example:

    >>> labels_file(pathlib.Path("data/videos.csv")).name
    'videos.labels.txt'
    """
    return table.with_suffix(".labels.txt")


def is_table(place, file):
    """Whether the first line of a file in a `Place` is a header of this kind, or of Kinetics."""
    columns = _columns(place.head(file)[0]) if place.head(file) else []
    return set(COLUMNS[:2]) <= set(columns) or "youtube_id" in columns


def _tables(place):
    return tuple(
        file
        for file in place.files
        if file.suffix.lower() != ".json"
        and is_table(place, file)
        and "youtube_id" not in _columns(place.head(file)[0])
    )
