"""UCF-101: `classInd.txt`, and for each of 3 splits a list of training and one of test videos.

Soomro et al., "UCF101", https://arxiv.org/abs/1212.0402.
"""

import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import at_line, read_lines
from kinetics_i3d.core.label_files import read_label_ids
from kinetics_i3d.data.layouts.labels import hint
from kinetics_i3d.data.layouts.listing import Listing, Row, folder_name

LOOKS_LIKE = "classInd.txt with trainlist01.txt and testlist01.txt"
INDEX = "classInd.txt"
LISTS = re.compile(r"(?:train|test)list0(\d)\.txt")
NUMBERED = re.compile(r"(.*\S)\s+(\d+)")
VIDEO = re.compile(r"v_(\w+)_(g\d+)_c\d+")


def find(location):
    """The index and the lists in a `Location`; none if either is missing."""
    lists = tuple(file for file in location.files if LISTS.fullmatch(file.name))
    index = tuple(file for file in location.files if file.name == INDEX)
    return index + lists if index and lists else ()


def read(files, *, root, split, labels):
    """A `Listing` of one split; `source` is the group, g01 to g25, whose clips look alike."""
    del labels
    index, *lists = files
    numbers_by_label = {label: number for number, label in sorted(read_label_ids(index).items())}
    rows: list = []
    for part in ("train", "test"):
        name = f"{part}list0{split}.txt"
        file = index.parent / name
        if file not in lists:
            numbers = sorted({int(LISTS.fullmatch(listed.name)[1]) for listed in lists})
            raise DatasetError(f"{index.parent}: has no {name}; its splits are {numbers}")
        rows += [_row(text, part, numbers_by_label, file, line) for line, text in read_lines(file)]
    return Listing(index.parent, folder_name(root), root, tuple(rows), tuple(numbers_by_label))


def _row(text, part, numbers_by_label, file, line):
    where = at_line(file, line)
    numbered = NUMBERED.fullmatch(text)
    name, number = (numbered[1], int(numbered[2])) if numbered else (text, None)
    folder, _, base = name.rpartition("/")
    stem = base.rpartition(".")[0] or base
    video = VIDEO.fullmatch(stem)
    if not video:
        raise DatasetError(
            f"{where}: must name a video v_<class>_g<group>_c<clip>, but is {text!r}"
        )
    # If they differ, the folder is correct: HandstandPushups/v_HandStandPushups_g01_c01.avi.
    label = folder.rpartition("/")[2] or video[1]
    if label not in numbers_by_label:
        raise DatasetError(f"{where}: unknown label {label!r}{hint(label, numbers_by_label)}")
    if number not in (None, numbers_by_label[label]):
        raise DatasetError(
            f"{where}: {label} is class {numbers_by_label[label]} in {INDEX}, but {number} here"
        )
    return Row(name, label, part, video[2], file, line, (stem,))
