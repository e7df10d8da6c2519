"""Lists without a header: "path label", "path,number", "folder frames number", or paths alone.

These are the lists of MMAction2, SlowFast, TSN, Jester and others. Numbers refer to a label file
beside the list; without a label, the class of a video is the name of its folder.
"""

import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import at_line, read_lines
from kinetics_i3d.data.layouts import hmdb51, ucf101
from kinetics_i3d.data.layouts.labels import (
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
    split_by_name,
)
from kinetics_i3d.data.layouts.tables import is_table, labels_file
from kinetics_i3d.video.source import is_video_name

LOOKS_LIKE = (
    "lists without a header, each line with the path of a video and its label or number, a folder "
    "of frames with their count and its number, or the path of a video in the folder of its class"
)

COUNTED = re.compile(r"(\S.*?)[\s,;]+(\d+)[\s,;]+(\d+)")
OTHERS = (*LABEL_FILES, "requirements.txt", "readme.txt")


def find(location):
    """The lists in a `Location`, recognized by a first line that begins with the path of a video.

    A path without a suffix, such as an id or a folder of frames, has to exist.
    """
    return tuple(
        file for file in location.files if location.head(file) and _is_list(location, file)
    )


def _is_list(location, file):
    if (
        hmdb51.FILES.fullmatch(file.name)
        or ucf101.LISTS.fullmatch(file.name)
        or is_table(location, file)
        or file.suffix.lower() == ".json"
    ):
        return False
    lines = location.head(file)
    if _sure(lines[0]):
        return True
    if file.name in OTHERS or SIMILAR.fullmatch(file.name) or file.name.endswith(".labels.txt"):
        return False
    # If only the second path has a suffix, the first line is a header with other columns.
    named = [None if _sure(line) else _unsure(line) for line in lines]
    return None not in named and any(location.has(name) for name, _ in named)


def read(files, *, root, split, labels):
    """A `Listing` of all lists; the split follows from the name of each list, or is `"all"`.

    `labels` are class names by number, from 0; by default those of the label file beside the list.
    Paths are relative to the folder of the list; every file is its own `source`.
    """
    del split
    rows: list = []
    for file in files:
        lines = read_lines(file)
        sure = bool(lines) and _sure(lines[0][1]) is not None
        for line, text in lines:
            rows.append((file, line, *_split_line(text, at_line(file, line), sure)))
        counted = [line for line, text in lines if _has_count(text)]
        if 0 < len(counted) < len(lines):
            raise DatasetError(
                f"{at_line(file, counted[0])}: has two numbers, but other lines have one; the "
                "first may be a count of frames or another label. For several labels use a table "
                "with the column labels"
            )
    if all(label is None for *_, label in rows):
        spelling = kinetics_spelling(_class_folder(name) for _, _, name, _ in rows)
        rows = [(*row[:3], spelling[_class_folder(row[2])]) for row in rows]
    for file, line, name, label in rows:
        if label is None:
            raise DatasetError(
                f"{at_line(file, line)}: must be a video's path and its label, but is {name!r}"
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
                f"class per line, in order, or another label file ({', '.join(LABEL_FILES[1:])})"
            )
        rows = [
            (file, line, name, _named(int(label), named, at_line(file, line)))
            for file, line, name, label in rows
        ]
    order = tuple(named[number] for number in sorted(named))
    parts = {file: split_by_name(file.stem) for file in files}
    made = []
    for file, line, listed, label in rows:
        name, stems, also = loose(listed)
        made.append(Row(name, label, parts[file], name, file, line, stems, also))
    path = files[0] if len(files) == 1 else root
    return Listing(path, folder_name(root), files[0].parent, tuple(made), order)


def _class_folder(name):
    return re.split(r"[/\\]", name)[-2]


def _has_count(line):
    """Whether a line has the path of a video file and two numbers."""
    counted = COUNTED.fullmatch(line)
    return counted is not None and is_video_name(counted[1])


def _sure(line):
    """(path, label or None) of a line whose path has the suffix of a video, otherwise None."""
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
    """(path, label or None) of a line whose path has no suffix, otherwise None."""
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
        raise DatasetError(f"{where}: must be a video's path and its label, but is {line!r}")
    return parts


def _named(number, named, where):
    if number not in named:
        raise DatasetError(
            f"{where}: label {number} must be one of {min(named)} to {max(named)}, as "
            f"{len(named)} labels are listed"
        )
    return named[number]
