"""`check_settings`: refuses to reuse results that were made with other settings."""

import json

from kinetics_i3d.core.errors import UserError

_SHORT = 100  # maximum characters of a value in a message


def setting_differences(recorded, requested):
    """Compares two settings field by field.

    Args:
        recorded: JSON-ready dictionary of the settings that a result was made with.
        requested: The requested settings.

    Returns:
        {field: phrase with both values}, empty if they are equal. Nested fields are dotted; a
        missing field counts as null.

    Example:

    >>> setting_differences({"spec": {"fps": 25.0}, "seed": 0}, {"spec": {"fps": 10.0}, "seed": 0})
    {'spec.fps': 'spec.fps is 25.0, requested is 10.0'}
    """
    return dict(_differences(recorded, requested, ""))


def check_settings(recorded, requested, *, path, advice, error=UserError):
    """Raises an error if a result was made with other settings.

    Args:
        recorded: As for `setting_differences`.
        requested: As for `setting_differences`.
        path: The result, for the message.
        advice: How to resolve the conflict, for the message.
        error: The class of the error.

    Raises:
        UserError: An `error` that lists all fields that differ.

    Example:

    >>> check_settings({"fps": 25}, {"fps": 10}, path="clips", advice="choose another folder")
    Traceback (most recent call last):
    ...
    kinetics_i3d.core.errors.UserError: clips: made with other settings: fps is 25, ...
    """
    differences = setting_differences(recorded, requested)
    if differences:
        phrases = "; ".join(differences.values())
        raise error(f"{path}: made with other settings: {phrases}; {advice}")


def _differences(recorded, requested, name):
    if isinstance(recorded, dict) and isinstance(requested, dict):
        for key in sorted({*recorded, *requested}):
            field = f"{name}.{key}" if name else str(key)
            yield from _differences(recorded.get(key), requested.get(key), field)
    elif recorded != requested:
        texts = [json.dumps(value, ensure_ascii=False) for value in (recorded, requested)]
        if max(map(len, texts)) > _SHORT:
            yield name, f"{name} differs"
        else:
            yield name, f"{name} is {texts[0]}, requested is {texts[1]}"
