"""Atomic writes: whole under the name, or not at all."""

import os
import stat

import pytest

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.files import atomic_folder, atomic_path


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "folder" / "a.tar.gz"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
        assert temporary.parent == path.parent and temporary.suffix == ".gz"
        assert temporary.name.startswith(".a.tar-")  # hidden, and still known by its name
    assert path.read_text() == "whole" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_success_replaces_what_was_there(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    with atomic_path(str(path)) as temporary:
        assert temporary.suffix == ""
        temporary.write_text("new")
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_writers_may_replace_the_temporary_file_themselves(tmp_path):
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.unlink()
        temporary.write_text("mine")
    assert (tmp_path / "a.txt").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_rights_are_those_of_a_plain_file(tmp_path, mask):
    before = os.umask(mask)
    try:
        with atomic_path(tmp_path / "a.txt") as temporary:
            assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        (tmp_path / "plain.txt").write_text("")
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    rights = {stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("a.txt", "plain.txt")}
    assert rights == {0o666 & ~mask}


def test_a_folder_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "new" / "model"
    with atomic_folder(path) as temporary:
        (temporary / "a").write_text("whole")
        assert not path.exists() and temporary.parent == path.parent
    assert (path / "a").read_text() == "whole" and list(path.parent.iterdir()) == [path]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_folder_that_fails_leaves_nothing(tmp_path, error):
    def fail():
        with atomic_folder(tmp_path / "model") as temporary:
            (temporary / "a").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_replaces_an_empty_one_and_nothing_else(tmp_path):
    (tmp_path / "empty").mkdir()
    with atomic_folder(tmp_path / "empty") as temporary:
        (temporary / "a").touch()
    assert (tmp_path / "empty" / "a").exists()
    (tmp_path / "file").write_text("old")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("empty", "file", "dangling"):
        with (
            pytest.raises(UserError, match=rf"^{tmp_path / name}: exists already; a new name"),
            atomic_folder(tmp_path / name),
        ):
            raise AssertionError("the block shall not begin")
    assert (tmp_path / "file").read_text() == "old"


def test_what_came_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(UserError, match="exists already"), atomic_folder(path):
        path.write_text("another's")
    assert path.read_text() == "another's" and list(tmp_path.iterdir()) == [path]
