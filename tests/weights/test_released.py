"""The release's table against its real files, and what a cache folder holds of it."""

import json
import math
import os
import pathlib

import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.released import (
    ADDRESS,
    COMMIT,
    RELEASES,
    Release,
    ReleasedFile,
    blob_id,
    cache_folder,
    missing_files,
    state,
)

HELLO = ReleasedFile("hello", 6, "ce013625030ba8dba906f756967f9e9ca394464a")  # git hash-object
EMPTY = ReleasedFile("empty", 0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391")
BOTH = Release("folder", (HELLO, EMPTY))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hello").write_bytes(b"hello\n")
    (tmp_path / "empty").write_bytes(b"")
    return tmp_path


@pytest.fixture
def shapes():
    manifest = pathlib.Path(__file__).parents[1] / "models" / "inception_i3d_manifest.json"
    return json.loads(manifest.read_text())


def test_blob_ids_are_those_of_git(folder):
    assert blob_id(folder / "hello") == HELLO.blob and blob_id(folder / "empty") == EMPTY.blob
    assert BOTH.size == 6


def test_ids_and_sizes_are_those_of_the_real_release(shared):
    reference = shared / "reference" / "deepmind"
    lines = (reference / "blobs.txt").read_text().splitlines()
    ids = dict(line.split(" ", 1)[::-1] for line in lines)
    assert len(RELEASES) == 5
    for name, release in RELEASES.items():
        index, data = release.files
        real = reference / f"{name}.index"
        assert release.folder == name and index.name == "model.ckpt.index"
        assert data.name == "model.ckpt.data-00000-of-00001"
        assert (index.size, index.blob) == (real.stat().st_size, blob_id(real))
        for file in release.files:
            assert ids[f"data/checkpoints/{name}/{file.name}"] == file.blob


def test_sizes_of_the_data_are_those_of_the_tensors(shapes):
    values = {name: math.prod(shape) for name, shape in shapes.items()}
    rgb = sum(values.values())
    # A kernel of 7 x 7 x 7 reads 2 channels in the place of 3; 200 more classes have 1024 + 1 each.
    flow, large = rgb - 7**3 * 64, rgb + 200 * 1025
    # With momentum of whatever is trained; the moving statistics are not.
    trained = large - sum(size for name, size in values.items() if "/moving_" in name)
    sizes = {name: release.files[1].size for name, release in RELEASES.items()}
    assert sizes == {
        "rgb_imagenet": 4 * rgb,
        "rgb_scratch": 4 * rgb,
        "flow_imagenet": 4 * flow,
        "flow_scratch": 4 * flow,
        "rgb_scratch_kin600": 4 * (large + trained),
    }


def test_the_address_is_that_of_one_commit():
    assert len(COMMIT) == 40 and int(COMMIT, 16)
    assert ADDRESS.split("/")[2:] == [
        "raw.githubusercontent.com",
        "google-deepmind",
        "kinetics-i3d",
        COMMIT,
        "data",
        "checkpoints",
    ]


def test_the_cache_is_where_the_user_says(monkeypatch, tmp_path):
    monkeypatch.delenv("KINETICS_I3D_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "kinetics_i3d"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "kinetics_i3d"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == pathlib.Path("/xdg/kinetics_i3d")
    monkeypatch.setenv("KINETICS_I3D_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    assert cache_folder("/argument") == pathlib.Path("/argument")


def test_without_a_home_a_folder_has_to_be_named(monkeypatch):
    monkeypatch.delenv("KINETICS_I3D_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def nowhere():
        raise RuntimeError("no home")

    monkeypatch.setattr(pathlib.Path, "home", nowhere)
    with pytest.raises(WeightsError, match="set KINETICS_I3D_CACHE to a folder for downloads"):
        cache_folder()


def test_files_are_verified_once_and_then_trusted(folder, monkeypatch):
    assert state(folder, BOTH) == "to verify"
    assert missing_files(folder, BOTH) == []
    assert state(folder, BOTH) == "cached"
    # Trusted means not read: another content under the same size and time stays unseen.
    before = (folder / "hello").stat()
    (folder / "hello").write_bytes(b"jello\n")
    os.utime(folder / "hello", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert missing_files(folder, BOTH) == []
    os.utime(folder / "hello")
    assert state(folder, BOTH) == "to verify" and missing_files(folder, BOTH) == [HELLO]


def test_the_stamp_is_of_one_content(folder):
    assert missing_files(folder, BOTH) == []
    other = Release("folder", (ReleasedFile("hello", 6, "0" * 40),))
    assert state(folder, other) == "to verify" and missing_files(folder, other) == list(other.files)


@pytest.mark.parametrize("content", [b"", b"hello", b"hello\n\n", None])
def test_another_length_or_nothing_is_lacking(folder, content):
    (folder / "hello").unlink()
    if content is None:
        (folder / "hello").mkdir()
    else:
        (folder / "hello").write_bytes(content)
    assert missing_files(folder, BOTH) == [HELLO]
    assert state(folder, BOTH) == "to download"
    assert missing_files(folder / "none", BOTH) == [HELLO, EMPTY]


@pytest.mark.parametrize("text", ["", "{", "[]", "\udcff", '{"hello": 7}'])
def test_a_damaged_stamp_is_none(folder, text):
    (folder / "verified.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert state(folder, BOTH) == "to verify"
    assert missing_files(folder, BOTH) == [] and state(folder, BOTH) == "cached"


def test_a_cache_that_cannot_be_written_is_verified_each_time(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("kinetics_i3d.weights.released.atomic_path", refuse)
    assert missing_files(folder, BOTH) == [] and state(folder, BOTH) == "to verify"
    (folder / "hello").write_bytes(b"jello\n")
    assert missing_files(folder, BOTH) == [HELLO]


def test_a_file_that_cannot_be_read_is_one_line(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("kinetics_i3d.weights.released.blob_id", refuse)
    with pytest.raises(WeightsError, match=r"hello: cannot be read \(Permission denied\)"):
        missing_files(folder, BOTH)
