"""Where the parts of the tables lie in their folder."""

import os
import pathlib

from kinetics_i3d.weights.catalog import CATALOG
from kinetics_i3d.weights.images import find_image_row

LOGITS = "logits"
TABLE, NUMBERS = "tables.md", "tables.json"


def cell_folder(output, cell):
    """The folder of a cell.

    Args:
        output: That of the tables.
        cell: A `Cell`.

    Returns:
        A `pathlib.Path`.

    Example:

    >>> from kinetics_i3d.tables.cells import Cell
    >>> cell_folder("out", Cell("C3D", "rgb", "scratch", "original", 0)).as_posix()
    'out/cells/C3D.rgb.scratch.original.0'
    """
    return pathlib.Path(output) / "cells" / cell.name


def absolute(weights):
    """Weights as settings name them, so that a call from another folder goes on with the same.

    Args:
        weights: A name in the catalog, which stays as it is, or a path.

    Returns:
        A name or an absolute path.

    Example:

    >>> absolute("rgb_figures"), absolute("mine.h5") == os.path.abspath("mine.h5")
    ('rgb_figures', True)
    """
    name = str(weights)
    named = name in CATALOG or find_image_row(name) is not None
    return name if named else os.path.abspath(weights)
