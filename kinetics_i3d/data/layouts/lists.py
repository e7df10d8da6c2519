"""Lists without a header: "path label", "path,number", "folder frames number", or paths alone.

The lists of MMAction2, SlowFast, TSN, Jester and many others. Numbers are those of a label file
beside the list; without a label the folder of a video is its class.
"""

import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import read_lines
from kinetics_i3d.data.layouts import hmdb51, ucf101
from kinetics_i3d.data.layouts.label_order import (
    LABEL_FILES,
    SIMILAR,
    kinetics_spelling,
    label_ids_for,
)
from kinetics_i3d.data.layouts.listing import (
    Listing,
    Row,
    cells_of,
    folder_name,
    loose,
    part_by_name,
    place_of,
)
from kinetics_i3d.data.layouts.tables import is_table, labels_file
from kinetics_i3d.video.source import is_video_name

LOOKS_LIKE = (
    "lists without a header whose lines are a video's path and its label or number, a folder of "
    "frames with their count and its number, or the path of a video in the folder of its class"
)

COUNTED = re.compile(r"(\S.*?)[\s,;]+(\d+)[\s,;]+(\d+)")
OTHERS = (*LABEL_FILES, "requirements.txt", "readme.txt")


def find(place):
    """The lists in a `Place`, recognised by a first line that begins with a video's path.

    A path without a suffix, such as an id or a folder of frames, must exist.
    """
    return tuple(file for file in place.files if place.head(file) and _is_list(place, file))


def _is_list(place, file):
    if (
        hmdb51.FILES.fullmatch(file.name)
        or ucf101.LISTS.fullmatch(file.name)
        or is_table(place, file)
        or file.suffix.lower() == ".json"
    ):
        return False
    lines = place.head(file)
    if _sure(lines[0]):
        return True
    if file.name in OTHERS or SIMILAR.fullmatch(file.name) or file.name.endswith(".labels.txt"):
        return False
    # A first line without a suffix above one with one is a header with other columns.
    named = [None if _sure(line) else _unsure(line) for line in lines]
    return None not in named and any(place.has(name) for name, _ in named)


def read(files, *, root, split, labels):
    """A `Listing` of all lists; the name of each tells its split, `"all"` if it tells none.

    `labels` are class names by number, from 0; by default those of the label file beside the list.
    Paths are relative to the list's folder; every file is its own `source`.
    """
    del split
    rows: list = []
    for file in files:
        lines = read_lines(file)
        sure = bool(lines) and _sure(lines[0][1]) is not None
        for line, text in lines:
            rows.append((file, line, *_split_line(text, place_of(file, line), sure)))
    if all(label is None for *_, label in rows):
        spelling = kinetics_spelling(_class_folder(name) for _, _, name, _ in rows)
        rows = [(*row[:3], spelling[_class_folder(row[2])]) for row in rows]
    for file, line, name, label in rows:
        if label is None:
            raise DatasetError(
                f"{place_of(file, line)}: must be a video's path and its label, is {name!r}"
            )
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
    made = []
    for file, line, listed, label in rows:
        name, stems, also = loose(listed)
        made.append(Row(name, label, parts[file], name, file, line, stems, also))
    path = files[0] if len(files) == 1 else root
    return Listing(path, folder_name(root), files[0].parent, tuple(made), order)


def _class_folder(name):
    return re.split(r"[/\\]", name)[-2]


def _sure(line):
    """(path, label or None) of a line whose path has the suffix of a video, else None."""
    fields = [cell.strip() for cell in cells_of(line)]
    if len(fields) == 2 and is_video_name(fields[0]) and fields[1]:
        return fields[0], fields[1]
    counted = COUNTED.fullmatch(line)
    if counted and is_video_name(counted[1]):
        return counted[1], counted[3]
    spaced = line.rsplit(maxsplit=1)
    if len(spaced) == 2 and is_video_name(spaced[0]):
        return spaced[0], spaced[1]
    if is_video_name(line) and re.search(r"[^/\\][/\\]", line):
        return line, None
    return None


def _unsure(line):
    """(path, label or None) of a line whose path has no suffix; None for another line."""
    counted = COUNTED.fullmatch(line)
    if counted:
        return counted[1], counted[3]
    fields = [cell.strip() for cell in cells_of(line)]
    if len(fields) == 2 and all(fields):
        return fields[0], fields[1]
    spaced = line.rsplit(maxsplit=1)
    if re.search(r"[^/\\][/\\]", spaced[-1]) and not spaced[-1].isdecimal():
        return line, None
    if len(fields) == 1 and len(spaced) == 2 and (spaced[1].isdecimal() or " " not in spaced[0]):
        return spaced[0], spaced[1]
    return None


def _split_line(line, where, sure):
    parts = _sure(line) or (None if sure else _unsure(line))
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
