"""Claims: one process at a time, whole files, and nothing left of the dead."""

import errno
import os
import subprocess
import sys

import pytest

from kinetics_i3d.flow.locks import claim

HOLD = """
import sys, time
from kinetics_i3d.flow.locks import claim
with claim(sys.argv[1]) as part:
    part.write_text("half")
    print("claimed", flush=True)
    time.sleep(60)
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_written_appears_whole_and_only_in_the_end(tmp_path):
    path = tmp_path / "deep" / "a.npz"
    with claim(path) as part:
        assert part.parent == path.parent and part.read_bytes() == b""
        part.write_text("new")
        assert names(path.parent) == [".a.npz.part"]
    assert names(path.parent) == ["a.npz"] and path.read_text() == "new"
    with claim(path):
        pass  # nothing written
    assert names(path.parent) == ["a.npz"] and path.read_text() == "new"

    def interrupted():
        with claim(path) as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(path.parent) == ["a.npz"] and path.read_text() == "new"


def test_another_process_is_kept_out_until_it_dies(tmp_path):
    path = tmp_path / "a.npz"
    words = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "claimed\n"
            with claim(path) as part:
                assert part is None
        finally:
            other.kill()
    assert names(tmp_path) == [".a.npz.part"]
    with claim(path) as part:
        assert part.read_bytes() == b""  # nothing of the dead one's
        part.write_text("whole")
    assert names(tmp_path) == ["a.npz"] and path.read_text() == "whole"


def test_who_waited_for_a_file_that_has_moved_does_not_write_into_it(tmp_path, monkeypatch):
    import fcntl

    path, plain = tmp_path / "a.npz", fcntl.flock
    first = claim(path)
    first.__enter__().write_text("first")

    def late(file, how):
        # The first is ready between the second's opening of the file and its lock.
        monkeypatch.setattr(fcntl, "flock", plain)
        first.__exit__(None, None, None)
        plain(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with claim(path) as part:
        assert path.read_text() == "first"
        assert part.read_bytes() == b"" and names(tmp_path) == [".a.npz.part", "a.npz"]
        with claim(path) as third:
            assert third is None
        part.write_text("second")
    assert path.read_text() == "second" and names(tmp_path) == ["a.npz"]


def test_the_next_one_s_claim_is_left_alone(tmp_path, monkeypatch):
    plain = os.replace

    def replaced(part, path):
        # The next process claims as soon as the name is free.
        plain(part, path)
        part.write_text("the next one's")

    monkeypatch.setattr(os, "replace", replaced)
    with claim(tmp_path / "a.npz") as part:
        part.write_text("whole")
    assert names(tmp_path) == [".a.npz.part", "a.npz"]


def test_a_file_system_without_locks_takes_names_of_its_own(tmp_path, monkeypatch):
    import fcntl

    def no_locks(file, how):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    path = tmp_path / "a.npz"
    with claim(path) as one, claim(path) as two:
        assert one != two
        one.write_text("one")
        two.write_text("two")
    assert names(tmp_path) == ["a.npz"] and path.read_text() == "one"

    def broken(file, how):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="broken"), claim(path):
        pass
