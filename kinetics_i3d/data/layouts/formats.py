"""`FORMATS`: one row per dataset format; `recognize` finds the format of the dataset at a path.

A new format is a module with `LOOKS_LIKE`, `find` and `read`, and a row here. `find` takes a
`Location` and returns the files of the format there; `read` makes a `Listing` of them.
"""

import copy
import dataclasses
import os
import pathlib
from collections.abc import Callable

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.data.layouts import (
    folders,
    hmdb51,
    json_lists,
    kinetics,
    lists,
    tables,
    ucf101,
)
from kinetics_i3d.data.layouts.files import VideoFinder, kind_of
from kinetics_i3d.data.layouts.listing import first_lines, first_text
from kinetics_i3d.data.records import reader as records
from kinetics_i3d.data.records.addresses import Address, path_or_address
from kinetics_i3d.video.source import is_video_name

TEXT = (".csv", ".list", ".tsv", ".txt")
JSON = (".json",)


@dataclasses.dataclass(frozen=True)
class DatasetFormat:
    """A format of datasets on disk.

    Args:
        looks_like: How its files are recognized, for messages.
        find: `Location -> files`; an empty tuple if the location has another format.
        read: `(files, root, split, labels) -> Listing`, for formats that list videos.
        load: `files -> Dataset`, for formats that do not list videos. They take precedence.
        suffixes: Suffixes, in lower case, of the files that `find` examines.
        has_splits: Whether it has several official splits, selected by a number.
        below: Whether its lists may be in a subfolder, beside the folders of the videos.
        unless: Kinds that take precedence if both match, since they contain the same lists.
        contains_videos: Whether the videos must be in the same folder.
        fallback: Whether it is used only if no other format matches.
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


class Location:
    """A file or folder, and the files in it that may list videos.

    Args:
        path: The file or folder.
        videos: The folder of the videos, if it is not that of their list.

    Raises:
        DatasetError: If there is no such file or folder.
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
                shown = {
                    self.path / entry.name: kind_of(entry)
                    for entry in entries
                    if not entry.name.startswith(".")
                }
            self._folders = sorted(path for path, kind in shown.items() if kind == "folder")
            suffixes = index_suffixes()
            lists = [
                path
                for path, kind in shown.items()
                if path.name.lower().endswith(suffixes) and kind == "file"
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
        """Whether there is a video at a listed path, or with a name without suffix."""
        return self._finder.has(name)

    def only(self, suffixes):
        """A copy without the files whose suffixes belong only to other formats."""
        others = tuple(suffix for suffix in index_suffixes() if suffix not in suffixes)
        location = copy.copy(self)
        location.files = tuple(
            file for file in self.files if not file.name.lower().endswith(others)
        )
        return location

    def below(self):
        """The `Location`s of the subfolders, except hidden ones and those that cannot be read."""
        locations = []
        for folder in self._folders:
            try:
                locations.append(Location(folder))
            except PermissionError as error:
                warn_about(folder, "%s: skipped: cannot be read (%s)", folder, error.strerror)
        return locations


def recognize(path, *, kind=None, videos=None):
    """Finds the format of the dataset at a path.

    Lists take precedence over folders: videos in class folders are a dataset even without lists.

    Args:
        path: A list, a folder, or an address, which always refers to records.
        kind: The kind, if it is known.
        videos: The folder of the videos, if it is not that of their list.

    Returns:
        (kind, files), the files as the format's `find` returns them.

    Raises:
        ValueError: If there is no such kind.
        DatasetError: If no format fits, or more than one.

    Example:

    >>> recognize(folder)[0]
    'table'
    """
    if kind is not None and kind not in FORMATS:
        raise ValueError(f"`kind` must be one of {(*FORMATS,)}. Received: kind={kind!r}")
    address = path_or_address(path)
    if kind == "records" or (kind is None and isinstance(address, Address)):
        return "records", (address,)  # the manifest's own errors say more
    location = Location(path, videos=videos)
    groups = [[kind]] if kind else _groups()
    files_by_kind: dict = {}
    for kinds in groups:
        files_by_kind = (
            files_by_kind or _fitting(kinds, location) or _fitting_below(kinds, location)
        )
    if not files_by_kind:
        raise DatasetError(_describe_mismatch(location, kind))
    files_by_kind = {
        name: files
        for name, files in files_by_kind.items()
        if not any(other in files_by_kind for other in FORMATS[name].unless)
    }
    if len(files_by_kind) > 1:
        fits = "; ".join(
            f"{name!r} ({', '.join(_names(files_by_kind[name]))})" for name in files_by_kind
        )
        raise DatasetError(f"{path}: matches several kinds, {fits}; set `kind` (--kind)")
    return next(iter(files_by_kind.items()))


def _groups():
    """The kinds in groups; each group is tried only if no kind of the previous ones matches."""
    loaded = [kind for kind, row in FORMATS.items() if row.load is not None]
    fallback = [kind for kind, row in FORMATS.items() if row.fallback]
    listed = [kind for kind in FORMATS if kind not in loaded and kind not in fallback]
    return loaded, listed, fallback


def _fitting(kinds, location):
    files_by_kind = {
        kind: FORMATS[kind].find(location.only(FORMATS[kind].suffixes)) for kind in kinds
    }
    return {kind: files for kind, files in files_by_kind.items() if files}


def _fitting_below(kinds, location):
    kinds = [kind for kind in kinds if FORMATS[kind].below]
    files_by_kind: dict = {}
    for inner in location.below() if kinds else ():
        for kind, files in _fitting(kinds, inner).items():
            if kind in files_by_kind:
                raise DatasetError(
                    f"{location.path}: has lists of {kind} in "
                    f"{files_by_kind[kind][0].parent.name} and in {inner.path.name}; pass the "
                    "path of one of them, and the folder of its videos"
                )
            files_by_kind[kind] = files
    return files_by_kind


def _describe_mismatch(location, kind):
    looked = (
        FORMATS[kind].looks_like
        if kind
        else "; ".join(f"{name} ({row.looks_like})" for name, row in FORMATS.items())
    )
    mismatch = f"not of kind {kind!r}" if kind else "no dataset of a known kind"
    text = f"{location.path}: {mismatch}; looked for {looked}"
    if location.path.is_dir():
        return _describe_folder(location) or text
    around = _fitting([name for name, row in FORMATS.items() if row.below], Location(location.root))
    if around:
        return (
            f"{location.path}: is one of the files of a {next(iter(around))!r} dataset; pass the "
            "folder that contains them"
        )
    with location.path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return f"{location.path}: must be UTF-8 text, but is UTF-16; save it as UTF-8"
    if start == b"PK\x03\x04" and location.path.suffix.lower() in (".xlsx", ".xlsm", ".ods"):
        return f"{location.path}: must be text, but is a workbook; save the sheet as csv"
    head = location.head(location.path)
    return (
        f"{text}; its first line is {head[0][:80]!r}" if head else f"{text}; it is empty or no text"
    )


def _describe_folder(location):
    """The error for a folder that is empty, or holds videos but no folders of classes; or None."""
    names = [name for name in os.listdir(location.path) if not name.startswith(".")]
    if not names:
        return f"{location.path}: this folder is empty"
    if any(map(is_video_name, names)) and not location.below():
        return (
            f"{location.path}: not a dataset: its videos have no labels; put the videos of each "
            "class into a subfolder of their own, or add a table with the columns path and label"
        )
    return None


def _names(files):
    names = [getattr(file, "name", file) for file in files]
    return names if len(names) < 3 else [*names[:2], "..."]
