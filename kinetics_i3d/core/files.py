"""Atomic writes: a file appears whole under its name or not at all."""

import contextlib
import os
import pathlib
import tempfile


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
