"""`read_labels`: class names in the order of a model's outputs, from any common label file.

Lines ("abseiling", "0 abseiling", "abseiling,0"), tables with a header (Kinetics' `id,name`), JSON
lists and maps (SlowFast, Something-Something, Hugging Face) and `item { ... }` maps (AVA). Files
that can be read in more than one way are refused.
"""

import contextlib
import csv
import io
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import LINE_END, atomic_path, read_text
from kinetics_i3d.core.label_maps import (
    ADVICE,
    NAME_COLUMNS,
    item_rows,
    json_rows,
    label_columns,
    plain,
    unquoted,
)
from kinetics_i3d.core.labels import check_class_names

# A first line of one word that is a header, and no class.
_LONE_HEADERS = NAME_COLUMNS - {"action", "category", "title", "tag"}

JSON = re.compile(r"\s*(?:\{|\[\s*[\"'{\[\]\d])")
# "0 abseiling", "0,abseiling", "0: abseiling", "1. abseiling", "c000 Holding some clothes".
_NUMBER_FIRST = re.compile(r"([A-Za-z]?)(\d+)(?:[.)]\s*|\s*[,;:]\s*|\s+)(\S.*)")
_NUMBER_LAST = re.compile(r"(.*[^\s,;:])(\s*[,;:]\s*|\s+)(\d+)")


def read_labels(path):
    r"""Reads the class names of a label file.

    Args:
        path: The file. One label a line, with or without its id before or after it; a table with a
            header; a JSON list, or a JSON map in either direction; or `item { id: name: }` entries.
            Ids count from 0 or from 1, without gaps, in any order.

    Returns:
        A tuple of class names in the order of their ids, or else of the file.

    Raises:
        DatasetError: If the file is not text or has no labels, if a label or an id is repeated or
            missing, or if the file can be read in more than one way. The message names the line.

    Example:

    >>> _ = (folder / "labels.csv").write_text("id,name\n0,abseiling\n1,air drumming\n")
    >>> read_labels(folder / "labels.csv")
    ('abseiling', 'air drumming')
    """
    named = read_label_ids(path)
    return tuple(named[number] for number in sorted(named))


def read_label_ids(path):
    """As `read_labels`, by ids: {id: class name}; without ids in the file they count from 0."""
    return _parse(path, read_text(path))


def _parse(path, text):
    if not text.strip():
        raise DatasetError(f"{path}: must have one label a line, is empty")
    if JSON.match(text):
        rows = json_rows(path, text)
    elif re.match(r"\s*item\s*\{", text):
        rows = item_rows(path, text)
    else:
        rows = _of_lines(path, text)
    return _checked(path, rows)


def write_labels(path, labels):
    """Writes class names so that `read_labels` returns them, one a line if possible."""
    labels = tuple(labels)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("id", "name"), *enumerate(labels)])
    for text in ("".join(f"{label}\n" for label in labels), table.getvalue()):
        with contextlib.suppress(DatasetError):
            if _parse(path, text) == dict(enumerate(labels)):
                break
    else:
        raise DatasetError(f"{path}: cannot be a label file of {labels!r}")
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _checked(path, rows):
    """{id: label} of (line, id or None, label); refuses repetitions and gaps."""
    lines: dict = {}
    named: dict = {}
    for place, (line, number, label) in enumerate(rows):
        where = _where(path, line)
        number = place if number is None else number
        if not label:
            raise DatasetError(f"{where}: a label is empty")
        try:
            check_class_names((label,))
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from error
        if label in lines:
            raise DatasetError(f"{where}: {label!r} stands in line {lines[label]} already")
        if number in named:
            raise DatasetError(
                f"{where}: id {number} of {label!r} is that of {named[number]!r} already"
            )
        lines[label], named[number] = line, label
    first = 0 if 0 in named else 1
    allowed = range(first, first + len(named))
    for line, number, label in rows:
        if number is not None and number not in allowed:
            raise DatasetError(
                f"{_where(path, line)}: ids must be {allowed.start} to {allowed.stop - 1} without "
                f"gaps, as {len(named)} labels are listed. Received: id {number} of {label!r}; "
                f"{ADVICE}"
            )
    return named


def _where(path, line):
    return f"{path}, line {line}" if line else str(path)


# Lines


