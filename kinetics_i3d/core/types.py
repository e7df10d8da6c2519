"""Types of arguments that are shared by public functions, and checks of arguments."""

import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]
# A name in the catalog or a path; for a Two-Stream I3D also one of these per stream.
Weights: TypeAlias = PathLike | Mapping[str, PathLike]
# "rgb", "flow" or "rgb,flow", or these names in a sequence.
Streams: TypeAlias = str | Sequence[str]
Labels: TypeAlias = Sequence[str]
Shape: TypeAlias = tuple[int | None, ...]
Shapes: TypeAlias = Mapping[str, Shape]  # {stream: shape}
# Called with the number of videos, frames or shards that are done.
ProgressFunction: TypeAlias = Callable[[int], object]


def is_number(value: Any) -> bool:
    """Whether a value is a real number, including NumPy's, and not a bool."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_count(name: str, value: Any) -> int:
    """Checks that an argument is a whole number above 0, and returns it as an int.

    Raises:
        ValueError: If it is not, or is a bool.

    Example:

    >>> check_count("frames", 0)
    Traceback (most recent call last):
    ...
    ValueError: `frames` must be a whole number above 0. Received: frames=0
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"`{name}` must be a whole number above 0. Received: {name}={value!r}")
    return int(value)


def check_whole(name: str, value: Any, least: int = 0) -> int:
    """Checks that an argument is a whole number, `least` or more, and returns it as an int.

    Raises:
        ValueError: If it is not, or is a bool.

    Example:

    >>> check_whole("seed", -1)
    Traceback (most recent call last):
    ...
    ValueError: `seed` must be a whole number, 0 or more. Received: seed=-1
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ValueError(
            f"`{name}` must be a whole number, {least} or more. Received: {name}={value!r}"
        )
    return int(value)


def check_number(name: str, value: Any) -> Any:
    """Checks that an argument is a finite number, and returns it.

    Raises:
        ValueError: If it is not, or is a bool.

    Example:

    >>> check_number("fps", float("inf"))
    Traceback (most recent call last):
    ...
    ValueError: `fps` must be finite. Received: fps=inf
    """
    if not is_number(value):
        raise ValueError(f"`{name}` must be a number. Received: {name}={value!r}")
    if not -math.inf < value < math.inf:
        raise ValueError(f"`{name}` must be finite. Received: {name}={value!r}")
    return value


def check_at_least(name: str, value: Any, least: float) -> Any:
    """Checks that an argument is a finite number, `least` or more, and returns it.

    Raises:
        ValueError: If it is not, or is a bool.

    Example:

    >>> check_at_least("mixup", -1, 0)
    Traceback (most recent call last):
    ...
    ValueError: `mixup` must be at least 0. Received: mixup=-1
    """
    if check_number(name, value) < least:
        raise ValueError(f"`{name}` must be at least {least}. Received: {name}={value!r}")
    return value


def check_seconds(name: str, value: Any) -> Any:
    """Checks that an argument is a finite number of seconds, 0 or more, and returns it.

    Raises:
        ValueError: If it is not, or is a bool.

    Example:

    >>> check_seconds("max_gap", None)
    Traceback (most recent call last):
    ...
    ValueError: `max_gap` must be seconds, 0 or more. Received: max_gap=None
    """
    if not is_number(value) or not 0 <= value < math.inf:
        raise ValueError(f"`{name}` must be seconds, 0 or more. Received: {name}={value!r}")
    return value


def check_fraction(name: str, value: Any, *, with_0: bool = True, with_1: bool = True) -> Any:
    """Checks that an argument is a number from 0 to 1, and returns it.

    Args:
        name: The argument.
        value: Its value.
        with_0: Whether it may be 0.
        with_1: Whether it may be 1.

    Raises:
        ValueError: If it is not, or is a bool.

    Example:

    >>> check_fraction("opacity", 2)
    Traceback (most recent call last):
    ...
    ValueError: `opacity` must be 0 to 1. Received: opacity=2
    """
    if is_number(value) and 0 <= value <= 1 and (with_0 or value) and (with_1 or value < 1):
        return value
    right = f"{'at least' if with_0 else 'above'} 0 and {'at most' if with_1 else 'below'} 1"
    right = "0 to 1" if with_0 and with_1 else right
    raise ValueError(f"`{name}` must be {right}. Received: {name}={value!r}")


def check_area(area: Any) -> tuple[float, float]:
    """Checks the range of a crop's area, two fractions, and returns it as a tuple.

    Raises:
        ValueError: If it is anything else.

    Example:

    >>> check_area((0.5, 2))
    Traceback (most recent call last):
    ...
    ValueError: `area` must be two fractions (low, high) with 0 < low <= high <= 1. Received: ...
    """
    bounds = tuple(area) if isinstance(area, Iterable) and not isinstance(area, str) else ()
    if len(bounds) == 2 and all(map(is_number, bounds)) and 0 < bounds[0] <= bounds[1] <= 1:
        return bounds[0], bounds[1]
    raise ValueError(
        "`area` must be two fractions (low, high) with 0 < low <= high <= 1. Received: "
        f"area={area!r}"
    )


def check_path(name: str, value: Any) -> Any:
    """Checks that an argument is a path, and returns it.

    Raises:
        ValueError: If it is not.

    Example:

    >>> check_path("path", None)
    Traceback (most recent call last):
    ...
    ValueError: `path` must be a path. Received: path=None
    """
    if not isinstance(value, (str, os.PathLike)):
        raise ValueError(f"`{name}` must be a path. Received: {name}={value!r}")
    return value


def check_text(name: str, value: Any) -> str | None:
    """Checks that an argument is a string or None, and returns it.

    Raises:
        ValueError: If it is not.

    Example:

    >>> check_text("title", 3)
    Traceback (most recent call last):
    ...
    ValueError: `title` must be a string. Received: title=3
    """
    if value is not None and not isinstance(value, str):
        raise ValueError(f"`{name}` must be a string. Received: {name}={value!r}")
    return value


def check_strings(name: str, value: Any, *, of: str) -> tuple[str, ...]:
    """Checks that an argument is a list of strings, and returns it as a tuple.

    Args:
        name: The argument.
        value: Its value.
        of: What the strings are, for the error.

    Raises:
        ValueError: If it is anything else, such as a single string, which would be its letters.

    Example:

    >>> check_strings("labels", "sit", of="class names")
    Traceback (most recent call last):
    ...
    ValueError: `labels` must be a list of class names. Received: labels='sit'
    """
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)):
        strings = tuple(value)
        if all(isinstance(string, str) for string in strings):
            return strings
    raise ValueError(f"`{name}` must be a list of {of}. Received: {name}={value!r}")
