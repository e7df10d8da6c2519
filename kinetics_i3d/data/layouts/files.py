"""`VideoFinder`: which of the listed videos are there, with one look into every folder.

A question to the disk for each of 240,000 rows takes minutes where the disk is a network's.
"""

import collections
import os
import pathlib
import unicodedata

from kinetics_i3d.data.layouts.label_order import bare

# fmt: off
SUFFIXES = frozenset([
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv",
])
# fmt: on


class VideoFinder:
    """Finds the files of rows below a folder.

    Args:
        folder: Where the videos are.

    Example:

    >>> from kinetics_i3d.data.layouts.listing import Row
    >>> row = Row("sit/video.avi", "sit", "train", "", None, 0, stems=("video",))
    >>> VideoFinder(folder).find(row).name
    'video.mp4'
    """

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self._names: dict = {}
        self._stems = None

    def find(self, row):
        """The file of a row.

        Of several files of one name that in the class's folder is taken, then that in the split's.

        Args:
            row: A `Row`.

        Returns:
            A `pathlib.Path`, or `None` if there is no such file.
        """
        return self.find_stem(row)[0]

    def find_stem(self, row):
        """As `find`, with the one of the row's stems that was found, or `None`."""
        if not row.stems:
            return self._listed(row.name), None
        if self._stems is None:
            self._stems = self._walked()
        for stem in row.stems:
            found = self._stems.get(_composed(stem))
            if found:
                name = found[0] if len(found) == 1 else _best(found, row)
                return self.folder / name, stem
        return None, None

    def _listed(self, name):
        parent, base = os.path.split(os.path.join(self.folder, name))
        if parent not in self._names:
            self._names[parent] = {_composed(each): each for each in _files_in(parent)}
        base = self._names[parent].get(_composed(base))
        return None if base is None else pathlib.Path(parent, base)

    def _walked(self):
        stems = collections.defaultdict(list)
        for name in walk_videos(self.folder):
            stems[_composed(os.path.splitext(os.path.basename(name))[0])].append(name)
        return stems


def walk_videos(folder):
    """All files below a folder that are videos by their suffix, but for hidden ones.

    Links to folders are followed, unless they lead back to where they come from.

    Args:
        folder: Where to begin.

    Yields:
        Paths relative to it, as strings, sorted within every folder.
    """
    pending: list = [(os.fspath(folder), "", ())]
    while pending:
        place, prefix, above = pending.pop()
        state = os.stat(place)
        here = (state.st_dev, state.st_ino)
        if here in above:
            continue
        with os.scandir(place) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        for entry in inside:
            if entry.name.startswith("."):
                continue
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                pending.append((entry.path, f"{name}/", (*above, here)))
            elif is_video(name) and entry.is_file():
                yield name


def is_video(name):
    """Whether a file is a video by its suffix."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _files_in(folder):
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _composed(name):
    # macOS stores an umlaut as two characters where a table has one.
    return unicodedata.normalize("NFC", name)


def _best(names, row):
    label = bare(row.label)

    def rank(name):
        folders = [bare(part) for part in name.split("/")[:-1]]
        return (label not in folders, bare(row.split) not in folders, name)

    return min(names, key=rank)