def _of_lines(path, text):
    lines = [(number, line.strip()) for number, line in enumerate(LINE_END.split(text), 1)]
    while lines and not lines[-1][1]:
        lines.pop()
    while lines and (not lines[0][1] or lines[0][1].startswith("# ")):
        lines.pop(0)
    if not lines:
        raise DatasetError(f"{path}: must have one label a line, is empty")
    table = _of_table(path, lines)
    if table is not None:
        return table
    _, first = lines[0]
    headed = plain(first.rstrip(":")) in _LONE_HEADERS or label_columns(first.split()) is not None
    body = lines[1:] if headed else lines
    filled = [(number, line) for number, line in body if line]
    if not filled:
        raise DatasetError(f"{path}: must have one label a line, has only the header {first!r}")
    if all(line.startswith("- ") for _, line in filled):  # YAML
        filled = [(number, line[2:].strip()) for number, line in filled]
    numbered = _numbered(path, filled)
    if numbered is not None:
        return numbered
    for number, line in body:
        if not line:
            raise DatasetError(f"{path}, line {number}: a blank line among labels without ids")
    for mark in ("\t", ";", ","):
        fields = [line.split(mark) for _, line in filled]
        # "sit, down" is one label, "sit,down" may be two columns.
        if len(filled) > 1 and all(
            len(row) > 1 and row[1] and not row[1].startswith(" ") for row in fields
        ):
            raise DatasetError(
                f"{path}, line {filled[0][0]}: {filled[0][1]!r} may be one label or several "
                f"columns; {ADVICE}"
            )
    if all(line.endswith((",", ";")) for _, line in filled):
        filled = [(number, line.rstrip(",; ")) for number, line in filled]
    return [(number, None, unquoted(line)) for number, line in filled]


def _numbered(path, lines):
    """Rows of lines that each have an id, or None if they have none."""
    candidates = [
        _by(lines, _NUMBER_FIRST, lambda match: (match[1], match[2], match[3])),
        _by(lines, _NUMBER_LAST, lambda match: ("", match[3], match[1])),
    ]
    whole = [rows for rows in candidates if None not in rows]
    if not whole:
        for rows in candidates:
            if 2 * (len(rows) - rows.count(None)) > len(rows):
                number, line = lines[rows.index(None)]
                raise DatasetError(
                    f"{path}, line {number}: must have an id as most lines have. Received: "
                    f"{line!r}; {ADVICE}"
                )
        return None
    readings = []
    for rows in whole:
        letters = {letter for letter, _, _ in rows}
        ids = sorted(int(number) for _, number, _ in rows)
        counted = ids in (list(range(len(ids))), list(range(1, len(ids) + 1)))
        names = [unquoted(name) for _, _, name in rows]
        repeated = len(set(names)) < len(names)
        # "n01440764 tench" and "walk 1", "walk 2" are labels as they stand.
        if (letters != {""} and not counted) or (rows is candidates[1] and repeated):
            continue
        readings.append(
            (
                counted,
                [
                    (line, int(number), name)
                    for (line, _), (_, number, _), name in zip(lines, rows, names, strict=True)
                ],
            )
        )
    best = [rows for counted, rows in readings if counted] or [rows for _, rows in readings]
    if len(best) > 1 and best[0] != best[1]:
        number, line = lines[0]
        raise DatasetError(
            f"{path}, line {number}: either number of {line!r} may be the id; {ADVICE}"
        )
    return best[0] if best else None


def _by(lines, pattern, parts):
    matches = (pattern.fullmatch(line) for _, line in lines)
    return [None if match is None else parts(match) for match in matches]


# Tables


def _of_table(path, lines):
    """Rows of a table whose first line is a header with known columns, or None."""
    first, header = lines[0]
    for mark in (",", ";", "\t"):
        fields = next(csv.reader([header], delimiter=mark), [])
        columns = label_columns(fields)
        if columns is not None:
            break
    else:
        return None
    rows = []
    for number, line in lines[1:]:
        if not line:
            continue
        row = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        if len(row) > len(fields) == 2:  # a label with a comma and no quotes
            at_end = columns[1][-1] == 1
            parts = line.split(mark, 1) if at_end else line.rsplit(mark, 1)
            row = parts
        if len(row) < len(fields):
            row += [""] * (len(fields) - len(row))
        if len(row) > len(fields):
            raise DatasetError(
                f"{path}, line {number}: must have {len(fields)} cells as the header, has "
                f"{len(row)}"
            )
        rows.append((number, [cell.strip() for cell in row]))
    if not rows:
        raise DatasetError(f"{path}: must have one label a line, has only the header {header!r}")
    ids, names = columns
    if not ids:  # such as class,label: one of them may be the number
        ids = [place for place in names if all(row[place].isdecimal() for _, row in rows)]
        names = [place for place in names if place not in ids] or names
    if not ids:
        raise DatasetError(f"{path}, line {first}: of {header!r} no column is the id; {ADVICE}")
    made = []
    for number, row in rows:
        if not row[ids[0]].isdecimal():
            raise DatasetError(
                f"{path}, line {number}: the id must be a whole number. Received: {row[ids[0]]!r}"
            )
        made.append((number, int(row[ids[0]]), row[names[0]]))
    return made
