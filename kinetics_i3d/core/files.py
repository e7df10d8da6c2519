"""Atomic writes: a file, or a folder, appears whole under its name or not at all."""

import contextlib
import os
import pathlib
import shutil
import tempfile

from kinetics_i3d.core.errors import UserError


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
