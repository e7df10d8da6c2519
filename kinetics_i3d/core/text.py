"""`read_text`, `read_lines`: text files as other programs leave them, with numbered lines.

Line ends of Windows, a byte order mark and empty lines are accepted.
"""

import pathlib
import re

from kinetics_i3d.core.errors import DatasetError

LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines would also split at U+2028 within a name


def read_text(path):
    """The text of a file.

    Args:
        path: A path.

    Returns:
        A string, without the byte order mark.

    Raises:
        DatasetError: If it cannot be read or is not UTF-8.
    """
    try:
        return pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: must be text in UTF-8, and is not at byte {error.start}"
        ) from error


def read_lines(path):
    """The lines that are not blank, stripped.

    Args:
        path: A path.

    Returns:
        A list of (number from 1, line).

    Raises:
        DatasetError: As `read_text`.
    """
    lines = enumerate(LINE_END.split(read_text(path)), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]
