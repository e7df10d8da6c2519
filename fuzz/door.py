"""`Door`: one way into the package, with its seeds, its reader and what it may give."""

import dataclasses
import typing
from collections.abc import Callable

from kinetics_i3d.core.errors import UserError


@dataclasses.dataclass(frozen=True)
class Door:
    """One way into the package.

    Args:
        name: Its name on the command line.
        plant: `folder -> None`, writes the seeds, a folder each.
        read: `folder -> result`, reads an input as the package does and returns what it says, ready
            to be compared. An error of `errors` refuses the input.
        problem: `(result of the seed, result, forged) -> text`: what is wrong with what was
            accepted, or None. `forged` is whether the checksums of the input are right.
        errors: The package's errors.
        weight: Share of the time, compared with the other doors.
    """

    name: str
    plant: Callable
    read: Callable
    problem: Callable = lambda seed, result, forged: None
    errors: tuple = (UserError,)
    weight: float = 1.0


def same(seed, result, forged):
    """For formats with checksums: damage is refused, or changes nothing."""
    if forged or equal(seed, result):
        return None
    return f"a damaged file was accepted: {_difference(seed, result)}"


def equal(first: typing.Any, second: typing.Any) -> bool:
    """Whether two results are the same, arrays and dictionaries included."""
    import numpy as np

    if isinstance(first, np.ndarray) or isinstance(second, np.ndarray):
        first, second = np.asarray(first), np.asarray(second)
        return first.dtype == second.dtype and np.array_equal(
            first, second, equal_nan=first.dtype.kind == "f"
        )
    if isinstance(first, dict) and isinstance(second, dict):
        return [*first] == [*second] and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(equal, first, second))
    return type(first) is type(second) and first == second


def _difference(first, second):
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        for key in first:
            if not equal(first[key], second[key]):
                return f"{key}: {_difference(first[key], second[key])}"
    return f"{first!r:.80} became {second!r:.80}"
