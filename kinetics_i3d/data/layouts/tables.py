"""Tables with the columns path, label and split: custom tables, J-HMDB and figures.

With the columns start and end, in seconds, a row is a part of its video. A video has several labels
if a column `labels` lists them, or if several rows give it different labels.
`Charades_v1_train.csv` is supported too.

J-HMDB: Jhuang et al., "Towards Understanding Action Recognition", ICCV 2013. Charades:
Sigurdsson et al., "Hollywood in Homes", ECCV 2016.
"""

import math
import pathlib
import re

from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import at_line
from kinetics_i3d.core.label_files import read_labels
from kinetics_i3d.data.layouts.hmdb51 import source_film
from kinetics_i3d.data.layouts.labels import label_ids_for
from kinetics_i3d.data.layouts.listing import (
    UNDIVIDED,
    Listing,
    Row,
    cells_of,
    columns_of,
    first_lines,
    folder_name,
    loose,
    read_csv,
    split_by_name,
    split_name,
)
from kinetics_i3d.data.layouts.table_labels import (
    LABELS,
    are_lists,
    cell_splitter,
    merge_rows,
    name_charades_classes,
    warn_about_joined_labels,
    with_classes,
)

COLUMNS = ("path", "label", "split")
SEVERAL = (LABELS, "classes", "tags", "actions")  # columns whose cells may hold several labels
# Alternative column names, used if the usual one is missing.
NAMES = {
    "path": (
        *("video_path", "file_path", "filepath", "filename", "file_name", "file", "video"),
        *("video_name", "video_file", "clip", "clip_path", "video_id", "clip_id"),
    ),
    "label": (
        *("tag", "class", "class_name", "classname", "label_name", "action", "category"),
        *SEVERAL,
    ),
    "split": ("subset", "partition", "set"),
    "start": ("start_time", "time_start", "start_sec", "start_timestamp", "begin"),
    "end": ("end_time", "time_end", "end_sec", "stop_timestamp", "end_timestamp", "stop"),
    "source": ("group",),
}
FPS = "fps"  # frame rate of a folder of frames
SOURCE = "source"  # optional
TIMES = ("start", "end")  # optional, in seconds
LOOKS_LIKE = (
    "a table with the columns path and label (or labels), and optionally split, source, start "
    "and end (without split: that of the table's name, or 'all')"
)
JHMDB_LOOKS_LIKE = "split1.csv, a table of clips with the names of HMDB"
FIGURES_LOOKS_LIKE = "figures.csv"

JHMDB_TABLES = re.compile(r"split(\d)\.csv")
FIGURES_TABLE = "figures.csv"
TIME = re.compile(r"(?:\d+:){0,2}\d+(?:\.\d*)?")
# Columns that select parts of videos in other units; they are not read.
OTHER_TIMES = re.compile(
    r"(?:start|begin|end|stop|first|last)_?(?:frame|idx|ms|msec)s?"
    r"|(?:frame|idx|ms|msec)s?_?(?:start|begin|end|stop)|t_?(?:0|1|start|end)"
)
CHARADES_ID, CHARADES_LABELS = "id", "actions"  # its columns


def find(location):
    """The tables in a `Location`, except those of J-HMDB and of figures."""
    others = find_jhmdb(location) + find_figures(location)
    return tuple(file for file in _tables(location) if file not in others)


def find_jhmdb(location):
    """The tables of J-HMDB's splits in a `Location`, recognized by the name of their first clip."""
    matches = []
    for file in _tables(location):
        head = location.head(file)
        if JHMDB_TABLES.fullmatch(file.name) and len(head) > 1:
            row = dict(zip(_columns(head[0]), cells_of(head[1]), strict=False))
            stem = pathlib.PurePosixPath(row.get("path", "")).stem
            if source_film(stem, row.get("label", "")) != stem:
                matches.append(file)
    return tuple(matches)


def find_figures(location):
    """The table that `kinetics-i3d figures` writes, in a `Location`."""
    return tuple(file for file in _tables(location) if file.name == FIGURES_TABLE)


