"""Locks: one process at a time, whole files, and nothing left of a killed process."""

import errno
import subprocess
import sys
import threading
import time

import pytest
from absl import logging

from kinetics_i3d.core import locks
from kinetics_i3d.core.locks import locked, locked_path

HOLD = """
import errno, sys, time
from kinetics_i3d.core.locks import locked_path
if sys.argv[2] == "without flock":
    import fcntl
    def unsupported(*_):
        raise OSError(errno.ENOLCK, "no locks")
    fcntl.flock = unsupported
with locked_path(sys.argv[1]) as part:
    part.write_text("half")
    print("locked", flush=True)
    time.sleep(60)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["flock", "without flock"])
def file_system(request, monkeypatch):
    """The kind of file system: with locks, or without them as some network file systems."""
    if request.param == "without flock":
        fcntl = pytest.importorskip("fcntl")

        def unsupported(*_):
            raise OSError(errno.ENOLCK, "no locks")

        monkeypatch.setattr(fcntl, "flock", unsupported)
    return request.param


@pytest.fixture
def warnings_logged(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *parts: lines.append(text % parts))
    return lines


def test_what_is_written_appears_whole_and_only_in_the_end(tmp_path, file_system):
    path = tmp_path / "deep" / "a.npz"
    with locked_path(path) as part:
        assert part.parent == path.parent and part.read_bytes() == b""
        part.write_text("new")
        assert "a.npz" not in names(path.parent)
    assert names(path.parent) == ["a.npz"] and path.read_text() == "new"
    with locked_path(path):
        pass  # nothing written
    assert names(path.parent) == ["a.npz"] and path.read_text() == "new"

    def interrupted():
        with locked_path(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(path.parent) == ["a.npz"] and path.read_text() == "new"


def test_the_lock_of_a_killed_process_is_free(tmp_path, file_system):
    path = tmp_path / "a.npz"
    words = [sys.executable, "-c", HOLD, str(path), file_system]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "locked\n"
            with locked_path(path, wait=False) as part:
                assert part is None
        finally:
            other.kill()
    assert ".a.npz.part" in names(tmp_path)
    with locked_path(path) as part:
        assert part.read_bytes() == b""  # nothing of the dead one's
        part.write_text("whole")
    assert names(tmp_path) == ["a.npz"] and path.read_text() == "whole"


def test_waiting_for_another_holder_is_logged_and_ends_with_it(
    tmp_path, file_system, warnings_logged
):
    order = []

    def second():
        with locked(tmp_path / ".lock", name="the weights") as is_free:
            order.append(("second", is_free))

    with locked(tmp_path / ".lock") as is_free:
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 30
        while not warnings_logged and time.monotonic() < deadline:
            time.sleep(0.01)
        order.append(("first", is_free))
    thread.join(30)
    assert order == [("first", True), ("second", True)]
    assert warnings_logged == ["the weights: waiting for another process"]
    assert names(tmp_path) == []


def test_threads_that_take_turns_never_hold_the_lock_together(tmp_path, file_system):
    """Each removes the lock file at its end, while the others wait for it."""
    inside, most, rounds = [], [], []

    def work():
        for _ in range(10):
            with locked(tmp_path / ".lock"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.001)
                inside.pop()
            rounds.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(rounds) == 30 and max(most) == 1
    assert names(tmp_path) == []


def test_another_error_of_the_lock_is_raised(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def broken(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="broken"), locks.locked(tmp_path / ".lock"):
        pass
