"""`Row` and `Listing`: what the files of a dataset say of its videos, whether those exist or not.

Every layout is read into this one form; `kinetics_i3d.data.datasets` looks for the videos.
"""

import dataclasses
import os
import pathlib
import re

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
# fmt: off
SUFFIXES = frozenset([
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv",
])
# fmt: on
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
    if elsewhere or not is_video(base):
        return name, (stem if dot and is_video(base) else base,), True
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


def is_video(name):
    """Whether a file is a video by its suffix."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


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
