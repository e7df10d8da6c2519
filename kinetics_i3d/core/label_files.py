"""`read_labels`: class names in the order of a model's outputs, from any common label file.

Lines ("abseiling", "0 abseiling", "abseiling,0"), tables with a header (Kinetics' `id,name`), JSON
lists and maps (SlowFast, Something-Something, Hugging Face) and `item { ... }` maps (AVA). What can
be read in more than one way is refused.
"""

import contextlib
import csv
import io
import json
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.text import LINE_END, read_text

# Column names of tables, in lower case and without "_", "-" and blanks.
ID_COLUMNS = frozenset(
    ["", "id", "index", "idx", "number", "no", "key", "#"]
    + [kind + word for kind in ("class", "label", "action") for word in ("id", "index", "idx")]
)
NAME_COLUMNS = frozenset(
    ["name", "names", "label", "labels", "class", "classes", "action", "category", "title", "tag"]
    + [kind + "name" for kind in ("class", "label", "action", "display", "category")]
)
# A first line of one word that is a header, and no class.
LONE_HEADERS = NAME_COLUMNS - {"action", "category", "title", "tag"}
# Members of a JSON object that hold the labels beside other settings.
MEMBERS = ("id2label", "label2id", "labels", "classes", "class_names", "names", "categories")
ADVICE = "a table with the header id,name leaves no doubt"

JSON = re.compile(r"\s*(?:\{|\[\s*[\"'{\[\]\d])")
ITEM = re.compile(r"\bitem\s*\{([^{}]*)\}")
ITEM_FIELD = re.compile(r"""\b(id|name|display_name|label)\s*:\s*(?:"([^"]*)"|'([^']*)'|(\d+))""")
# "0 abseiling", "0,abseiling", "0: abseiling", "1. abseiling", "c000 Holding some clothes".
NUMBER_FIRST = re.compile(r"([A-Za-z]?)(\d+)(?:[.)]\s*|\s*[,;:]\s*|\s+)(\S.*)")
NUMBER_LAST = re.compile(r"(.*[^\s,;:])(\s*[,;:]\s*|\s+)(\d+)")


