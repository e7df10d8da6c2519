"""`FORMATS`: a row for each format of datasets; `recognise` finds the one that lies at a path.

A new format is a module with `LOOKS_LIKE`, `find` and `read`, and a row here. `find` gets a `Place`
and returns the files of the format there; `read` makes a `Listing` of them.
"""

import copy
import dataclasses
import os
import pathlib
from collections.abc import Callable

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.layouts import (
    folders,
    hmdb51,
    json_lists,
    kinetics,
    lists,
    tables,
    ucf101,
)
from kinetics_i3d.data.layouts.files import VideoFinder
from kinetics_i3d.data.layouts.listing import first_lines, first_text
from kinetics_i3d.data.records import reader as records
from kinetics_i3d.data.records.addresses import Address, path_or_address

TEXT = (".csv", ".list", ".tsv", ".txt")
JSON = (".json",)


@dataclasses.dataclass(frozen=True)
class DatasetFormat:
    """A format in which a dataset may lie on the disk.

    Args:
        looks_like: How its files are recognised, for messages.
        find: `Place -> files`; an empty tuple if it is not there.
        read: `(files, root, split, labels) -> Listing`, for formats that list videos.
        load: `files -> Dataset`, for formats that hold something else. They come before the others.
        suffixes: Suffixes, in lower case, of the files that `find` looks at.
        has_splits: Whether it has several official splits, which a number names.
        below: Whether its lists may lie in a folder of their own beside those of the videos.
        unless: Kinds that come first if both fit, since they contain the same lists.
        contains_videos: Whether the videos cannot lie in another folder.
        fallback: Whether it counts only if no other format fits.
    """

    looks_like: str
    find: Callable
    read: Callable | None = None
    load: Callable | None = None
    suffixes: tuple = TEXT
    has_splits: bool = False
    below: bool = False
    unless: tuple = ()
    contains_videos: bool = False
    fallback: bool = False


FORMATS = {
    "records": DatasetFormat(
        records.LOOKS_LIKE,
        records.find_records,
        load=records.open_records,
        suffixes=JSON,
        contains_videos=True,
    ),
    "kinetics": DatasetFormat(kinetics.LOOKS_LIKE, kinetics.find, kinetics.read, below=True),
    "json": DatasetFormat(
        json_lists.LOOKS_LIKE,
        json_lists.find,
        json_lists.read,
        suffixes=JSON,
        below=True,
        unless=("kinetics",),
    ),
    "ucf101": DatasetFormat(
        ucf101.LOOKS_LIKE, ucf101.find, ucf101.read, has_splits=True, below=True
    ),
    "hmdb51": DatasetFormat(
        hmdb51.LOOKS_LIKE, hmdb51.find, hmdb51.read, has_splits=True, below=True
    ),
    "jhmdb": DatasetFormat(
        tables.JHMDB_LOOKS_LIKE, tables.find_jhmdb, tables.read_jhmdb, has_splits=True
    ),
    "figures": DatasetFormat(tables.FIGURES_LOOKS_LIKE, tables.find_figures, tables.read_figures),
    "table": DatasetFormat(tables.LOOKS_LIKE, tables.find, tables.read),
    "list": DatasetFormat(lists.LOOKS_LIKE, lists.find, lists.read),
    "folders": DatasetFormat(
        folders.LOOKS_LIKE, folders.find, folders.read, contains_videos=True, fallback=True
    ),
}
KINDS = tuple(FORMATS)


def index_suffixes():
    """The suffixes of all files that may list videos."""
    return tuple(sorted({suffix for row in FORMATS.values() for suffix in row.suffixes}))


class Place:
    """A file or folder, and the files in it that may list videos.

    Args:
        path: Where to look.
        videos: The folder of the videos, if it is not that of their list.

    Raises:
        DatasetError: If nothing is there.
    """

    def __init__(self, path, *, videos=None):
        self.path = pathlib.Path(path)
        if not self.path.exists():
            raise DatasetError(f"{path}: no such file or folder")
        self.root = self.path if self.path.is_dir() else self.path.parent
        self.files: tuple = (self.path,)
        self._folders: list = []
        if self.path.is_dir():
            with os.scandir(self.path) as entries:
                shown = [entry for entry in entries if not entry.name.startswith(".")]
            self._folders = sorted(self.path / entry.name for entry in shown if entry.is_dir())
            suffixes = index_suffixes()
            lists = [
                self.path / entry.name
                for entry in shown
                if entry.name.lower().endswith(suffixes) and entry.is_file()
            ]
            self.files = tuple(sorted(lists))
        self._heads: dict = {}
        self._finder = VideoFinder(self.root if videos is None else videos)

    def head(self, file):
        """The first two lines of a file."""
        if file not in self._heads:
            self._heads[file] = first_lines(file)
        return self._heads[file]

    def start(self, file):
        """The beginning of a file as text; empty for a binary file."""
        return first_text(file)

    def has(self, name):
        """Whether a listed path, or a name without suffix, is that of a video here."""
        return self._finder.has(name)

    def only(self, suffixes):
        """This place with the files of some suffixes, and of those that no format knows."""
        others = tuple(suffix for suffix in index_suffixes() if suffix not in suffixes)
        place = copy.copy(self)
        place.files = tuple(file for file in self.files if not file.name.lower().endswith(others))
        return place

    def below(self):
        """Places of the folders in this one, except hidden ones."""
        return [Place(folder) for folder in self._folders]


