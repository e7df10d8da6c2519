"""`read_csv`: tables as other programs leave them, with numbered lines.

Line ends of Windows, a byte order mark and empty lines are accepted.
"""

import csv
import io
import re

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import LINE_END, read_text

DELIMITERS = (",", ";", "\t")  # the first of those that are as frequent
SEPARATOR = re.compile(r"(?i)sep=[,;\t]?")  # a line that Excel reads and writes
HEAD = 65536  # bytes in which two lines are looked for


def read_csv(path):
    """The rows of a table with a header, whose cells are parted by commas, semicolons or tabs.

    Args:
        path: A `pathlib.Path`.

    Returns:
        (columns, rows): names in lower case, or `None` for an empty file; and (number of the line,
        {column: cell}) of each row that is not empty. Cells that are not there are `""`.

    Raises:
        DatasetError: If it is not UTF-8, its quotes do not match, or a row has more cells than the
            header.
    """
    text = read_text(path)
    lines = [line for line in LINE_END.split(text[:HEAD]) if line.strip()]
    names_separator = bool(lines) and SEPARATOR.fullmatch(lines[0].strip())
    header = lines[bool(names_separator)] if len(lines) > bool(names_separator) else ""
    mark = delimiter(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        if names_separator:
            next(reader)
        header = next(reader, None)
        columns = None if header is None else columns_of(header)
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if any(cell.strip() for cell in cells[len(columns) :]):
                raise DatasetError(
                    f"{path}, line {reader.line_num}: must have {len(columns)} cells as the header,"
                    f" has {len(cells)}; a cell with {mark!r} needs quotes"
                )
            cells += [""] * (len(columns) - len(cells))
            rows.append((reader.line_num, dict(zip(columns, cells, strict=False))))
    except csv.Error as error:
        raise DatasetError(f"{path}, line {reader.line_num}: no row of a csv ({error})") from error
    return columns, rows


def columns_of(header):
    """Column names as they are compared: stripped, in lower case."""
    return [cell.strip().lower() for cell in header]


def first_text(path):
    """The first 64 KiB of a file as text; empty for what is not text.

    Args:
        path: A `pathlib.Path`.
    """
    with path.open("rb") as file:
        start = file.read(HEAD)
    # The last character may be cut in two.
    return "" if b"\0" in start else start.decode("utf-8-sig", errors="replace")


def first_lines(path):
    """Up to two lines that say something, to recognise a file by; none for what is not text.

    Args:
        path: A `pathlib.Path`.

    Returns:
        A tuple of stripped lines.
    """
    lines = LINE_END.split(first_text(path))
    lines = [line.strip() for line in lines if line.strip()]
    if lines and SEPARATOR.fullmatch(lines[0]):
        del lines[0]
    return tuple(lines[:2])


def delimiter(line):
    r"""What parts the cells of a line: a comma, or else the semicolon or tab of other programs.

    Example:

    >>> delimiter("path;label;split"), delimiter("path,label;split,x")
    (';', ',')
    """
    return max(DELIMITERS, key=line.count)


def cells_of(line):
    """The cells of one line of a table; empty where its quotes do not match."""
    try:
        return next(csv.reader([line], delimiter=delimiter(line), strict=True), [])
    except csv.Error:
        return []
