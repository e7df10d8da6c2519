"""HMDB-51: a file of 1 (train), 2 (test) and 0 (unused) for each class and each of 3 splits.

Kuehne et al., "HMDB: A Large Video Database for Human Motion Recognition", ICCV 2011.
"""

import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import at_line, read_lines
from kinetics_i3d.data.layouts.listing import Listing, Row, folder_name

LOOKS_LIKE = "files <class>_test_split1.txt"
FILES = re.compile(r"(.+)_test_split(\d)\.txt")
PARTS = {"0": None, "1": "train", "2": "test"}
# Visible body parts, camera motion, number of people, view, quality, number of the clip.
MANNER = r"[a-z]+_[a-z]+_np\d+_[a-z]+_[a-z]+_\d+"


def find(location):
    """The files of splits in a `Location`."""
    return tuple(file for file in location.files if FILES.fullmatch(file.name))


def read(files, *, root, split, labels):
    """A `Listing` of one split; `source` is the film."""
    del labels
    named = {FILES.fullmatch(file.name).groups(): file for file in files}
    classes = sorted({label for label, _ in named})
    rows: list = []
    for label in classes:
        file = named.get((label, str(split)))
        if file is None:
            numbers = sorted(int(number) for other, number in named if other == label)
            raise DatasetError(
                f"{files[0].parent}: has no {label}_test_split{split}.txt; splits of {label} are "
                f"{numbers}"
            )
        for line, text in read_lines(file):
            row = _row(text, label, file, line)
            if row is not None:
                rows.append(row)
    return Listing(files[0].parent, folder_name(root), root, tuple(rows), tuple(classes))


def source_film(stem, label):
    """The film of a clip named `<film>_<label>_<manner>`; for other files their full name.

    The name of the film may contain the label.

    Example:

    >>> source_film("rope_climb_at_4_climb_f_cm_np1_ba_med_1", "climb")
    'rope_climb_at_4'
    """
    named = re.fullmatch(rf"(.+)_{re.escape(label)}_{MANNER}", stem)
    return named[1] if named else stem


def _row(text, label, file, line):
    name, code = text.rsplit(maxsplit=1) if len(text.split()) > 1 else (text, "")
    if code not in PARTS:
        raise DatasetError(
            f"{at_line(file, line)}: must be a video and 1 (train), 2 (test) or 0 (unused), but is "
            f"{text!r}"
        )
    part = PARTS[code]
    if part is None:
        return None
    stem = name.rpartition(".")[0] or name
    return Row(f"{label}/{name}", label, part, source_film(stem, label), file, line, (stem,))
