"""Tables with the columns path, label, split: anybody's, those of J-HMDB and those of figures.

With columns start and end, in seconds, a row is of that part of its video.

J-HMDB: Jhuang et al., "Towards Understanding Action Recognition", ICCV 2013.
"""

import math
import pathlib
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.label_files import read_labels
from kinetics_i3d.data.layouts.hmdb51 import source_film
from kinetics_i3d.data.layouts.listing import Listing, Row, folder_name, place_of
from kinetics_i3d.data.layouts.text import cells_of, columns_of, read_csv

COLUMNS = ("path", "label", "split")
SOURCE = "source"  # a column that may be there too
TIMES = ("start", "end")  # and these, in seconds
LOOKS_LIKE = "a csv table with the columns path, label, split"
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
            row = dict(zip(columns_of(cells_of(head[0])), cells_of(head[1]), strict=False))
            stem = pathlib.PurePosixPath(row.get("path", "")).stem
            if source_film(stem, row.get("label", "")) != stem:
                found.append(file)
    return tuple(found)


def find_figures(place):
    """The table that `kinetics-i3d figures` writes, in a `Place`."""
    return tuple(file for file in _tables(place) if file.name == FIGURES_TABLE)


def read(files, *, root, split, labels):
    """Reads the only table.

    Args:
        files: What `find` found.
        root: Not used, videos are beside the table.
        split: Not used, there is one.
        labels: Not used, rows have names.

    Returns:
        A `Listing`. Every file is its own `source` where the table has no column of that name.

    Raises:
        DatasetError: If there are several, or as `read_one`.
    """
    del root, split, labels
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

    Raises:
        DatasetError: If it is missing, has other columns or an incomplete row.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: no such table of videos")
    columns, cells = read_csv(path)
    if not set(COLUMNS) <= set(columns or ()):
        raise DatasetError(f"{path}: needs the columns {COLUMNS}, has {columns}")
    rows = []
    for line, row in cells:
        name, label, split = row["path"], row["label"].strip(), row["split"].strip()
        if not (name.strip() and label and split):
            raise DatasetError(f"{place_of(path, line)}: one of {COLUMNS} is empty")
        origin = source(name, label) if source else row.get(SOURCE) or name
        start, end = read_times(row, place_of(path, line))
        rows.append(Row(name, label, split, origin, path, line, start=start, end=end))
    beside = labels_file(path)
    order = read_labels(beside) if beside.is_file() else ()
    return Listing(path, folder_name(path.parent), path.parent, tuple(rows), order)


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


def _tables(place):
    return tuple(
        file
        for file in place.files
        if place.head(file) and set(COLUMNS) <= set(columns_of(cells_of(place.head(file)[0])))
    )