def read(files, *, root, split, labels):
    """A `Listing` of a single table, or of one table per split."""
    del split, labels
    parts = [split_by_name(file.stem) for file in files]
    divided = not any("split" in _columns(first_lines(file)[0]) for file in files)
    if len(files) > 1 and divided and UNDIVIDED not in parts and len(set(parts)) == len(parts):
        listings = [read_one(file) for file in files]
        rows = tuple(row for listing in listings for row in listing.rows)
        return Listing(root, folder_name(root), root, rows, listings[0].labels)
    if len(files) > 1:
        names = ", ".join(file.name for file in files)
        raise DatasetError(
            f"{files[0].parent}: needs exactly one csv table, but has {len(files)} ({names}); "
            "pass the path of one"
        )
    return read_one(files[0])


def read_jhmdb(files, *, root, split, labels):
    """A `Listing` of one split of J-HMDB; `source` is the film."""
    del labels
    numbered = {int(JHMDB_TABLES.fullmatch(file.name)[1]): file for file in files}
    if split not in numbered:
        raise DatasetError(f"{root}: has no split{split}.csv; its splits are {sorted(numbered)}")
    return read_one(
        numbered[split],
        source=lambda name, label: source_film(pathlib.PurePosixPath(name).stem, label),
    )


def read_figures(files, *, root, split, labels):
    """A `Listing` of figures; `source` is the world, which is shared by all actions."""
    del root, split, labels
    return read_one(
        files[0], source=lambda name, label: pathlib.PurePosixPath(name).stem.rpartition("_")[2]
    )