def recognise(path, *, kind=None, videos=None):
    """Finds the format of the dataset at a path.

    Lists come before folders: videos in folders of their class are also a dataset without lists.

    Args:
        path: A list, a folder, or an address, which is always one of records.
        kind: The kind, if it is known.
        videos: The folder of the videos, if it is not that of their list.

    Returns:
        (kind, files), the files as the format's `find` returns them.

    Raises:
        ValueError: If there is no such kind.
        DatasetError: If no format fits, or more than one.

    Example:

    >>> recognise(folder)[0]
    'table'
    """
    if kind is not None and kind not in FORMATS:
        raise ValueError(f"`kind` must be one of {(*FORMATS,)}. Received: kind={kind!r}")
    address = path_or_address(path)
    if kind == "records" or (kind is None and isinstance(address, Address)):
        return "records", (address,)  # the manifest's own errors say more
    place = Place(path, videos=videos)
    groups = [[kind]] if kind else _groups()
    files_by_kind: dict = {}
    for kinds in groups:
        files_by_kind = files_by_kind or _fitting(kinds, place) or _fitting_below(kinds, place)
    if not files_by_kind:
        raise DatasetError(_describe_mismatch(place, kind))
    files_by_kind = {
        name: files
        for name, files in files_by_kind.items()
        if not any(other in files_by_kind for other in FORMATS[name].unless)
    }
    if len(files_by_kind) > 1:
        fits = "; ".join(
            f"{name!r} ({', '.join(_names(files_by_kind[name]))})" for name in files_by_kind
        )
        raise DatasetError(f"{path}: may be of several kinds, {fits}; `kind` (--kind) decides")
    return next(iter(files_by_kind.items()))


def _groups():
    """The kinds in groups, each of which counts only if nothing before it fits."""
    loaded = [kind for kind, row in FORMATS.items() if row.load is not None]
    fallback = [kind for kind, row in FORMATS.items() if row.fallback]
    listed = [kind for kind in FORMATS if kind not in loaded and kind not in fallback]
    return loaded, listed, fallback


def _fitting(kinds, place):
    files_by_kind = {kind: FORMATS[kind].find(place.only(FORMATS[kind].suffixes)) for kind in kinds}
    return {kind: files for kind, files in files_by_kind.items() if files}


def _fitting_below(kinds, place):
    kinds = [kind for kind in kinds if FORMATS[kind].below]
    files_by_kind: dict = {}
    for inner in place.below() if kinds else ():
        for kind, files in _fitting(kinds, inner).items():
            if kind in files_by_kind:
                raise DatasetError(
                    f"{place.path}: has lists of {kind} in {files_by_kind[kind][0].parent.name} and"
                    f" in {inner.path.name}; give the path of one, and the folder of its videos"
                )
            files_by_kind[kind] = files
    return files_by_kind


def _describe_mismatch(place, kind):
    looked = (
        FORMATS[kind].looks_like
        if kind
        else "; ".join(f"{name} ({row.looks_like})" for name, row in FORMATS.items())
    )
    mismatch = f"not of kind {kind!r}" if kind else "no dataset of a known kind"
    text = f"{place.path}: {mismatch}; looked for {looked}"
    if place.path.is_dir():
        return text
    around = _fitting([name for name, row in FORMATS.items() if row.below], Place(place.root))
    if around:
        return f"{place.path}: is one of the files of {next(iter(around))!r}; give their folder"
    head = place.head(place.path)
    return (
        f"{text}; its first line is {head[0][:80]!r}" if head else f"{text}; it is empty or no text"
    )


def _names(files):
    names = [getattr(file, "name", file) for file in files]
    return names if len(names) < 3 else [*names[:2], "..."]
