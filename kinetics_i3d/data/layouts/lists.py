"""Lists without a header: "path label", or "path,number" with a file of labels.

The lists of MMAction2 and SlowFast have this form; their numbers count from 0.
"""

import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.text import read_lines
from kinetics_i3d.data.layouts import hmdb51, ucf101
from kinetics_i3d.data.layouts.files import is_video
from kinetics_i3d.data.layouts.listing import UNDIVIDED, Listing, Row, folder_name, place_of
from kinetics_i3d.data.layouts.numbered import LABEL_FILES, label_ids_for
from kinetics_i3d.data.layouts.tables import labels_file
from kinetics_i3d.data.layouts.text import cells_of

LOOKS_LIKE = "lists without a header whose lines are a video's path and its label, or its number"
PART = re.compile(r"(?<![a-z])(?:train|val|test)")


def find(place):
    """The lists in a `Place`, known by a first line that begins with a video's path."""
    return tuple(
        file
        for file in place.files
        if place.head(file)
        and _parts(place.head(file)[0])
        and not hmdb51.FILES.fullmatch(file.name)
        and not ucf101.LISTS.fullmatch(file.name)
    )


def read(files, *, root, split, labels):
    """Reads all lists; the name of each tells its split, `"all"` where it tells none.

    Args:
        files: What `find` found.
        root: The folder that was asked for.
        split: Not used, there is one.
        labels: Class names by number, from 0; by default those of the label file beside the list:
            `<list>.labels.txt`, or one of `LABEL_FILES`, in any form that `read_labels` reads.

    Returns:
        A `Listing`. Paths are relative to the list's folder; every file is its own `source`.

    Raises:
        DatasetError: If a line has no label, or labels are numbers that nothing names.
    """
    del split
    found = [(file, line, text) for file in files for line, text in read_lines(file)]
    rows = [(file, line, *_parted(text, place_of(file, line))) for file, line, text in found]
    numbered = all(label.isdecimal() for *_, label in rows)
    if labels:
        named = dict(enumerate(labels))
    else:
        numbers = {int(label) for *_, label in rows} if numbered else ()
        named = label_ids_for(files, own=labels_file(files[0]), numbers=numbers)
    if numbered:
        if not named:
            raise DatasetError(
                f"{files[0]}: its labels are numbers; needs {LABEL_FILES[0]} beside it, with one "
                f"class a line in their order, or another label file ({', '.join(LABEL_FILES[1:])})"
            )
        rows = [
            (file, line, name, _named(int(label), named, place_of(file, line)))
            for file, line, name, label in rows
        ]
    order = tuple(named[number] for number in sorted(named))
    parts = {file: part_by_name(file.stem) for file in files}
    made = tuple(
        Row(name, label, parts[file], name, file, line) for file, line, name, label in rows
    )
    path = files[0] if len(files) == 1 else root
    return Listing(path, folder_name(root), files[0].parent, made, order)


def part_by_name(stem):
    """The split that a file's name tells.

    Example:

    >>> part_by_name("kinetics400_val_list"), part_by_name("videos")
    ('val', 'all')
    """
    found = set(PART.findall(stem.casefold()))
    return found.pop() if len(found) == 1 else UNDIVIDED


def _parts(line):
    """(path, label) of a line, or None: its path ends as videos do, its label is what follows."""
    cells = [cell.strip() for cell in cells_of(line)]
    if len(cells) == 2 and is_video(cells[0]) and cells[1]:
        return cells[0], cells[1]
    spaced = line.rsplit(maxsplit=1)
    if len(spaced) == 2 and is_video(spaced[0]):
        return spaced[0], spaced[1]
    return None


def _parted(line, where):
    parts = _parts(line)
    if parts is None:
        raise DatasetError(f"{where}: must be a video's path and its label, is {line!r}")
    return parts


def _named(number, named, where):
    if number not in named:
        raise DatasetError(
            f"{where}: label {number} must be one of {min(named)} to {max(named)}, as {len(named)} "
            "labels are known"
        )
    return named[number]