def read_one(path, *, source=None):
    """A `Listing` of one table; `<name>.labels.txt` beside it sets the order of the labels.

    Args:
        path: A csv file; videos are relative to its folder.
        source: (path, label) -> source; by default the column `source` or `group`, or the path.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: no such table of videos")
    columns, lines = read_csv(path)
    usual = _usual(columns or ())
    if not set(COLUMNS[:2]) <= set(usual):
        raise DatasetError(f"{path}: needs the columns {COLUMNS[:2]}, but has {columns}")
    _check_columns(path, columns, usual)
    divided = "split" in usual
    needed = COLUMNS if divided else COLUMNS[:2]
    part = split_by_name(path.stem)
    beside = labels_file(path)
    order = read_labels(beside) if beside.is_file() else ()
    several = usual["label"] in SEVERAL
    texts = [row[usual["label"]] for _, row in lines]
    split_cell = cell_splitter(texts, order)
    charades = usual["label"] == CHARADES_LABELS
    may_be_none = charades or usual["label"] == LABELS
    read = []
    for line, named in lines:
        row = named | {name: named[column] for name, column in usual.items()}
        where = at_line(path, line)
        classes = tuple(dict.fromkeys(split_cell(row["label"]))) if several else None
        label = next(iter(classes), "") if several else row["label"].strip()
        split = row["split"].strip() if divided else part
        if divided and usual["split"] != "split":
            split = split_name(split)
        if not (row["path"].strip() and (label or may_be_none) and split):
            raise DatasetError(f"{where}: one of {needed} is empty")
        name, stems, listed = loose(row["path"].strip())
        if row.get(FPS, "").strip():
            name = f"{name}#fps={_rate(row[FPS].strip(), where):g}"
        row_source = source(name, label) if source else row.get(SOURCE, "").strip() or name
        start, end = read_times(row, where)
        times = (start, end)
        read.append(
            Row(name, label, split, row_source, path, line, stems, listed, *times, labels=classes)
        )
    if not several:
        warn_about_joined_labels(path, usual["label"], read)
    read = merge_rows(read, listed=several and are_lists(texts))
    if charades and not order:
        read, order = name_charades_classes(read, path.parent)
    numbers = {label for row in read for label in row.classes}
    if not order and numbers and all(label.isdecimal() for label in numbers):
        named = label_ids_for([path], numbers={*map(int, numbers)}, similar=False)
        if named:
            read = [_renamed(row, named) for row in read]
            order = tuple(named[number] for number in sorted(named))
    return Listing(path, folder_name(path.parent), path.parent, tuple(read), order)


def _check_columns(path, columns, usual):
    """Refuses a repeated column; warns if columns that select parts of videos are not read."""
    twice = sorted(name for name in {*usual.values()} if columns.count(name) > 1)
    if twice:
        raise DatasetError(
            f"{path}: the column {twice[0]!r} occurs {columns.count(twice[0])} times"
        )
    unread = [name for name in columns if OTHER_TIMES.fullmatch(name)]
    if "start" in usual and "end" not in usual and "duration" in columns:
        unread.append("duration")
    if unread and not {*TIMES} <= {*usual}:
        logging.warning(
            "%s: the columns %s are not read; the columns start and end, in seconds, select "
            "parts of videos",
            path,
            ", ".join(unread),
        )


def _renamed(row, named):
    for label in row.classes:
        if int(label) not in named:
            raise DatasetError(
                f"{row.where}: label {label} must be one of {min(named)} to {max(named)}, as "
                f"{len(named)} labels are listed"
            )
    return with_classes(row, [named[int(label)] for label in row.classes])


def _usual(columns):
    """{usual name: column} of the columns that have one of the known names."""
    columns_by_name = {}
    for usual in (*COLUMNS, SOURCE, *TIMES):
        named = [name for name in (usual, *NAMES[usual]) if name in columns]
        if named:
            columns_by_name[usual] = named[0]
    if "path" not in columns_by_name and {CHARADES_ID, CHARADES_LABELS} <= set(columns):
        columns_by_name["path"] = CHARADES_ID
    return columns_by_name


def _columns(header):
    """The columns of a header by their usual names."""
    columns = columns_of(cells_of(header))
    names = {column: usual for usual, names in NAMES.items() for column in names}
    if {CHARADES_ID, CHARADES_LABELS} <= set(columns):
        names[CHARADES_ID] = "path"
    return [names.get(column, column) for column in columns]


def read_times(row, where):
    """(start, end) of a row in seconds, or (None, None) if both cells are empty.

    An empty start is 0, an empty end infinity.

    Example:

    >>> read_times({"start": "1.5", "end": ""}, "videos.csv, line 2")
    (1.5, inf)
    """
    texts = [row.get(name, "").strip() for name in TIMES]
    if not any(texts):
        return None, None
    start, end = (
        default if not cell else seconds(cell, where)
        for cell, default in zip(texts, (0.0, math.inf), strict=True)
    )
    if end <= start:
        raise DatasetError(
            f"{where}: end must be after start. Received: {texts[0]!r} and {texts[1]!r}"
        )
    return start, end


def seconds(text, where):
    """Reads a time: seconds, optionally preceded by minutes and hours.

    Example:

    >>> seconds("1:02:03.5", "videos.csv, line 2")
    3723.5
    """
    if "." not in text:  # a decimal comma
        text = text.replace(",", ".")
    if not TIME.fullmatch(text):
        raise DatasetError(f"{where}: must be a time in seconds, but is {text!r}")
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def _rate(text, where):
    """Reads frames per second."""
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < math.inf:
        raise DatasetError(f"{where}: {FPS} must be a number above 0, but is {text!r}")
    return rate


def labels_file(table):
    """The file beside a table that sets the order of its labels."""
    return table.with_suffix(".labels.txt")


def is_table(location, file):
    """Whether the first line of a file in a `Location` is the header of a table of videos."""
    columns = _columns(location.head(file)[0]) if location.head(file) else []
    return set(COLUMNS[:2]) <= set(columns) or "youtube_id" in columns


def _tables(location):
    return tuple(
        file
        for file in location.files
        if file.suffix.lower() != ".json"
        and is_table(location, file)
        and "youtube_id" not in _columns(location.head(file)[0])
    )
