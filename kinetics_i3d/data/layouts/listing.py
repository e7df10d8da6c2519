"""`Row` and `Listing`: what the files of a dataset say of its videos, whether those exist or not.

Every layout is read into this one form; `kinetics_i3d.data.datasets` looks for the videos.
"""

import csv
import dataclasses
import io
import pathlib
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import LINE_END, read_text
from kinetics_i3d.video.source import is_video_name

# The names that releases and toolkits give to the three parts.
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
UNDIVIDED = "all"  # the split of videos of which nothing says in which one they are


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One video as the list names it.

    Args:
        name: Its path below the folder of the videos, as the list has it or as is usual.
        label, split: Its class and part.
        source: The longer video that it was cut from.
        file, line: Where it stands.
        stems: File names without suffix; where there are some, the video may lie anywhere below the
            folder under one of them, the first that is found.
        listed: Whether the video may also be at `name` itself, which comes first.
        start, end: Seconds of the video that the row is of; None where it is of all of it. An
            `end` of infinity is the video's.
        whole: Those of `stems` that may name a file of the whole video or one that is cut already,
            which the length of the file tells.
        shared: Those of `whole` that other rows have too.
        labels: All classes of a video that may have several or none; `label` is the first then.
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
        """The classes of the video, a tuple."""
        return (self.label,) if self.labels is None else self.labels

    @property
    def where(self):
        """File and line, for errors."""
        return place_of(self.file, self.line)


@dataclasses.dataclass(frozen=True)
class Listing:
    """All rows of a dataset.

    Args:
        path: What errors name.
        name: What people call the dataset.
        folder: Where the videos are by custom.
        rows: The `Row`s.
        labels: Class names in the order that the layout has by itself; empty where it has none.
    """

    path: pathlib.Path
    name: str
    folder: pathlib.Path
    rows: tuple
    labels: tuple = ()


def loose(name):
    r"""Where else a listed video may be, for `Row`: paths of other machines, names without folder.

    Args:
        name: The path as a list has it.

    Returns:
        (name, stems, listed): the name with slashes for backslashes.

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


def place_of(file, line):
    """How errors name a line of a file; videos that no file lists have none."""
    return f"{file}, line {line}" if line else str(file)


def part_by_name(stem):
    """The split that a file's name tells.

    Example:

    >>> part_by_name("kinetics400_val_list"), part_by_name("videos")
    ('val', 'all')
    """
    parts = set(PART.findall(stem.casefold()))
    return parts.pop() if len(parts) == 1 else UNDIVIDED


def folder_name(path):
    """The name of a folder, also of `"."`."""
    return pathlib.Path(path).absolute().name


def split_name(text):
    """`"train"`, `"val"` or `"test"` for the names that releases use, any other as it is.

    Example:

    >>> split_name("validate"), split_name("fold 3")
    ('val', 'fold 3')
    """
    return SPLITS.get(text.strip().casefold(), text.strip())


DELIMITERS = (",", ";", "\t")  # the first of those that are as frequent
SEPARATOR = re.compile(r"(?i)sep=[,;\t]?")  # a line that Excel reads and writes
HEAD = 65536  # bytes in which two lines are looked for


def read_csv(path):
    """The rows of a table with a header, whose cells are parted by commas, semicolons or tabs.

    Args:
        path: A `pathlib.Path`.

    Returns:
        (columns, rows): names in lower case, or `None` for an empty file; and (number of the line,
        {column: cell}) of each row that is not empty. Cells that are not there are `""`.

    Raises:
        DatasetError: If it is not UTF-8, its quotes do not match, or a row has more cells than the
            header.
    """
    text = read_text(path)
    lines = [line for line in LINE_END.split(text[:HEAD]) if line.strip()]
    names_separator = bool(lines) and SEPARATOR.fullmatch(lines[0].strip())
    header = lines[bool(names_separator)] if len(lines) > bool(names_separator) else ""
    mark = delimiter(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        if names_separator:
            next(reader)
        header = next(reader, None)
        columns = None if header is None else columns_of(header)
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if any(cell.strip() for cell in cells[len(columns) :]):
                raise DatasetError(
                    f"{path}, line {reader.line_num}: must have {len(columns)} cells as the header,"
                    f" has {len(cells)}; a cell with {mark!r} needs quotes"
                )
            cells += [""] * (len(columns) - len(cells))
            rows.append((reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: no row of a csv ({error})") from error
    return columns, rows


def columns_of(header):
    """Column names as they are compared: stripped, in lower case."""
    return [cell.strip().lower() for cell in header]


def first_text(path):
    """The first 64 KiB of a file as text; empty for what is not text.

    Args:
        path: A `pathlib.Path`.
    """
    with path.open("rb") as file:
        start = file.read(HEAD)
    # The last character may be cut in two.
    return "" if b"\0" in start else start.decode("utf-8-sig", errors="replace")


def first_lines(path):
    """Up to two lines that say something, to recognise a file by; none for what is not text.

    Args:
        path: A `pathlib.Path`.

    Returns:
        A tuple of stripped lines.
    """
    lines = LINE_END.split(first_text(path))
    lines = [line.strip() for line in lines if line.strip()]
    if lines and SEPARATOR.fullmatch(lines[0]):
        del lines[0]
    return tuple(lines[:2])


def delimiter(line):
    r"""What parts the cells of a line: a comma, or else the semicolon or tab of other programs.

    Example:

    >>> delimiter("path;label;split"), delimiter("path,label;split,x")
    (';', ',')
    """
    return max(DELIMITERS, key=line.count)


def cells_of(line):
    """The cells of one line of a table; empty where its quotes do not match."""
    try:
        return next(csv.reader([line], delimiter=delimiter(line), strict=True), [])
    except csv.Error:
        return []
