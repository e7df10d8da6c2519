"""Labels in JSON files and in `item { ... }` maps, and the known columns of label tables."""

import json
import re

from kinetics_i3d.core.errors import DatasetError

# Keys of the labels in JSON objects that also contain other settings.
_MEMBERS = ("id2label", "label2id", "labels", "classes", "class_names", "names", "categories")
_ITEM = re.compile(r"\bitem\s*\{([^{}]*)\}")
_ITEM_FIELD = re.compile(r"""\b(id|name|display_name|label)\s*:\s*(?:"([^"]*)"|'([^']*)'|(\d+))""")


def item_rows(path, text):
    """[(line, id, label)] of the `item { id: name: }` entries of TensorFlow's detection API."""
    rows = []
    for match in _ITEM.finditer(text):
        if "\\" in match[1]:
            line = text.count("\n", 0, match.start()) + 1
            raise DatasetError(f"{path}, line {line}: a name with a backslash is not supported")
        fields = {
            field: next(value for value in values if value is not None)
            for field, *values in (
                field_match.groups() for field_match in _ITEM_FIELD.finditer(match[1])
            )
        }
        line = text.count("\n", 0, match.start()) + 1
        name = fields.get("display_name") or fields.get("name") or fields.get("label") or ""
        if not fields.get("id", "").isdecimal():
            raise DatasetError(f"{path}, line {line}: must have an id and a name")
        rows.append((line, int(fields["id"]), unquoted(name)))
    if len(rows) != len(re.findall(r"\bitem\b\s*\{", text)):
        raise DatasetError(f"{path}: its `item {{ ... }}` entries cannot all be read")
    return rows


def json_rows(path, text):
    """[(line, id or None, label)] of a JSON list of labels, or a map between ids and labels."""

    def pairs(members):
        content = {}
        for key, value in members:
            if key in content:
                raise DatasetError(f"{_at(path, text, key)}: {key!r} occurs twice")
            content[key] = value
        return content

    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{path}, line {error.lineno}: looks like JSON but is not ({error.msg})"
        ) from error
    except RecursionError as error:
        raise DatasetError(f"{path}: is nested too deeply for a label map") from error
    inner = [name for name in _MEMBERS if isinstance(content, dict) and _holds(content.get(name))]
    if inner:
        content = content[inner[0]]
    if isinstance(content, list):
        return _of_list(path, text, content)
    return _of_map(path, text, content)


def _holds(value):
    return isinstance(value, (list, dict)) and bool(value)


def _at(path, text, key):
    """The path with the line of a key or a value in its JSON."""
    for written in (json.dumps(key), json.dumps(key, ensure_ascii=False)):
        position = text.find(written)
        if position >= 0:
            return f"{path}, line {text.count(chr(10), 0, position) + 1}"
    return str(path)


def _line(path, text, key):
    at = _at(path, text, key)
    return int(at.rpartition(" ")[2]) if at != str(path) else 0


def _of_list(path, text, values):
    if not values:
        raise DatasetError(f"{path}: must have one label per line, but is empty")
    rows = []
    for value in values:
        if isinstance(value, str):
            rows.append((_line(path, text, value), None, unquoted(value)))
            continue
        columns = label_columns(list(value)) if isinstance(value, dict) else None
        if columns is None or not columns[0]:
            raise DatasetError(
                f"{path}: a JSON list must hold labels, or objects with an id and a name. "
                f"Received: {json.dumps(value)[:80]}"
            )
        fields = list(value.values())
        number, name = fields[columns[0][0]], fields[columns[1][0]]
        if _number(number) is None or not isinstance(name, str):
            raise DatasetError(
                f"{path}: must have a whole number and a name. Received: {json.dumps(value)[:80]}"
            )
        rows.append((_line(path, text, name), _number(number), unquoted(name)))
    if len({number is None for _, number, _ in rows}) > 1:
        raise DatasetError(f"{path}: some labels have an id and others have none")
    return rows


def _of_map(path, text, members):
    if not members:
        raise DatasetError(f"{path}: must have one label per line, but is empty")
    by_id = all(_number(key) is not None and isinstance(name, str) for key, name in members.items())
    by_name = all(_number(number) is not None for number in members.values())
    if by_id and by_name and any(_number(key) != _number(value) for key, value in members.items()):
        raise DatasetError(
            f"{path}: both sides of the map are numbers; it is not clear which is the id; {ADVICE}"
        )
    if by_id:
        return [
            (_line(path, text, key), _number(key), unquoted(name)) for key, name in members.items()
        ]
    if by_name:
        return [
            (_line(path, text, name), _number(number), unquoted(name))
            for name, number in members.items()
        ]
    for key, value in members.items():
        if _number(key) is None and _number(value) is None:
            raise DatasetError(
                f"{_at(path, text, key)}: a JSON map must be from ids to labels or from labels to "
                f"ids. Received: {json.dumps(key)}: {json.dumps(value)[:80]}"
            )
    raise DatasetError(
        f"{path}: a JSON map must be from ids to labels or from labels to ids, not both"
    )


def _number(value):
    """A JSON value as an id, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        return int(value) if value.isdecimal() else None
    return value if isinstance(value, int) and value >= 0 else None


# Column names of tables, in lower case and without "_", "-" and spaces.
_ID_COLUMNS = frozenset(
    ["", "id", "index", "idx", "number", "no", "key", "#"]
    + [kind + word for kind in ("class", "label", "action") for word in ("id", "index", "idx")]
)
NAME_COLUMNS = frozenset(
    ["name", "names", "label", "labels", "class", "classes", "action", "category", "title", "tag"]
    + [kind + "name" for kind in ("class", "label", "action", "display", "category")]
)
ADVICE = "use a table with the header id,name"


def unquoted(text):
    """Text without surrounding spaces and quotes; doubled quotes inside become single."""
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].replace(text[0] * 2, text[0]).strip()
    return text


def plain(word):
    """A column name for comparison: lower case, without spaces, "_" and "-"."""
    return re.sub(r"[\s_-]", "", unquoted(word).casefold())


def label_columns(fields):
    """(columns of ids, columns of names) of a header, or None if it is not one."""
    words = [plain(cell) for cell in fields]
    ids = [index for index, word in enumerate(words) if word in _ID_COLUMNS]
    names = [index for index, word in enumerate(words) if word in NAME_COLUMNS]
    return (ids, names) if len(words) > 1 and names and (ids or len(names) > 1) else None
