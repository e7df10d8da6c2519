"""Atomic writes: a file, or a folder, appears whole under its name or not at all."""

import contextlib
import math
import os
import pathlib
import re
import shutil
import tempfile

import numpy as np

from kinetics_i3d.core.errors import DatasetError, UserError


@contextlib.contextmanager
def atomic_path(path):
    """Gives a temporary name beside `path` that becomes `path` only if the block ends well.

    The temporary name keeps the suffix: encoders and picture writers choose their format by it.

    Args:
        path: Where the finished file shall stand. Missing folders are made.

    Yields:
        A `pathlib.Path` to write to.

    Example:

    >>> with atomic_path(folder / "report.json") as path:
    ...     _ = path.write_text("{}")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(
        dir=path.parent, prefix=f".{path.stem}-", suffix="".join(path.suffixes[-1:])
    )
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        # mkstemp makes files private; the finished one gets the rights a plain open() would give.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path):
    """Gives a temporary folder beside `path` that becomes `path` only if the block ends well.

    Args:
        path: Where the finished folder shall stand. Missing folders above it are made.

    Yields:
        The `pathlib.Path` of a new folder to fill.

    Raises:
        UserError: If something stands there already; an empty folder is replaced.

    Example:

    >>> with atomic_folder(folder / "report") as path:
    ...     _ = (path / "page.html").write_text("")
    """
    path = pathlib.Path(path)
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o777 & ~mask)
        check_free(path)  # minutes may have passed
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_free(path):
    """Raises `UserError` where something stands, but for an empty folder.

    Args:
        path: Where a new folder shall stand.
    """
    path = pathlib.Path(path)
    empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if os.path.lexists(path) and not empty:
        raise UserError(f"{path}: exists already; a new name or an empty folder is needed")


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


HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|]?[a-zA-Z]\d+)', 'fortran_order': False, "
    rb"'shape': \((\d*(?:, ?\d+)*),?\), \} *\n",
    re.DOTALL,
)


def parse_npy(data):
    """Reads an array of numbers or text.

    Args:
        data: The bytes of an .npy file of version 1.0, in C order.

    Returns:
        A read-only array.

    Raises:
        ValueError: If they are not that, or too few or too many.

    Example:

    >>> import io
    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(6).reshape(2, 3))
    >>> parse_npy(file.getvalue()).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    head = HEADER.match(data)
    if head is None:
        raise ValueError("no header of an array")
    shape = tuple(int(side) for side in head[2].split(b",") if side)
    kind = np.dtype(head[1].decode())
    expected = kind.itemsize * math.prod(shape)
    if len(data) - head.end() != expected:
        raise ValueError(f"an array of {len(data) - head.end()} bytes that should be {expected}")
    return np.frombuffer(data, kind, offset=head.end(), count=math.prod(shape)).reshape(shape)