def read_labels(path):
    r"""Reads the class names of a label file.

    Args:
        path: The file. One label a line, with or without its id before or behind it; a table with
            a header; a JSON list, or a JSON map either way round; or `item { id: name: }` entries.
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
    """Reads the class names of a label file by their ids.

    Args:
        path: As for `read_labels`.

    Returns:
        {id: class name}. Without ids in the file they count from 0.

    Raises:
        DatasetError: As `read_labels`.
    """
    return _parse(path, read_text(path))


def _parse(path, text):
    if not text.strip():
        raise DatasetError(f"{path}: must have one label a line, is empty")
    if JSON.match(text):
        rows = _of_json(path, text)
    elif re.match(r"\s*item\s*\{", text):
        rows = _of_items(path, text)
    else:
        rows = _of_lines(path, text)
    return _checked(path, rows)


def write_labels(path, labels):
    """Writes class names so that `read_labels` gives them back, one a line where that suffices.

    Args:
        path: The file; it appears whole or not at all.
        labels: Class names in order.

    Raises:
        DatasetError: If they cannot be read back, such as two that are equal.
    """
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
    """{id: label} of (line, id or None, label), held against repetition and gaps."""
    lines: dict = {}
    named: dict = {}
    for place, (line, number, label) in enumerate(rows):
        where = _where(path, line)
        number = place if number is None else number
        if not label:
            raise DatasetError(f"{where}: a label is empty")
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


def _unquoted(text):
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].replace(text[0] * 2, text[0]).strip()
    return text


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
    headed = _plain(first.rstrip(":")) in LONE_HEADERS or _columns(first.split()) is not None
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
        cells = [line.split(mark) for _, line in filled]
        # "sit, down" is one label, "sit,down" may be two columns.
        if len(filled) > 1 and all(
            len(row) > 1 and row[1] and not row[1].startswith(" ") for row in cells
        ):
            raise DatasetError(
                f"{path}, line {filled[0][0]}: {filled[0][1]!r} may be one label or several "
                f"columns; {ADVICE}"
            )
    if all(line.endswith((",", ";")) for _, line in filled):
        filled = [(number, line.rstrip(",; ")) for number, line in filled]
    return [(number, None, _unquoted(line)) for number, line in filled]


def _numbered(path, lines):
    """Rows of lines of which each has an id; None where they have none."""
    found = [
        _by(lines, NUMBER_FIRST, lambda match: (match[1], match[2], match[3])),
        _by(lines, NUMBER_LAST, lambda match: ("", match[3], match[1])),
    ]
    whole = [rows for rows in found if None not in rows]
    if not whole:
        for rows in found:
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
        names = [_unquoted(name) for _, _, name in rows]
        repeated = len(set(names)) < len(names)
        # "n01440764 tench" and "walk 1", "walk 2" are labels as they stand.
        if (letters != {""} and not counted) or (rows is found[1] and repeated):
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


def _plain(word):
    return re.sub(r"[\s_-]", "", _unquoted(word).casefold())


def _columns(cells):
    """(columns of ids, columns of names) of a header; None where it is none."""
    words = [_plain(cell) for cell in cells]
    ids = [place for place, word in enumerate(words) if word in ID_COLUMNS]
    names = [place for place, word in enumerate(words) if word in NAME_COLUMNS]
    return (ids, names) if len(words) > 1 and names and (ids or len(names) > 1) else None


def _of_table(path, lines):
    """Rows of a table whose first line is a header with columns known by name; None else."""
    first, header = lines[0]
    for mark in (",", ";", "\t"):
        cells = next(csv.reader([header], delimiter=mark), [])
        columns = _columns(cells)
        if columns is not None:
            break
    else:
        return None
    rows = []
    for number, line in lines[1:]:
        if not line:
            continue
        row = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
        if len(row) > len(cells) == 2:  # a label with a comma and no quotes
            at_end = columns[1][-1] == 1
            parts = line.split(mark, 1) if at_end else line.rsplit(mark, 1)
            row = parts
        if len(row) < len(cells):
            row += [""] * (len(cells) - len(row))
        if len(row) > len(cells):
            raise DatasetError(
                f"{path}, line {number}: must have {len(cells)} cells as the header, has {len(row)}"
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


# JSON and protobuf text


def _of_items(path, text):
    rows = []
    for match in ITEM.finditer(text):
        fields = {
            field: next(value for value in values if value is not None)
            for field, *values in (
                (found[1], found[2], found[3], found[4]) for found in ITEM_FIELD.finditer(match[1])
            )
        }
        line = text.count("\n", 0, match.start()) + 1
        name = fields.get("display_name") or fields.get("name") or fields.get("label") or ""
        if not fields.get("id", "").isdecimal():
            raise DatasetError(f"{path}, line {line}: must have an id and a name")
        rows.append((line, int(fields["id"]), _unquoted(name)))
    if len(rows) != len(re.findall(r"\bitem\b\s*\{", text)):
        raise DatasetError(f"{path}: its `item {{ ... }}` entries cannot all be read")
    return rows


def _of_json(path, text):
    def pairs(members):
        for place, (key, _) in enumerate(members):
            if key in [other for other, _ in members[:place]]:
                raise DatasetError(f"{_at(path, text, key)}: {key!r} stands there twice")
        return dict(members)

    try:
        found = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}: looks like JSON and is not ({error.msg})"
        ) from error
    except RecursionError as error:
        raise DatasetError(f"{path}: is nested too deeply for a label map") from error
    inner = [name for name in MEMBERS if isinstance(found, dict) and _holds(found.get(name))]
    if inner:
        found = found[inner[0]]
    if isinstance(found, list):
        return _of_list(path, text, found)
    return _of_map(path, text, found)


def _holds(value):
    return isinstance(value, (list, dict)) and bool(value)


def _at(path, text, key):
    """The path with the line of a key or a value of its JSON."""
    for spelt in (json.dumps(key), json.dumps(key, ensure_ascii=False)):
        place = text.find(spelt)
        if place >= 0:
            return f"{path}, line {text.count(chr(10), 0, place) + 1}"
    return str(path)


def _line(path, text, key):
    at = _at(path, text, key)
    return int(at.rpartition(" ")[2]) if at != str(path) else 0


def _of_list(path, text, values):
    if not values:
        raise DatasetError(f"{path}: must have one label a line, is empty")
    rows = []
    for value in values:
        if isinstance(value, str):
            rows.append((_line(path, text, value), None, _unquoted(value)))
            continue
        columns = _columns(list(value)) if isinstance(value, dict) else None
        if columns is None or not columns[0]:
            raise DatasetError(
                f"{path}: a JSON list must hold labels, or objects with an id and a name. "
                f"Received: {json.dumps(value)[:80]}"
            )
        cells = list(value.values())
        number, name = cells[columns[0][0]], cells[columns[1][0]]
        if _number(number) is None or not isinstance(name, str):
            raise DatasetError(
                f"{path}: must have a whole number and a name. Received: {json.dumps(value)[:80]}"
            )
        rows.append((_line(path, text, name), _number(number), _unquoted(name)))
    if len({number is None for _, number, _ in rows}) > 1:
        raise DatasetError(f"{path}: some labels have an id and others have none")
    return rows


def _of_map(path, text, members):
    if not members:
        raise DatasetError(f"{path}: must have one label a line, is empty")
    by_id = all(_number(key) is not None and isinstance(name, str) for key, name in members.items())
    by_name = all(_number(number) is not None for number in members.values())
    if by_id and by_name and any(_number(key) != _number(value) for key, value in members.items()):
        raise DatasetError(
            f"{path}: both sides of the map are numbers; either may be the id; {ADVICE}"
        )
    if by_id:
        return [
            (_line(path, text, key), _number(key), _unquoted(name)) for key, name in members.items()
        ]
    if by_name:
        return [
            (_line(path, text, name), _number(number), _unquoted(name))
            for name, number in members.items()
        ]
    for key, value in members.items():
        if _number(key) is None and _number(value) is None:
            raise DatasetError(
                f"{_at(path, text, key)}: a JSON map must be from ids to labels or from labels to "
                f"ids. Received: {json.dumps(key)}: {json.dumps(value)[:80]}"
            )
    raise DatasetError(
        f"{path}: a JSON map must be from ids to labels or from labels to ids, and this one is of "
        "both kinds"
    )


def _number(value):
    """The id that a JSON value is, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if value.isdecimal() else None
    return value if isinstance(value, int) and value >= 0 else None
