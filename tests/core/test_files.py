"""Atomic writes: whole under the name, or not at all."""

import ast
import concurrent.futures
import errno
import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import zipfile

import av
import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError, UserError
from kinetics_i3d.core.files import (
    atomic_folder,
    atomic_path,
    check_space,
    check_unicode,
    only_array,
    parse_npy,
    read_text,
)


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


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_threads_keep_the_mask_of_the_process(tmp_path, monkeypatch):
    set_mask = os.umask

    def slow(mask):
        before = set_mask(mask)
        time.sleep(0.002)
        return before

    def write(number):
        with atomic_path(tmp_path / f"{number}.txt") as temporary:
            temporary.write_text("new")

    before = os.umask(0o022)
    try:
        monkeypatch.setattr(os, "umask", slow)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(24)))
        assert set_mask(0o022) == 0o022
    finally:
        set_mask(before)
    rights = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert rights == {0o644}


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


def test_the_next_process_removes_what_a_killed_one_has_left(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from kinetics_i3d.core.files import atomic_folder, atomic_path\n"
        "with atomic_path(sys.argv[1]) as file, atomic_folder(sys.argv[2]) as folder:\n"
        "    (folder / 'half').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = os.pathsep.join(filter(None, sys.path))
    names = [str(tmp_path / "clip.h5"), str(tmp_path / "model")]
    killed = subprocess.run(
        [sys.executable, "-c", code, *names], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    left = sorted(tmp_path.iterdir())
    assert [name.name.split("-")[0] for name in left] == [".clip", ".model"]
    others = [
        tmp_path / ".clip-00000000-1-abcdefgh.h5",  # another machine's
        tmp_path / f".clip-{left[0].name.split('-')[1]}-{os.getpid()}-abcdefgh.h5",  # alive
        tmp_path / ".clip-abcdefgh.h5",
    ]
    for other in others:
        other.touch()
    with atomic_path(tmp_path / "other.txt") as temporary:
        assert sorted(tmp_path.iterdir()) == sorted([*others, temporary])
        temporary.write_text("whole")


@pytest.mark.parametrize("stem", ["n" * 251, "ü" * 125])
def test_names_of_any_length_that_a_file_system_takes(tmp_path, stem):
    path = tmp_path / f"{stem}.txt"
    with atomic_path(path) as temporary:
        temporary.write_text("whole")
    assert path.read_text() == "whole"


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
        (b"", "no array header"),
        (b"PK\x03\x04" + bytes(200), "no array header"),
        (saved(np.zeros((2, 3), order="F")), "no array header"),
        (saved(np.zeros(3, [("a", "f4")])), "no array header"),
        (saved(np.arange(9.0))[:-1], "71 bytes that should have 72"),
        (saved(np.arange(9.0)) + b"x", "73 bytes that should have 72"),
        (saved(np.arange(9.0)).replace(b"(9,)", b"(10**9,)"), "no array header"),
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
def test_a_full_disk_is_reported_with_the_path(tmp_path, writer):
    with pytest.raises(OSError, match="No space") as raised, writer(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError, match="other") as raised, writer(tmp_path / "b"):
        raise OSError(28, "No space left on device", "other")
    assert raised.value.filename == "other"


def test_the_temporary_name_is_not_in_errors(tmp_path):
    with (
        pytest.raises(OSError, match="No space") as raised,
        atomic_path(tmp_path / "a") as outer,
        atomic_path(outer),  # as where a writer is atomic by itself
    ):
        raise OSError(28, "No space left on device")
    assert raised.value.filename == str(tmp_path / "a") and list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot tell")
def test_a_full_disk_in_a_video_is_reported_with_the_path(tmp_path):
    """PyAV's errors name the temporary file, and their names cannot be set."""
    path = tmp_path / "video.mp4"
    with pytest.raises(OSError, match="No space left") as raised, atomic_path(path) as temporary:
        raise av.error.OSError(errno.ENOSPC, "No space left on device", str(temporary))
    assert raised.value.filename == str(path) and raised.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_space_is_checked_before_a_file_is_written(tmp_path):
    import resource

    check_space(tmp_path / "a", 10**6)
    assert (tmp_path / "a").stat().st_size == 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            check_space(tmp_path / "a", 10**6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_names_that_are_not_utf8_are_refused():
    check_unicode("ünïcode")
    with pytest.raises(UserError, match="must be valid UTF-8"):
        check_unicode(os.fsdecode(b"caf\xe9"))


def test_text_with_a_number_that_python_does_not_read_is_refused(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text(f"{'9' * 999} sit\n")
    assert read_text(path).endswith(" sit\n")
    path.write_text(f"{'9' * 5000} sit\n")
    with pytest.raises(DatasetError, match=r"labels\.txt: has a number of 1000 digits or more"):
        read_text(path)


def test_the_only_member_of_an_archive_must_be_an_array(tmp_path):
    np.savez(tmp_path / "one.npz", a=np.arange(3))
    with np.load(tmp_path / "one.npz") as file:
        assert only_array(file).tolist() == [0, 1, 2]
    with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
        archive.writestr("a", b"no array")
    with (
        np.load(tmp_path / "text.npz") as file,
        pytest.raises(ValueError, match="a is not an array"),
    ):
        only_array(file)


@pytest.mark.parametrize("writer", [atomic_path, atomic_folder])
def test_a_folder_that_takes_no_files_is_told_with_the_path(writer):
    if not os.path.isdir("/proc/self"):
        pytest.skip("needs a folder where nothing can be made")
    with pytest.raises(OSError, match=r"out\.png") as caught, writer("/proc/out.png"):
        pass
    assert caught.value.filename == "/proc/out.png"
