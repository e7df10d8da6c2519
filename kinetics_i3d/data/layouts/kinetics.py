"""Kinetics-400, -600 and -700: csv tables of parts of YouTube videos.

Kay et al., "The Kinetics Human Action Video Dataset", https://arxiv.org/abs/1705.06950.
"""

import collections

from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import at_line
from kinetics_i3d.data.layouts.listing import (
    Listing,
    Row,
    cells_of,
    columns_of,
    folder_name,
    read_csv,
    split_name,
)

LOOKS_LIKE = "csv tables with the columns label, youtube_id, time_start, time_end, split"
UNLABELED = ("youtube_id", "time_start", "time_end", "split")
COLUMNS = ("label", *UNLABELED)


def find(location):
    """The tables in a `Location`, including that of a test set without labels."""
    return tuple(
        file
        for file in location.files
        if location.head(file)
        and set(UNLABELED[:3]) <= set(columns_of(cells_of(location.head(file)[0])))
    )


def read(files, *, root, split, labels):
    """A `Listing` of released tables; videos are `<id>_<start>_<end>` with six digits, or `<id>`.

    Tables without labels are logged and skipped. A video named by its id alone may be the entire
    upload, from which rows are cut; if it is no longer than a row, it is used only if the id occurs
    in a single row.
    """
    del split, labels
    lines = []
    for file in files:
        columns, rows = read_csv(file)
        if "label" not in columns:
            logging.warning("%s: has no labels; its %d videos are left out", file, len(rows))
        elif not set(COLUMNS) <= set(columns):
            raise DatasetError(f"{file}: needs the columns {COLUMNS}, but has {tuple(columns)}")
        else:
            lines += [(file, line, row) for line, row in rows]
    if not lines:
        names = ", ".join(map(str, files))
        raise DatasetError(
            f"{names}: must have videos with labels; a test set that was released without them can "
            "be used neither for training nor for evaluation"
        )
    times = collections.Counter(row["youtube_id"].strip() for _, _, row in lines)
    rows = tuple(_row(*line, times) for line in lines)
    name = folder_name(root) if len(files) > 1 else files[0].stem
    return Listing(files[0] if len(files) == 1 else root, name, root, rows)


def _row(file, line, row, times):
    label, video, start, end, split = (row[column].strip() for column in COLUMNS)
    where = at_line(file, line)
    if video.startswith("#NAME"):
        raise DatasetError(
            f"{where}: the id is {video!r}: a spreadsheet program read an id that begins with - "
            "as a formula; use the original list"
        )
    if not (label and video and split):
        raise DatasetError(f"{where}: one of {COLUMNS} is empty")
    start, end = _seconds(start, where), _seconds(end, where)
    if end <= start:
        raise DatasetError(
            f"{where}: time_end must be after time_start. Received: {start} and {end}"
        )
    return piece(
        video,
        start,
        end,
        label=label,
        split=split_name(split),
        file=file,
        line=line,
        shared=times[video] > 1,
    )


def piece(video, start, end, *, label, split, file, line, shared):
    """The `Row` of a part of a video, whose file is named by the id, with or without the times."""
    stem = f"{video}_{int(start):06d}_{int(end):06d}"
    return Row(
        f"{stem}.mp4",
        label,
        split,
        video,
        file,
        line,
        (stem, video),
        start=start,
        end=end,
        whole=(video,),
        shared=(video,) if shared else (),
    )


def _seconds(text, where):
    # Some programs write 12 as 12.0.
    digits, _, fraction = text.partition(".")
    if not (digits.isdecimal() and not fraction.strip("0")):
        raise DatasetError(f"{where}: times must be whole seconds. Received: {text!r}")
    return int(digits)
