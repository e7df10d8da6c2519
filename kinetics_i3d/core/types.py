"""Types of arguments that are shared by public functions, and a check of them."""

import numbers
import os
from collections.abc import Callable, Mapping, Sequence
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
