"""Several labels per video in tables: cells with several labels, repeated rows, and Charades."""

import ast
import dataclasses
import re

from absl import logging

from kinetics_i3d.core.files import read_text

LABELS = "labels"  # replaces the column `label` if videos have several
CHARADES_ACTION = re.compile(r"(\S+) [\d.]+ [\d.]+")  # class, start and end
CHARADES_CLASS = re.compile(r"(c\d{3}) (.+)")  # a line of Charades_v1_classes.txt
CLASS_ID = re.compile(r"[A-Za-z]?\d+")


def with_classes(row, classes):
    """A `Row` with other classes."""
    labels = None if row.labels is None else tuple(classes)
    return dataclasses.replace(row, label=next(iter(classes), ""), labels=labels)


def warn_about_joined_labels(path, column, rows):
    """Logs a warning if labels of a column for one label look like several in one cell."""
    labels = {row.label for row in rows}
    for label in sorted(labels):
        parts = {part.strip() for part in re.split(r"[;|]", label)}
        if len(parts) > 1 and parts <= labels:
            logging.warning(
                "%s: %r is read as one label because the column is named %r; rename the column to "
                "%r if a video may have several",
                path,
                label,
                column,
                LABELS,
            )
            return


def cell_splitter(texts, labels):
    """Returns the function that splits cells into labels, at the separator used in `texts`."""
    whole = {cell.strip() for cell in texts} - {""}
    if are_lists(texts):
        return lambda cell: _listed(cell.strip()) or []
    parts = [part.strip() for cell in texts for part in cell.split(";") if part.strip()]
    if parts and all(CHARADES_ACTION.fullmatch(part) for part in parts):
        return lambda cell: [part.split()[0] for part in cell.split(";") if part.strip()]
    for mark in (";", "|"):
        if any(mark in cell for cell in texts):
            return lambda cell: [part.strip() for part in cell.split(mark) if part.strip()]
    # A comma may be part of a label, unless it separates known labels.
    pieces = {part.strip() for cell in whole for part in cell.split(",")} - {""}
    alone = set(labels) or {cell for cell in whole if "," not in cell}
    if pieces <= alone and not whole <= alone:
        return lambda cell: [part.strip() for part in cell.split(",") if part.strip()]
    words = {word for cell in texts for word in cell.split()}
    if all(CLASS_ID.fullmatch(word) for word in words) or (
        words <= set(labels) and not whole <= set(labels)
    ):
        return str.split
    return lambda cell: [cell.strip()] if cell.strip() else []


def are_lists(texts):
    """Whether each cell that is not empty contains a list of labels."""
    whole = {cell.strip() for cell in texts} - {""}
    return bool(whole) and all(_listed(cell) is not None for cell in whole)


def _listed(cell):
    """The labels of a cell that contains a list, as written by pandas or JSON; otherwise None."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    try:
        labels = ast.literal_eval(cell)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    is_list = isinstance(labels, list) and all(isinstance(label, str | int) for label in labels)
    return [str(label).strip() for label in labels] if is_list else None


def merge_rows(rows, *, listed):
    """Merges the rows of a video that have different labels.

    Videos of one label each are read as those of a column for one label, unless `listed`: a list of
    one label shows that a video may have several.
    """
    by_video: dict = {}
    for row in rows:
        key = (row.name, row.start, row.end, row.split, row.source)
        by_video.setdefault(key, []).append(row)
    merged = []
    for same in by_video.values():
        classes = [label for row in same for label in row.classes]
        if len(same) == 1 or len(set(classes)) < len(classes):
            merged += same  # repeated rows are reported later
        else:
            merged.append(dataclasses.replace(same[0], labels=tuple(classes)))
    if not listed and all(len(row.classes) == 1 for row in merged):
        return [dataclasses.replace(row, labels=None) for row in merged]
    return [dataclasses.replace(row, labels=row.classes) for row in merged]


def name_charades_classes(rows, folder):
    """(rows, labels) with the names of Charades' classes, if there is a file with them."""
    ids = {label for row in rows for label in row.classes}
    for file in sorted(folder.glob("*classes*.txt")):
        lines = [line for line in read_text(file).splitlines() if line.strip()]
        matches = [CHARADES_CLASS.fullmatch(line.strip()) for line in lines]
        named = {match[1]: match[2] for match in matches if match} if all(matches) else {}
        if ids and ids <= named.keys() and len(set(named.values())) == len(named):
            rows = [with_classes(row, [named[label] for label in row.classes]) for row in rows]
            return rows, tuple(named.values())
    return rows, ()
