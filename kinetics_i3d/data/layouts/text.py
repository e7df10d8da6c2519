"""`read_csv`: tables as other programs leave them, with numbered lines.

Line ends of Windows, a byte order mark and empty lines are accepted.
"""

import csv
import io

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.text import LINE_END, read_text

HEAD = 65536  # bytes in which two lines are looked for


def read_csv(path):
    """The rows of a csv table with a header.

    Args:
        path: A `pathlib.Path`.

    Returns:
        (columns, rows): names in lower case, or `None` for an empty file; and (number of the line,
        {column: cell}) of each row that is not empty. Cells that are not there are `""`.

    Raises:
        DatasetError: If it is not UTF-8, its quotes do not match, or a row has more cells than the
            header.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        header = next(reader, None)
        columns = None if header is None else columns_of(header)
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if any(cell.strip() for cell in cells[len(columns) :]):
                raise DatasetError(
                    f"{path}, line {reader.line_num}: must have {len(columns)} cells as the header,"
                    f" has {len(cells)}; a cell with a comma needs quotes"
                )
            cells += [""] * (len(columns) - len(cells))
            rows.append((reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: no row of a csv ({error})") from error
    return columns, rows


def columns_of(header):
    """Column names as they are compared: stripped, in lower case."""
    return [cell.strip().lower() for cell in header]


def first_lines(path):
    """Up to two lines that say something, to recognise a file by; none for what is not text.

    Args:
        path: A `pathlib.Path`.

    Returns:
        A tuple of stripped lines.
    """
    with path.open("rb") as file:
        start = file.read(HEAD)
    if b"\0" in start:
        return ()
    # The last character may be cut in two.
    lines = LINE_END.split(start.decode("utf-8-sig", errors="replace"))
    return tuple(line.strip() for line in lines if line.strip())[:2]


def cells_of(line):
    """The cells of one line of a csv; empty where its quotes do not match."""
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error:
        return []
