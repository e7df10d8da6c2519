"""`recognise`: which of the known layouts lies at a path, by what its files say.

A new layout is a module with `LOOKS_LIKE`, `find` and `read`, and a row of `FORMATS`.
"""

import dataclasses
import os
import pathlib
import typing

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

INDEX_SUFFIXES = (".csv", ".json", ".list", ".tsv", ".txt")


@dataclasses.dataclass(frozen=True)
class Layout:
    """How a dataset may lie on the disk.

    Args:
        looks_like: What it is known by.
        find: `Place -> files`, an empty tuple where it is not there.
        read: `(files, root, split, labels) -> Listing`.
        splits: Whether it has several official splits.
        below: Whether its lists may lie in a folder of their own beside those of the videos.
        unless: Kinds that come before it where both fit, since they say the same.
    """

    looks_like: str
    find: typing.Callable
    read: typing.Callable
    splits: bool = False
    below: bool = False
    unless: tuple = ()


FORMATS = {
    "kinetics": Layout(kinetics.LOOKS_LIKE, kinetics.find, kinetics.read, below=True),
    "json": Layout(
        json_lists.LOOKS_LIKE, json_lists.find, json_lists.read, below=True, unless=("kinetics",)
    ),
    "ucf101": Layout(ucf101.LOOKS_LIKE, ucf101.find, ucf101.read, splits=True, below=True),
    "hmdb51": Layout(hmdb51.LOOKS_LIKE, hmdb51.find, hmdb51.read, splits=True, below=True),
    "jhmdb": Layout(tables.JHMDB_LOOKS_LIKE, tables.find_jhmdb, tables.read_jhmdb, splits=True),
    "figures": Layout(tables.FIGURES_LOOKS_LIKE, tables.find_figures, tables.read_figures),
    "table": Layout(tables.LOOKS_LIKE, tables.find, tables.read),
    "list": Layout(lists.LOOKS_LIKE, lists.find, lists.read),
    "folders": Layout(folders.LOOKS_LIKE, folders.find, folders.read),
}
KINDS = tuple(FORMATS)


class Place:
    """A file, or a folder, and the text files in it that may list videos.

    Args:
        path: What was asked for.
        videos: The folder of the videos, where it is not that of their list.

    Raises:
        DatasetError: If there is nothing.
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
            lists = [
                self.path / entry.name
                for entry in shown
                if entry.name.lower().endswith(INDEX_SUFFIXES) and entry.is_file()
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
        """The beginning of a file as text; empty for what is not text."""
        return first_text(file)

    def has(self, name):
        """Whether a listed path, or a name without suffix, is that of a video here."""
        return self._finder.has(name)

    def below(self):
        """Places of the folders in this one, but for hidden ones."""
        return [Place(folder) for folder in self._folders]


def recognise(path, *, kind=None, videos=None):
    """Finds out what lies at a path.

    Lists come before folders: videos in folders of their class are also a dataset without lists.

    Args:
        path: A list, or a folder.
        kind: One of `KINDS`, if that is known.
        videos: The folder of the videos, where it is not that of their list.

    Returns:
        (kind, files for the layout's `read`).

    Raises:
        ValueError: If there is no such kind.
        DatasetError: If nothing fits, or more than one kind.

    Example:

    >>> recognise(folder)[0]
    'table'
    """
    if kind not in (None, *KINDS):
        raise ValueError(f"`kind` must be one of {KINDS}. Received: kind={kind!r}")
    place = Place(path, videos=videos)
    listed = [kind] if kind else [name for name in KINDS if name != "folders"]
    files_by_kind = _fitting(listed, place) or _fitting_below(listed, place)
    if not files_by_kind and not kind:
        files_by_kind = _fitting(["folders"], place)
    if not files_by_kind:
        raise DatasetError(_nothing(place, kind))
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


def _fitting(kinds, place):
    files_by_kind = {kind: FORMATS[kind].find(place) for kind in kinds}
    return {kind: files for kind, files in files_by_kind.items() if files}


def _fitting_below(kinds, place):
    kinds = [kind for kind in kinds if FORMATS[kind].below]
    found: dict = {}
    for inner in place.below() if kinds else ():
        for kind, files in _fitting(kinds, inner).items():
            if kind in found:
                raise DatasetError(
                    f"{place.path}: has lists of {kind} in {found[kind][0].parent.name} and in "
                    f"{inner.path.name}; give the path of one, and the folder of its videos"
                )
            found[kind] = files
    return found


def _nothing(place, kind):
    looked = (
        FORMATS[kind].looks_like
        if kind
        else "; ".join(f"{each} ({layout.looks_like})" for each, layout in FORMATS.items())
    )
    known = f"not of kind {kind!r}" if kind else "no dataset of a known kind"
    text = f"{place.path}: {known}; looked for {looked}"
    if place.path.is_dir():
        return text
    around = _fitting([each for each in KINDS if FORMATS[each].below], Place(place.root))
    if around:
        return f"{place.path}: is one of the files of {next(iter(around))!r}; give their folder"
    head = place.head(place.path)
    return (
        f"{text}; its first line is {head[0][:80]!r}" if head else f"{text}; it is empty or no text"
    )


def _names(files):
    names = [getattr(file, "name", file) for file in files]
    return names if len(names) < 3 else [*names[:2], "..."]
