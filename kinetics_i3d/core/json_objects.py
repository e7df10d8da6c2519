"""`parse_object`, `check_fields`: JSON from untrusted files, whose values may have any type."""

import json


def parse_object(text):
    """Parses a JSON object; `ValueError` for anything else.

    Example:

    >>> parse_object('{"format": 1}')
    {'format': 1}
    >>> parse_object("5")
    Traceback (most recent call last):
    ...
    ValueError: must be a JSON object, but is int
    """
    try:
        content = json.loads(text)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"must be a JSON object, but is {type(content).__name__}")
    return content


def check_fields(name, fields, kinds):
    """Raises `ValueError` unless a dictionary has exactly the given fields with the given types.

    Args:
        name: Name of the dictionary, for the error.
        fields: A JSON value.
        kinds: {field: type, or a tuple of types}; `float` allows integers, and only `bool` allows
            `True`.

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
