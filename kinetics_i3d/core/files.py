"""Files: atomic writes, text as other programs write it, and .npy data in any thread.

A file or a folder that is written appears whole under its name or not at all.
"""

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
    """Gives a temporary name beside `path`, which becomes `path` if no error ends the block.

    It keeps the suffix, because encoders and image writers choose their format by it. Missing
    folders are made.
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
        # mkstemp makes files private; the finished one gets the permissions of a plain open().
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as error:
        _name(error, path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path):
    """Gives a temporary folder beside `path`, which becomes `path` if no error ends the block.

    `UserError` if something other than an empty folder exists there.
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
    except OSError as error:
        _name(error, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _name(error, path):
    """Names the file in an `OSError` that names none, such as that of a full disk."""
    # Without a number, `str(error)` would show the path in place of the message.
    if error.filename is None and error.errno is not None:
        error.filename = os.fspath(path)


def check_unicode(path):
    """Raises `UserError` for a path that TensorFlow cannot write, whose name is not UTF-8."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{os.fspath(path)!r}: must be valid UTF-8; choose another name") from error


def check_free(path):
    """Raises `UserError` if anything but an empty folder exists at a path."""
    path = pathlib.Path(path)
    empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
    if os.path.lexists(path) and not empty:
        raise UserError(f"{path}: already exists; choose a new name or an empty folder")


LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines would also split at U+2028 within a name


def read_text(path):
    """The text of a UTF-8 file without its byte order mark; `DatasetError` if it cannot be read."""
    try:
        return pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"{path}: must be UTF-8 text; it is not at byte {error.start}"
        ) from error


def read_lines(path):
    """The lines of a text file that are not blank, stripped: [(number from 1, line)]."""
    lines = enumerate(LINE_END.split(read_text(path)), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


MAX_UNPACKED = 2**33  # bytes


def check_unpacked(archive):
    """Raises `ValueError` if a `zipfile.ZipFile` claims more bytes than any clip or feature has."""
    size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED:
        raise ValueError(
            f"claims {size / 2**30:.1f} GiB; at most {MAX_UNPACKED / 2**30:.0f} GiB are read"
        )


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|]?[a-zA-Z]\d+)', 'fortran_order': False, "
    rb"'shape': \((\d*(?:, ?\d+)*),?\), \} *\n",
    re.DOTALL,
)


def parse_npy(data):
    """A read-only array from the bytes of an .npy file of version 1.0, in C order, in any thread.

    `numpy.load` parses the header as Python, which fails on Python 3.11, with a SystemError, while
    another thread parses Python too: a second `numpy.load`, or AutoGraph. `ValueError` for anything
    else, or too few or too many bytes.
    """
    head = _HEADER.match(data)
    if head is None:
        raise ValueError("no header of an array")
    shape = tuple(int(side) for side in head[2].split(b",") if side)
    try:
        kind = np.dtype(head[1].decode())
    except TypeError as error:
        raise ValueError(f"an array of an unknown dtype ({error})") from error
    expected = kind.itemsize * math.prod(shape)
    if len(data) - head.end() != expected:
        raise ValueError(f"an array of {len(data) - head.end()} bytes that should be {expected}")
    return np.frombuffer(data, kind, offset=head.end(), count=math.prod(shape)).reshape(shape)
