"""Where the parts of the tables lie in their folder."""

import pathlib

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
