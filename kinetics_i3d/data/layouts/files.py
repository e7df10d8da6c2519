"""`VideoFinder` finds the files of rows by listing each folder once; `cut` finds their spans.

One request per row would take minutes on a network file system for the 240,000 rows of Kinetics.
"""

import collections
import concurrent.futures
import math
import os
import pathlib
import re
import unicodedata

from absl import logging

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.data.layouts.labels import bare
from kinetics_i3d.data.layouts.listing import loose
from kinetics_i3d.video.frame_folder import is_frame_folder, split_rate
from kinetics_i3d.video.header import read_header
from kinetics_i3d.video.source import is_video_name
from kinetics_i3d.video.span import Span


class VideoFinder:
    """Finds the files of `Row`s below a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._names: dict = {}
        self._stems = None

    def has(self, name):
        """Whether there is a video at a listed path, or elsewhere under the same name."""
        name, stems, _ = loose(name)
        if self._listed(name) is not None:
            return True
        if self._stems is None:
            self._stems = self._walked()
        return any(_composed(stem) in self._stems for stem in stems)

    def find_stem(self, row):
        """(path, stem): the file or folder of frames of a row, and which of its stems it has.

        Both are None if there is none; empty files do not count. Of several files with the same
        name, the preferred one has the listed folders, or else is in the folder of the class, or
        else of the split; files that cannot be opened come last. Kinetics' replacements take
        precedence over all others.
        """
        if row.listed or not row.stems:
            name, rate = split_rate(row.name)
            path = self._listed(name)
            if path is not None and rate is not None and path.is_dir():  # files have their own
                path = path.with_name(f"{path.name}#fps={float(rate):g}")
            if path is not None or not row.stems:
                return path, None
        if self._stems is None:
            self._stems = self._walked()
        for stem in row.stems:
            names = self._stems.get(_composed(stem))
            if names:
                name = names[0] if len(names) == 1 else self._best(names, row)
                if name is not None:
                    return self.folder / name, stem
        return None, None

    def _listed(self, name):
        parent, base = os.path.split(os.path.join(self.folder, name))
        if parent not in self._names:
            self._names[parent] = {_composed(name): name for name in _names_in(parent)}
        base = self._names[parent].get(_composed(base))
        if base is None:
            return None
        path = pathlib.Path(parent, base.removesuffix("/"))
        return path if not base.endswith("/") or is_frame_folder(path) else None

    def _best(self, names, row):
        """The best of several files with the same name; None if the choice is ambiguous."""
        label, split = bare(row.label), bare(row.split)
        listed = f"/{os.path.splitext(row.name)[0]}"

        def rank(name):
            folders = [bare(part) for part in name.split("/")[:-1]]
            path = f"/{os.path.splitext(name)[0]}"
            same = "/" in row.name and (listed.endswith(path) or path.endswith(listed))
            replaced = any(folder.startswith("replacement") for folder in folders)
            return (not replaced, not same, label not in folders, split not in folders)

        ranked = sorted(names, key=lambda name: (*rank(name), name))
        if row.listed and all(rank(ranked[0])):
            return None
        return next((name for name in ranked if _opens(self.folder / name)), ranked[0])

    def _walked(self):
        stems = collections.defaultdict(list)
        for name in walk_videos(self.folder):
            base = os.path.basename(name)
            stems[_composed(os.path.splitext(base)[0] if is_video_name(base) else base)].append(
                name
            )
        return stems


def walk_videos(folder, *, empty=False):
    """Yields all videos below a folder: files with the suffix of a video, and folders of frames.

    Hidden files are skipped, and empty ones unless `empty`. Links to folders are followed, except
    to a parent folder. A subfolder that cannot be read is logged and skipped.

    Yields:
        Paths relative to the folder, as strings, sorted within every folder.
    """
    pending: list = [(os.fspath(folder), "", ())]
    while pending:
        directory, prefix, above = pending.pop()
        try:
            state = os.stat(directory)
            identity = (state.st_dev, state.st_ino)
            if identity in above:
                continue
            with os.scandir(directory) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except PermissionError as error:
            if not above:
                raise
            warn_about(directory, "%s: skipped: cannot be read (%s)", directory, error.strerror)
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            name = f"{prefix}{entry.name}"
            kind = kind_of(entry)
            if kind == "folder":
                if is_frame_folder(entry.path):
                    yield name
                else:
                    pending.append((entry.path, f"{name}/", (*above, identity)))
            elif is_video_name(name) and kind == "file" and (empty or entry.stat().st_size):
                yield name


def kind_of(entry):
    """`"folder"` or `"file"`; None for any other `os.DirEntry`, such as a link to itself."""
    try:
        return "folder" if entry.is_dir() else "file" if entry.is_file() else None
    except OSError:
        return None


def _opens(path):
    try:
        read_header(path)
    except VideoError:
        return False
    return True


def _names_in(folder):
    """The names of the files that are not empty, and of the folders, with a trailing slash."""
    try:
        with os.scandir(folder) as entries:
            kinds = [(entry, kind_of(entry)) for entry in entries]
            return [
                f"{entry.name}/" if kind == "folder" else entry.name
                for entry, kind in kinds
                if kind == "folder" or (kind == "file" and entry.stat().st_size)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        warn_about(folder, "%s: skipped: cannot be read (%s)", folder, error.strerror)
        return []


def _composed(name):
    # macOS stores an umlaut as two characters; tables usually have one.
    return unicodedata.normalize("NFC", name.removesuffix("/"))


CUT = re.compile(r"(?s).*_(\d{6})_(\d{6})")  # the name of a cut file, without suffix
# Tools that cut at keyframes keep a few seconds more than requested.
FACTOR, MORE = 1.5, 1.0
THREADS = 8  # headers that are read at the same time; on a network file system each takes a while


def cut(files, where):
    """Finds the spans of rows with times in their files.

    A file named by id and times has been cut already. A file named by id alone may be the entire
    upload, which is recognized by its duration.

    Args:
        files: (row, path, stem) of each row, with the path and stem of `VideoFinder.find_stem`.
        where: Name of the dataset, for the log.

    Returns:
        A list of (row, path, span). The path is also None if the file is named only by an id that
        several rows share; the span is None for the entire file.
    """
    unsure = sorted({path for row, path, stem in files if path and stem in row.whole})
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        lengths = dict(zip(unsure, pool.map(_length, unsure), strict=True))
    cuts, shortened = [], 0
    for row, path, stem in files:
        span = None if path is None or row.start is None else _span(row, path)
        if span is not None and stem in row.whole:
            if _is_whole(lengths[path], span):
                shortened += 1
            else:
                path = None if stem in row.shared else path
                span = None
        cuts.append((row, path, span))
    if shortened:
        logging.warning(
            "%s: %d videos are named by their id alone and are much longer than their annotated "
            "times; they are cut to these times",
            where,
            shortened,
        )
    return cuts


def _span(row, path):
    """The span of a row, or None if the name of its file shows that it has been cut to it."""
    named = CUT.fullmatch(path.stem)
    times = (row.start, row.end)
    if named and tuple(map(int, named.groups())) == tuple(
        int(time) if math.isfinite(time) else time for time in times
    ):
        return None
    if row.start == 0 and row.end == math.inf:
        return None
    return Span(row.start, None if row.end == math.inf else row.end)


def _is_whole(length, span):
    """Whether a file is too long to contain only the span."""
    if length is None:
        return False
    if span.end is None:
        return length > span.start
    wanted = span.end - span.start
    return length > FACTOR * wanted + MORE


def _length(path):
    """The duration of a file in seconds by its header, or None."""
    try:
        return read_header(path).duration
    except VideoError:  # reported when the video is read
        return None
