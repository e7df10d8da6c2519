"""`Row` and `Listing`: what the files of a dataset say of its videos, whether those exist or not.

Every layout is read into this one form; `kinetics_i3d.data.datasets` looks for the videos.
"""

import dataclasses
import pathlib

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
        start, end: Seconds of the video that the row is of; None where it is of all of it. An
            `end` of infinity is the video's.
        whole: Those of `stems` that may name a file of the whole video or one that is cut already,
            which the length of the file tells.
        shared: Whether other rows are of the same whole video.
    """

    name: str
    label: str
    split: str
    source: str
    file: pathlib.Path
    line: int
    stems: tuple = ()
    start: float | None = None
    end: float | None = None
    whole: tuple = ()
    shared: bool = False

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


def place_of(file, line):
    """How errors name a line of a file; videos that no file lists have none."""
    return f"{file}, line {line}" if line else str(file)


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
