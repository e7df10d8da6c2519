"""`parse_object`, `check_fields`: JSON in files of others, whose values may be of any kind."""

import json


def parse_object(text):
    """The dictionary in a JSON text; `ValueError` for anything else.

    Example:

    >>> parse_object('{"format": 1}')
    {'format': 1}
    >>> parse_object("5")
    Traceback (most recent call last):
    ...
    ValueError: must be a JSON object, is int
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"must be a JSON object, is {type(content).__name__}")
    return content


def check_fields(name, fields, kinds):
    """Raises `ValueError` unless a dictionary has exactly some fields, each of its kind.

    Args:
        name: What the dictionary is, for the error.
        fields: A value of JSON.
        kinds: {field: type, or a tuple of them}; `float` allows whole numbers, no kind but `bool`
            allows `True`.

    Example:

    >>> check_fields("video", {"bytes": "many"}, {"bytes": int})
    Traceback (most recent call last):
    ...
    ValueError: `video` must have `bytes` of int. Received: bytes='many'
    """
    if not isinstance(fields, dict) or {*fields} != {*kinds}:
        raise ValueError(
            f"`{name}` must have the fields {sorted(kinds)}. Received: {fields!r:.200}"
        )
    for field, kind in kinds.items():
        value = fields[field]
        allowed = kind if isinstance(kind, tuple) else (kind,)
        whole = (int,) if float in allowed else ()
        if not isinstance(value, (*allowed, *whole)) or (
            isinstance(value, bool) and bool not in allowed
        ):
            names = " or ".join(kind.__name__ for kind in allowed)
            raise ValueError(
                f"`{name}` must have `{field}` of {names}. Received: {field}={value!r:.200}"
            )
