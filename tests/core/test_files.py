"""Atomic writes: whole under the name, or not at all."""

import ast
import io
import os
import stat
import threading

import numpy as np
import pytest

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.files import atomic_folder, atomic_path, check_unicode, parse_npy


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
            pytest.raises(
                UserError, match=rf"^{tmp_path / name}: already exists; choose a new name"
            ),
            atomic_folder(tmp_path / name),
        ):
            raise AssertionError("the block shall not begin")
    assert (tmp_path / "file").read_text() == "old"


def test_what_came_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "model"
    with pytest.raises(UserError, match="already exists"), atomic_folder(path):
        path.write_text("another's")
    assert path.read_text() == "another's" and list(tmp_path.iterdir()) == [path]


def saved(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4, 5, 2), np.uint8),
        np.arange(7, dtype=np.float32),
        np.arange(6, dtype=">i8").reshape(2, 3),
        np.zeros((0, 3), np.float16),
        np.float64(2.5),
        np.array("wörds ☃"),
        np.array(["a", "bcd"]),
        np.array([True, False]),
    ],
)
def test_it_reads_what_numpy_writes(array):
    found = parse_npy(saved(array))
    assert found.dtype == np.asarray(array).dtype and found.shape == np.shape(array)
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no header"),
        (b"PK\x03\x04" + bytes(200), "no header"),
        (saved(np.zeros((2, 3), order="F")), "no header"),
        (saved(np.zeros(3, [("a", "f4")])), "no header"),
        (saved(np.arange(9.0))[:-1], "71 bytes that should be 72"),
        (saved(np.arange(9.0)) + b"x", "73 bytes that should be 72"),
        (saved(np.arange(9.0)).replace(b"(9,)", b"(10**9,)"), "no header"),
    ],
)
def test_anything_else_is_refused(data, why):
    with pytest.raises(ValueError, match=why):
        parse_npy(data)


def test_no_python_is_parsed(monkeypatch):
    """`ast` in two threads at once is what fails on Python 3.11."""
    data = saved(np.arange(5))
    monkeypatch.setattr(ast, "parse", None)
    monkeypatch.setattr(ast, "literal_eval", None)
    found = []
    thread = threading.Thread(target=lambda: found.append(parse_npy(data)))
    thread.start()
    thread.join()
    assert found[0].tolist() == [0, 1, 2, 3, 4]


def test_npy_of_an_unknown_dtype_is_a_value_error(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3, np.float32))
    data = (tmp_path / "a.npy").read_bytes()
    with pytest.raises(ValueError, match="unknown dtype"):
        parse_npy(data.replace(b"<f4", b"<f6"))


@pytest.mark.parametrize("writer", [atomic_path, atomic_folder])
def test_a_full_disk_is_told_with_the_path(tmp_path, writer):
    with pytest.raises(OSError, match="No space") as raised, writer(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError, match="other") as raised, writer(tmp_path / "b"):
        raise OSError(28, "No space left on device", "other")
    assert raised.value.filename == "other"


def test_names_that_are_not_utf8_are_refused():
    check_unicode("ünïcode")
    with pytest.raises(UserError, match="must be valid UTF-8"):
        check_unicode(os.fsdecode(b"caf\xe9"))
