"""Locks between processes: `locked` guards a block, `locked_path` a file that is being written.

The operating system releases the lock of a process that ends, however it ends. On a file system
without locks, the lock is a file that names its owner; if that process is dead, the next one on the
same machine takes the lock.
"""

import contextlib
import errno
import os
import pathlib

from absl import logging

_UNSUPPORTED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def locked(path, *, wait=True, name=None):
    """Holds the lock file `path` within the block, and removes it at the end.

    Args:
        path: The lock file. Missing folders are created.
        wait: Whether to wait while another process holds the lock; waiting is logged.
        name: Name of the lock in the log; by default the path.

    Yields:
        True, or False if `wait` is false and another process holds the lock.

    Example:

    >>> with locked(folder / ".lock") as first, locked(folder / ".lock", wait=False) as second:
    ...     print(first, second)
    True False
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = _acquire(path, wait, path if name is None else name)
    if lock is None:
        yield False
        return
    try:
        yield True
    finally:
        # Processes that wait for a removed file open the next one of that name. A file that names
        # its owner is removed by `release`; on Windows an open file cannot be removed.
        if os.fspath(path) == lock.lock_file:
            with contextlib.suppress(OSError):
                path.unlink()
        lock.release()


@contextlib.contextmanager
def locked_path(path, *, wait=True):
    """Yields a temporary path beside `path` to one process at a time.

    The file written there is renamed to `path` if the block succeeds, or removed if it is empty.
    The name is always the same, so that the next process overwrites the remains of a killed one.

    Args:
        path: The name of the finished file. Missing folders are created.
        wait: Whether to wait while another process is writing the file.

    Yields:
        The `pathlib.Path` of an empty file, or None if `wait` is false and another process is
        writing the file.

    Example:

    >>> with locked_path(folder / "flow.npz") as temporary:
    ...     print(temporary.name)
    .flow.npz.part
    """
    path = pathlib.Path(path)
    with locked(path.with_name(f".{path.name}.lock"), wait=wait, name=path) as is_free:
        if not is_free:
            yield None
            return
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(b"")
        try:
            yield part
            if part.stat().st_size:
                os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def _acquire(path, wait, name):
    """The acquired lock, or None if another process holds it and `wait` is false."""
    import filelock

    try:
        native = filelock.FileLock(path, thread_local=False, fallback_to_soft=False)
        return _acquire_one(native, wait, name)
    except OSError as error:
        # The file system may report this at any attempt, even while waiting for another process.
        if error.errno not in _UNSUPPORTED:
            raise
    path.unlink(missing_ok=True)  # the empty file of the failed attempt
    owner = path.with_name(f"{path.name}.owner")
    return _acquire_one(filelock.SoftFileLock(owner, thread_local=False), wait, name)


def _acquire_one(lock, wait, name):
    import filelock

    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        if not wait:
            return None
        logging.warning("%s: waiting for another process", name)
        lock.acquire()
    return lock
