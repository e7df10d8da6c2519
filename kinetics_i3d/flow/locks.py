"""`claim`: one of several processes makes a file, whole or not at all, and a dead one blocks none.

The unfinished file is its own lock, by flock(2), which the system lets go of with its process.
"""

import contextlib
import errno
import os
import pathlib
import uuid

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@contextlib.contextmanager
def claim(path, *, wait=False):
    """Gives a temporary name beside `path` to the one process that may write it now.

    What is written there becomes `path` if the block ends well; nothing written changes nothing.
    The name is always the same, so what a killed process has left is written over by the next.
    On a file system without locks several processes may each make the file; the last one stays.

    Args:
        path: Where the finished file shall stand. Missing folders are made.
        wait: Waits for another process that has it now; else gives None in place of the name.

    Yields:
        A `pathlib.Path` of an empty file, or None.

    Example:

    >>> with claim(folder / "flow.npz") as first, claim(folder / "flow.npz") as second:
    ...     print(first.name, second)
    .flow.npz.part None
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        lock = _lock(part, wait)
    except (ImportError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in WITHOUT_LOCKS:
            raise
        part.unlink(missing_ok=True)
        part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        lock = open(part, "xb")  # noqa: SIM115
    if lock is None:
        yield None
        return
    with lock:
        moved = False
        try:
            yield part
            if part.stat().st_size:
                os.replace(part, path)
                moved = True
        finally:
            # Once it is moved, one of this name is another's.
            if not moved:
                part.unlink(missing_ok=True)


def _lock(part, wait):
    """The empty file `part`, open and locked; None where another process has it."""
    import fcntl

    while True:
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(open(part, "ab"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                return None
            # The other has moved or removed the file that this one waited for?
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                    file.truncate(0)
                    stack.pop_all()
                    return file
