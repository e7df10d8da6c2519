"""Files: atomic writes, text files of other programs, and .npy data in any thread.

Files and folders are written under a temporary name and renamed when they are complete. Temporary
files that a killed process has left are removed by the next process that writes there.
"""

import contextlib
import functools
import math
import os
import pathlib
import platform
import re
import shutil
import tempfile
import threading
import zlib

import numpy as np

from kinetics_i3d.core.errors import DatasetError, UserError
from kinetics_i3d.core.interrupts import check_interrupt


@contextlib.contextmanager
def atomic_path(path):
    """Yields a temporary path beside `path`, which is renamed to `path` if the block succeeds.

    It keeps the suffix, by which encoders and image writers choose their format. Missing folders
    are created.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    try:
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=_prefix(path.stem), suffix="".join(path.suffixes[-1:])
        )
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        # mkstemp creates private files; the finished file gets the permissions of a plain open().
        temporary.chmod(0o666 & ~_umask())
        check_interrupt()
        os.replace(temporary, path)
    except OSError as error:
        _name(error, path, temporary)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path):
    """Yields a temporary folder beside `path`, which is renamed to `path` if the block succeeds.

    `UserError` if something other than an empty folder exists there.
    """
    path = pathlib.Path(path)
    check_free(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    try:
        temporary = pathlib.Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path.name)))
    except OSError as error:
        error.filename = os.fspath(path)
        raise
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        check_free(path)  # minutes may have passed
        check_interrupt()
        os.replace(temporary, path)
    except OSError as error:
        _name(error, path, temporary)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


_umask_lock = threading.Lock()


def _umask():
    """The permissions that new files of this process do not get."""
    # It can only be read by setting it. Without the lock, a thread could read and restore the 0 of
    # another thread.
    with _umask_lock:
        mask = os.umask(0)
        os.umask(mask)
    return mask


_TEMPORARY = re.compile(r"(?s)\..*-([0-9a-f]{8})-(\d{1,9})-[a-z0-9_]{8}(?:\..*)?")
_MAX_NAME = 200  # bytes of a name that are kept; file systems take 255
_scanned: set = set()


def _prefix(name):
    """The prefix of a temporary name, which identifies the target and the process."""
    # Truncated between characters, since TensorFlow accepts only valid UTF-8.
    short = os.fsencode(name)[:_MAX_NAME].decode("utf-8", "ignore").encode()
    return f".{os.fsdecode(short)}-{_machine()}-{os.getpid()}-"


def remove_leftovers(folder):
    """Removes the temporary files and folders of dead processes, once per process.

    Those of other machines, which may share the folder, are kept.
    """
    folder = os.path.abspath(folder)
    if os.name != "posix" or (folder, os.getpid()) in _scanned:
        return
    _scanned.add((folder, os.getpid()))
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _TEMPORARY.fullmatch(entry.name)
            if match and match[1] == _machine() and not _is_alive(int(match[2])):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    with contextlib.suppress(OSError):
                        os.unlink(entry.path)


@functools.cache
def _machine():
    """8 digits that identify a machine or a container, which has its own process ids."""
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    return f"{zlib.crc32(f'{platform.node()} {namespace}'.encode()):08x}"


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def check_space(path, size):
    """Raises `OSError` if a file of `size` bytes cannot be written, and leaves an empty file.

    For libraries that handle a full disk badly. Not all file systems report it in advance.
    """
    with open(path, "wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(0)


def _name(error, path, temporary):
    """Sets the file name of an `OSError` that has none, or has the temporary name."""
    named = error.filename is not None and os.fspath(error.filename) != os.fspath(temporary)
    # Without an error number, `str(error)` would show the path instead of the message.
    if not named and error.errno is not None:
        try:
            error.filename = os.fspath(path)
        except AttributeError:  # PyAV's errors have a name that cannot be set
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def check_unicode(path):
    """Raises `UserError` for a path that is not UTF-8, which TensorFlow cannot write."""
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


_MAX_DIGITS = 1000  # Python refuses to read numbers of more than 4300
_LONG_NUMBER = re.compile(rf"\d{{{_MAX_DIGITS}}}")
LINE_END = re.compile(r"\r\n|\n|\r")  # str.splitlines would also split names at U+2028


def read_text(path):
    """The text of a UTF-8 file without its byte order mark; `DatasetError` if it cannot be read."""
    try:
        text = pathlib.Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: must be UTF-8 text; byte {error.start} is invalid") from error
    if _LONG_NUMBER.search(text):
        raise DatasetError(f"{path}: has a number of {_MAX_DIGITS} digits or more")
    return text


def read_lines(path):
    """The lines of a text file that are not blank, stripped: [(number from 1, line)]."""
    lines = enumerate(LINE_END.split(read_text(path)), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def path_below(path, root):
    """A path relative to a folder; of a path outside of it, such as a missing one, all its parts.

    Example:

    >>> path_below("clips/sit/a.mp4", "clips").as_posix()
    'sit/a.mp4'
    >>> path_below("/other/a.mp4", "clips").as_posix()
    'other/a.mp4'
    """
    path = pathlib.Path(path)
    if path.is_relative_to(root):
        return path.relative_to(root)
    return pathlib.Path(*(part for part in path.parts if part not in (path.anchor, "..")))


def at_line(path, line):
    """A line of a file as errors name it; line 0 is the whole file."""
    return f"{path}, line {line}" if line else str(path)


MAX_UNPACKED = 2**33  # bytes


def check_unpacked(archive):
    """Raises `ValueError` if a `zipfile.ZipFile` declares more bytes than any clip has."""
    size = sum(member.file_size for member in archive.infolist())
    if size > MAX_UNPACKED:
        raise ValueError(
            f"declares {size / 2**30:.1f} GiB; at most {MAX_UNPACKED / 2**30:.0f} GiB are read"
        )


def open_npz(file):
    """The `NpzFile` of an open .npz file; `ValueError` if it is an .npy file under that name."""
    loaded = np.load(file, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        raise ValueError("contains a single array; its name must end in .npy")
    return loaded


def only_array(file):
    """The array of an `NpzFile` with a single member; `ValueError` if the member is no array."""
    array = file[file.files[0]]
    if not isinstance(array, np.ndarray):  # NumPy returns other members as bytes
        raise ValueError(f"{file.files[0]} is not an array")
    return array


_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|]?[a-zA-Z]\d+)', 'fortran_order': False, "
    rb"'shape': \((\d*(?:, ?\d+)*),?\), \} *\n",
    re.DOTALL,
)


def parse_npy(data):
    """A read-only array from the bytes of an .npy file of version 1.0 in C order, in any thread.

    `numpy.load` parses the header as Python code, which on Python 3.11 fails with a SystemError
    while another thread parses Python code, such as a second `numpy.load` or AutoGraph.
    `ValueError` for other data, or a wrong number of bytes.
    """
    head = _HEADER.match(data)
    if head is None:
        raise ValueError("no array header")
    shape = tuple(int(side) for side in head[2].split(b",") if side)
    try:
        kind = np.dtype(head[1].decode())
    except TypeError as error:
        raise ValueError(f"an array of an unknown dtype ({error})") from error
    expected = kind.itemsize * math.prod(shape)
    if len(data) - head.end() != expected:
        raise ValueError(f"an array of {len(data) - head.end()} bytes that should have {expected}")
    return np.frombuffer(data, kind, offset=head.end(), count=math.prod(shape)).reshape(shape)
