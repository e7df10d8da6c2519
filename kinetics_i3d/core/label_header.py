"""`label_columns`: which columns of a label table are ids and which are names."""

import re

# Column names of tables, in lower case and without "_", "-" and blanks.
ID_COLUMNS = frozenset(
    ["", "id", "index", "idx", "number", "no", "key", "#"]
    + [kind + word for kind in ("class", "label", "action") for word in ("id", "index", "idx")]
)
NAME_COLUMNS = frozenset(
    ["name", "names", "label", "labels", "class", "classes", "action", "category", "title", "tag"]
    + [kind + "name" for kind in ("class", "label", "action", "display", "category")]
)
ADVICE = "a table with the header id,name leaves no doubt"


def unquoted(text):
    """Text without blanks and quotes around it; doubled quotes inside become single."""
    text = text.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].replace(text[0] * 2, text[0]).strip()
    return text


def plain(word):
    """A column name as names are compared: lower case, without blanks, "_" and "-"."""
    return re.sub(r"[\s_-]", "", unquoted(word).casefold())


def label_columns(cells):
    """(columns of ids, columns of names) of a header; None where it is none."""
    words = [plain(cell) for cell in cells]
    ids = [place for place, word in enumerate(words) if word in ID_COLUMNS]
    names = [place for place, word in enumerate(words) if word in NAME_COLUMNS]
    return (ids, names) if len(words) > 1 and names and (ids or len(names) > 1) else None
