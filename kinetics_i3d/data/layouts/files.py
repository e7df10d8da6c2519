"""`VideoFinder` finds the files of rows with one look into every folder; `cut` finds their spans.

A request per row to a network file system would take minutes for the 240,000 rows of Kinetics.
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
from kinetics_i3d.data.layouts.label_order import bare
from kinetics_i3d.data.layouts.listing import loose
from kinetics_i3d.video.frame_folder import is_frame_folder, open_source, split_rate
from kinetics_i3d.video.source import is_video_name
from kinetics_i3d.video.span import Span


class VideoFinder:
    """Finds the files of `Row`s below a folder."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._names: dict = {}
        self._stems = None

    def has(self, name):
        """Whether there is a video of a listed path, or of a name that `loose` looks for."""
        name, stems, _ = loose(name)
        if self._listed(name) is not None:
            return True
        if self._stems is None:
            self._stems = self._walked()
        return any(_composed(stem) in self._stems for stem in stems)

    def find_stem(self, row):
        """(path, stem): the file or folder of frames of a row, and which of its stems it has.

        Both are None if there is none; empty files do not count. Of several files of one name the
        one comes first whose folders are the listed ones, then the one in the class's folder, then
        the one in the split's; one that cannot be opened gives way. Kinetics' replacements come
        before all.
        """
        if row.listed or not row.stems:
            name, rate = split_rate(row.name)
            path = self._listed(name)
            if path is not None and rate is not None:
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
        """The best of several files of one name; None if nothing tells which one is meant."""
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
    """Yields all videos below a folder: files by their suffix, and folders of numbered pictures.

    Hidden files are skipped, and empty ones unless `empty`. Links to folders are followed, except
    back to a folder above them. A subfolder without permission is logged and skipped.

    Yields:
        Paths relative to the folder, as strings, sorted within every folder.
    """
    pending: list = [(os.fspath(folder), "", ())]
    while pending:
        place, prefix, above = pending.pop()
        try:
            state = os.stat(place)
            identity = (state.st_dev, state.st_ino)
            if identity in above:
                continue
            with os.scandir(place) as entries:
                inside = sorted(entries, key=lambda entry: entry.name)
        except PermissionError as error:
            if not above:
                raise
            warn_about(place, "%s: skipped: cannot be read (%s)", place, error.strerror)
            continue
        for entry in inside:
            if entry.name.startswith("."):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                if is_frame_folder(entry.path):
                    yield name
                else:
                    pending.append((entry.path, f"{name}/", (*above, identity)))
            elif is_video_name(name) and (entry.is_file() if empty else _is_full(entry)):
                yield name


def _is_full(entry):
    return entry.is_file() and entry.stat().st_size > 0


def _opens(path):
    try:
        with open_source(path, threads=1):
            return True
    except VideoError:
        return False


def _names_in(folder):
    """The names of the files that are not empty, and of the folders with a slash at the end."""
    try:
        with os.scandir(folder) as entries:
            return [
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in entries
                if entry.is_dir() or _is_full(entry)
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError as error:
        warn_about(folder, "%s: skipped: cannot be read (%s)", folder, error.strerror)
        return []


def _composed(name):
    # macOS stores an umlaut as two characters where a table has one.
    return unicodedata.normalize("NFC", name.removesuffix("/"))


CUT = re.compile(r"(?s).*_(\d{6})_(\d{6})")  # the name of a cut file, without suffix
# Tools that cut at keyframes leave a few seconds more than was asked for.
FACTOR, MORE = 1.5, 1.0
THREADS = 8  # headers that are read at once: on a network's disk each takes a while


def cut(files, where):
    """Finds the spans of the files that rows with times are parts of.

    A file named by its id and times is cut already; one named by its id alone may be the whole
    upload, which its length tells.

    Args:
        files: (row, path, stem) of each row, as `VideoFinder.find_stem` gives them.
        where: What the log names.

    Returns:
        A list of (row, path, span): the path is None also if an id alone names one of several
        parts; the span is None for the whole file.
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
            "%s: %d videos are named by their id alone and much longer than their times say; they "
            "are cut to those times",
            where,
            shortened,
        )
    return cuts


def _span(row, path):
    """The span of a row, or None if its file's name says that it was cut to it."""
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
    """Whether a file is too long to be the span alone."""
    if length is None:
        return False
    if span.end is None:
        return length > span.start
    wanted = span.end - span.start
    return length > FACTOR * wanted + MORE


def _length(path):
    """Seconds of a file by its header, or None."""
    try:
        with open_source(path, threads=1) as source:
            return source.duration
    except VideoError:  # whoever reads the video says so
        return None
