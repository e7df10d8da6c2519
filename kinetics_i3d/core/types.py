"""Types of arguments that are shared by public functions."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

PathLike: TypeAlias = str | os.PathLike[str]
# A name in the catalog or a path; for a Two-Stream I3D also one of these per stream.
Weights: TypeAlias = PathLike | Mapping[str, PathLike]
Labels: TypeAlias = Sequence[str]
Shape: TypeAlias = tuple[int | None, ...]
Shapes: TypeAlias = Mapping[str, Shape]  # {stream: shape}
# Called with the number of videos, frames or shards that are done.
ProgressFunction: TypeAlias = Callable[[int], object]
