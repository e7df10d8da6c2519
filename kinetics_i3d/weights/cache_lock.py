"""`locked`: lets one process at a time write to a folder of the cache of weights."""

import contextlib
import time

from absl import logging

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.released import CACHE

STALE = 600.0  # seconds after which a claim is that of a dead process
POLL = 0.2  # seconds between two looks at a claim
WAITING = "%s: waiting for another process that fetches the same"


@contextlib.contextmanager
def writing(path):
    """Turns an error of the disk into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"{path}: cannot be written ({error.strerror}); make room, or name another folder by "
            f"{CACHE}"
        ) from error


@contextlib.contextmanager
def locked(folder):
    """Lets one process at a time write to a folder of the cache."""
    with contextlib.ExitStack() as stack:
        with writing(folder):
            lock = stack.enter_context(open(folder / ".lock", "w"))
        try:
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logging.warning(WAITING, folder)
                fcntl.flock(lock, fcntl.LOCK_EX)
        except (ImportError, OSError):  # some network file systems have no locks either
            stack.enter_context(_claimed(folder / ".claim"))
        yield


@contextlib.contextmanager
def _claimed(claim):
    """A lock where there is no `flock`: a file that only one process can make."""
    warned = False
    with writing(claim):
        while True:
            try:
                claim.open("x").close()
                break
            except FileExistsError:
                if not warned:
                    logging.warning(WAITING, claim.parent)
                    warned = True
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - claim.stat().st_mtime > STALE:
                        claim.unlink()
                time.sleep(POLL)
    try:
        yield
    finally:
        claim.unlink(missing_ok=True)
