"""`read_labels`: class names in the order of a model's outputs, from any common label file.

The formats are lines ("abseiling", "0 abseiling", "abseiling,0"), tables with a header (Kinetics'
`id,name`), JSON lists and maps (SlowFast, Something-Something, Hugging Face), the `names:` of YAML
files (YOLO), and `item { ... }` maps (AVA). Ambiguous files are refused.
"""

import contextlib
import csv
import io
import itertools
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import LINE_END, at_line, atomic_path, read_text
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

# Single words in the first line that are a header, not a class.
_LONE_HEADERS = NAME_COLUMNS - {"action", "category", "title", "tag"}

JSON = re.compile(r"\s*(?:\{|\[\s*[\"'{\[\]\d])")
# "0 abseiling", "0,abseiling", "0: abseiling", "1. abseiling", "c000 Holding some clothes".
_NUMBER_FIRST = re.compile(r"([A-Za-z]?)(\d+)(?:[.)]\s*|\s*[,;:|=]\s*|\s+)(\S.*)")
_NUMBER_LAST = re.compile(r"(.*[^\s,;:|=])(\s*[,;:|=]\s*|\s+)(\d+)")
_YAML_QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"\\]|\\.)*")(?:\s+#.*)?$""")
# The member of a YAML file, such as YOLO's data sets, that holds the labels.
_YAML = re.compile(r"(?:names|class_names|classes|labels|id2label)\s*:\s*([\[{].*)?")


def read_labels(path):
    r"""Reads the class names of a label file.

    Args:
        path: The file: one label per line, optionally preceded or followed by its id; a table with
            a header; a JSON list, or a JSON map in either direction; a YAML file with `names:`; or
            `item { id: name: }` entries. Ids begin at 0 or 1, without gaps, in any order.

    Returns:
        A tuple of class names in the order of their ids, or of the file if there are no ids.

    Raises:
        DatasetError: If the file is not text or has no labels, if a label or an id is repeated or
            missing, or if the file is ambiguous. The message names the line.

    Example:

    >>> _ = (folder / "labels.csv").write_text("id,name\n0,abseiling\n1,air drumming\n")
    >>> read_labels(folder / "labels.csv")
    ('abseiling', 'air drumming')
    """
    named = read_label_ids(path)
    return tuple(named[number] for number in sorted(named))


def read_label_ids(path):
    """As `read_labels`, returns {id: class name}; ids begin at 0 if the file has none."""
    return _parse(path, read_text(path))


def _parse(path, text):
    if not text.strip():
        raise DatasetError(f"{path}: must have one label per line, but is empty")
    if JSON.match(text):
        rows = json_rows(path, text)
    elif re.match(r"\s*item\s*\{", text):
        rows = item_rows(path, text)
    else:
        rows = _of_lines(path, text)
    return _checked(path, rows)


def write_labels(path, labels):
    """Writes class names so that `read_labels` returns them, one per line if possible."""
    labels = tuple(labels)
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows([("id", "name"), *enumerate(labels)])
    for text in ("".join(f"{label}\n" for label in labels), table.getvalue()):
        with contextlib.suppress(DatasetError):
            if _parse(path, text) == dict(enumerate(labels)):
                break
    else:
        spaced = [label for label in labels if label != label.strip()]
        reason = f"; {spaced[0]!r} begins or ends with a space" if spaced else ""
        raise DatasetError(f"{path}: cannot be a label file of {labels!r}{reason}")
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _checked(path, rows):
    """{id: label} of (line, id or None, label); `DatasetError` for duplicates and gaps."""
    lines: dict = {}
    named: dict = {}
    for index, (line, number, label) in enumerate(rows):
        where = at_line(path, line)
        number = index if number is None else number
        if not label:
            raise DatasetError(f"{where}: a label is empty")
        try:
            check_class_names((label,))
        except ValueError as error:
            raise DatasetError(f"{where}: {error}") from error
        if label in lines:
            raise DatasetError(f"{where}: {label!r} is already in line {lines[label]}")
        if number in named:
            raise DatasetError(
                f"{where}: id {number} of {label!r} is already used by {named[number]!r}"
            )
        lines[label], named[number] = line, label
    first = 0 if 0 in named else 1
    allowed = range(first, first + len(named))
    for line, number, label in rows:
        if number is not None and number not in allowed:
            raise DatasetError(
                f"{at_line(path, line)}: ids must be {allowed.start} to {allowed.stop - 1} without "
                f"gaps, as {len(named)} labels are listed. Received: id {number} of {label!r}; "
                f"{ADVICE}"
            )
    return named


# Lines


def _of_lines(path, text):
    raw = list(enumerate(LINE_END.split(text), 1))
    lines = [(number, line.strip()) for number, line in _yaml_member(path, raw) or raw]
    while lines and not lines[-1][1]:
        lines.pop()
    while lines and (not lines[0][1] or lines[0][1].startswith("# ")):
        lines.pop(0)
    if not lines:
        raise DatasetError(f"{path}: must have one label per line, but is empty")
    table = _of_table(path, lines)
    if table is not None:
        return table
    _, first = lines[0]
    headed = plain(first.rstrip(":")) in _LONE_HEADERS or _is_header(first, lines[1:])
    body = lines[1:] if headed else lines
    filled = [(number, line) for number, line in body if line]
    if not filled:
        raise DatasetError(
            f"{path}: must have one label per line, but has only the header {first!r}"
        )
    if all(line.startswith("- ") for _, line in filled):  # YAML
        filled = [(number, _without_comment(line[2:].strip())) for number, line in filled]
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


def _is_header(first, rest):
    """Whether the first line has column names with spaces between them, not "no action" as a class.

    All other lines must then have an id.
    """
    words = first.split()
    if label_columns(words) is None or _has_id(first):
        return False
    letters = words[0].casefold() != "no"  # "no action" may be a class before "A1 drink water"
    return all(_has_id(line, letters=letters) for _, line in rest if line)


def _has_id(line, *, letters=True):
    """Whether a line begins or ends with an id, which may begin with a letter."""
    first = _NUMBER_FIRST.fullmatch(line)
    return bool((first and (letters or not first[1])) or _NUMBER_LAST.fullmatch(line))


def _without_comment(item):
    """An item of a YAML list without the comment after it; a quoted one may contain its mark."""
    quoted = _YAML_QUOTED.match(item)
    return quoted[1] if quoted else item.partition(" #")[0].rstrip()


def _yaml_member(path, lines):
    """The lines of the labels in a YAML file with other members, or None for other files."""
    keys = [index for index, (_, line) in enumerate(lines) if re.match(r"\w+\s*:(\s|$)", line)]
    named = [index for index in keys if _YAML.fullmatch(lines[index][1].rstrip())]
    if len(named) != 1 or (len(keys) == 1 and not lines[named[0]][1].rstrip().endswith(("]", "}"))):
        return None
    number, line = lines[named[0]]
    inside = _YAML.fullmatch(line.rstrip())[1]
    if inside is None:
        block = itertools.takewhile(
            lambda row: row[1][:1] in (" ", "\t", "-", ""), lines[named[0] + 1 :]
        )
        return [row for row in block if row[1].strip()]
    if inside[-1] not in "]}":
        raise DatasetError(
            f"{path}, line {number}: the list of labels must end on the same line; {ADVICE}"
        )
    mark = "'" if "'" in inside else '"'
    labels = next(csv.reader([inside[1:-1]], quotechar=mark, skipinitialspace=True))
    return [(number, label) for label in labels]


def _numbered(path, lines):
    """The rows of lines that all have ids, or None if they have no ids."""
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
                    f"{path}, line {number}: must have an id, as most lines do. Received: "
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
        # "n01440764 tench" and "walk 1", "walk 2" are labels, not ids with labels.
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
            f"{path}, line {number}: it is not clear which number in {line!r} is the id; {ADVICE}"
        )
    return best[0] if best else None


def _by(lines, pattern, parts):
    matches = (pattern.fullmatch(line) for _, line in lines)
    return [None if match is None else parts(match) for match in matches]


# Tables


def _of_table(path, lines):
    """The rows of a table whose first line is a header with known columns, or None."""
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
                f"{path}, line {number}: must have {len(fields)} cells like the header, but has "
                f"{len(row)}"
            )
        rows.append((number, [cell.strip() for cell in row]))
    if not rows:
        raise DatasetError(
            f"{path}: must have one label per line, but has only the header {header!r}"
        )
    ids, names = columns
    if not ids:  # for example class,label: one of the columns may contain the ids
        ids = [index for index in names if all(row[index].isdecimal() for _, row in rows)]
        names = [index for index in names if index not in ids] or names
    if not ids:
        raise DatasetError(f"{path}, line {first}: no column of {header!r} is the id; {ADVICE}")
    made = []
    for number, row in rows:
        if not row[ids[0]].isdecimal():
            raise DatasetError(
                f"{path}, line {number}: the id must be a whole number. Received: {row[ids[0]]!r}"
            )
        made.append((number, int(row[ids[0]]), row[names[0]]))
    return made
