"""`Row` and `Listing`, the common representation of all formats; `read_csv`.

`kinetics_i3d.data.datasets` finds the videos of a listing.
"""

import csv
import dataclasses
import io
import pathlib
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import LINE_END, at_line, read_text
from kinetics_i3d.video.source import is_video_name

# The names of the three splits in releases and toolkits.
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
PART = re.compile(r"(?<![a-z])(?:train|val|test)")
DRIVE = re.compile(r"[A-Za-z]:/")
UNDIVIDED = "all"  # the split of videos that are not assigned to one


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One video of a list.

    Args:
        name: Path relative to the folder of the videos, as listed, or by the format's convention.
        label: Its class, the first of `labels`.
        split: Its split.
        source: The longer video that it was cut from.
        file: The list.
        line: The line in it, or 0 if it has no lines.
        stems: File names without suffix. The video may be anywhere in the folder under one of
            them; the first that exists is used.
        listed: Whether the video may also be at `name` itself, which takes precedence.
        start: Start of the row's part of the video in seconds; None for the entire video.
        end: Its end in seconds; infinity for the end of the video.
        whole: Those of `stems` that may name the entire video, or a file cut to the row's part;
            which one is decided by the duration of the file.
        shared: Those of `whole` that other rows have too.
        labels: All classes of a video that may have several or none; else None.
    """

    name: str
    label: str
    split: str
    source: str
    file: pathlib.Path
    line: int
    stems: tuple = ()
    listed: bool = False
    start: float | None = None
    end: float | None = None
    whole: tuple = ()
    shared: tuple = ()
    labels: tuple | None = None

    @property
    def classes(self):
        """A tuple of all its classes."""
        return (self.label,) if self.labels is None else self.labels

    @property
    def where(self):
        """File and line, for errors."""
        return at_line(self.file, self.line)


@dataclasses.dataclass(frozen=True)
class Listing:
    """All rows of a dataset.

    Args:
        path: The list or folder, for errors.
        name: The name of the dataset.
        folder: The usual folder of the videos.
        rows: `Row`s.
        labels: Class names in the order of the format; empty if it defines none.
    """

    path: pathlib.Path
    name: str
    folder: pathlib.Path
    rows: tuple
    labels: tuple = ()


def loose(name):
    r"""(name, stems, listed) for the `Row` of a listed path, possibly from another machine.

    Example:

    >>> loose(r"D:\videos\sit\a.mp4")
    ('D:/videos/sit/a.mp4', ('a',), True)
    >>> loose("sit/a.mp4")
    ('sit/a.mp4', (), False)
    """
    if "\\" in name and "/" not in name:
        name = name.replace("\\", "/")
    base = name.rpartition("/")[2]
    stem, dot, _ = base.rpartition(".")
    elsewhere = name.startswith("/") or DRIVE.match(name) or "/" not in name
    if elsewhere or not is_video_name(base):
        return name, (stem if dot and is_video_name(base) else base,), True
    return name, (), False


def split_by_name(stem):
    """The split that the name of a list indicates.

    Example:

    >>> split_by_name("kinetics400_val_list"), split_by_name("videos")
    ('val', 'all')
    """
    parts = set(PART.findall(stem.casefold()))
    return parts.pop() if len(parts) == 1 else UNDIVIDED


def folder_name(path):
    """The name of a folder, even for `"."`."""
    return pathlib.Path(path).absolute().name


def split_name(text):
    """`"train"`, `"val"` or `"test"` for the names used in releases; other names unchanged.

    Example:

    >>> split_name("validate"), split_name("fold 3")
    ('val', 'fold 3')
    """
    return SPLITS.get(text.strip().casefold(), text.strip())


DELIMITERS = (",", ";", "\t")  # in order of preference
SEPARATOR = re.compile(r"(?i)sep=[,;\t]?")  # a line that Excel reads and writes
HEAD = 65536  # bytes that are searched for two lines


def read_csv(path):
    """Reads a table with a header whose cells are separated by commas, semicolons or tabs.

    Windows line ends, a byte order mark and empty lines are accepted.

    Returns:
        (columns, rows): names in lower case, None for an empty file; and (line number, {column:
        cell}) of each row that is not empty. Missing cells are `""`.

    Raises:
        DatasetError: If the file is not UTF-8, has unbalanced quotes, or a row has more cells than
            the header.
    """
    text = read_text(path)
    lines = [line for line in LINE_END.split(text[:HEAD]) if line.strip()]
    names_separator = bool(lines) and SEPARATOR.fullmatch(lines[0].strip())
    header = lines[bool(names_separator)] if len(lines) > bool(names_separator) else ""
    mark = delimiter(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    filled = (values for values in reader if any(cell.strip() for cell in values))
    try:
        if names_separator:
            next(filled, None)
        header = next(filled, None)
        columns = None if header is None else columns_of(header)
        rows = []
        for values in filled:
            if any(cell.strip() for cell in values[len(columns) :]):
                raise DatasetError(
                    f"{path}, line {reader.line_num}: must have {len(columns)} cells, like the "
                    f"header, but has {len(values)}; a cell with {mark!r} needs quotes"
                )
            values += [""] * (len(columns) - len(values))
            rows.append((reader.line_num, dict(zip(columns, values, strict=False))))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: not a csv row ({error})") from error
    return columns, rows


def columns_of(header):
    """Column names stripped and in lower case, for comparison."""
    return [cell.strip().lower() for cell in header]


def first_text(path):
    """The first 64 KiB of a file as text; empty for a binary file."""
    with path.open("rb") as file:
        start = file.read(HEAD)
    # The last character may be incomplete.
    return "" if b"\0" in start else start.decode("utf-8-sig", errors="replace")


def first_lines(path):
    """The first two lines that are not empty; none for a binary file."""
    lines = LINE_END.split(first_text(path))
    lines = [line.strip() for line in lines if line.strip()]
    if lines and SEPARATOR.fullmatch(lines[0]):
        del lines[0]
    return tuple(lines[:2])


def delimiter(line):
    """The separator of a line: the most frequent of `,`, `;` and tab.

    Example:

    >>> delimiter("path;label;split"), delimiter("path,label;split,x")
    (';', ',')
    """
    return max(DELIMITERS, key=line.count)


def cells_of(line):
    """The cells of one line of a table; empty if its quotes are unbalanced."""
    try:
        return next(csv.reader([line], delimiter=delimiter(line), strict=True), [])
    except csv.Error:
        return []
