"""`Storage`: whole files or none, on any file system; `find_inputs`: its videos."""

import errno
import os
import pathlib

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.inference.feature_metadata import video_identity
from kinetics_i3d.scale.storage import (
    Storage,
    find_inputs,
    open_storage,
    remote_identity,
    without_secrets,
)
from kinetics_i3d.video.writer import write_video

pytest.importorskip("pyarrow", reason="the extra `scale` is not installed")


@pytest.fixture
def tree(tmp_path):
    """A folder of two videos, one inside a subfolder, and files that are none."""
    folder = tmp_path / "videos"
    frames = np.random.default_rng(0).integers(0, 256, (8, 32, 48, 3), np.uint8)
    for name in ("b.mp4", "inside/a.mp4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(folder / name, frames, fps=25)
    for name in ("notes.md", ".hidden.mp4", "b.mp4.flow.mp4"):
        (folder / name).write_text("no video")
    return folder


@pytest.mark.parametrize("kind", ["path", "address", "subtree"])
def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch, remote, kind):
    storage = {
        "path": lambda: open_storage(tmp_path / "out"),
        "address": lambda: open_storage((tmp_path / "out").as_uri()),
        "subtree": lambda: remote(tmp_path, "store://bucket"),
    }[kind]()
    assert storage.is_local == (kind != "subtree")
    storage.write("inside/x.bin", b"first")
    storage.write("inside/x.bin", b"second")
    assert storage.read("inside/x.bin") == b"second" and storage.exists("inside/x.bin")
    assert storage.names() == storage.names("inside") == ["inside/x.bin"]
    assert not storage.exists("inside") and storage.names("absent") == []

    def full(self, path, data):
        with self.files.open_output_stream(path) as file:
            file.write(data[:2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Storage, "_put", full)
    with pytest.raises(UserError, match=r"inside/x.bin: cannot be written \(.*No space left"):
        storage.write("inside/x.bin", b"third")
    assert storage.read("inside/x.bin") == b"second" and storage.names() == ["inside/x.bin"]


@pytest.mark.parametrize("address", ["nowhere://bucket/x", "s3:///", "file://relative/path"])
def test_an_unknown_address_is_one_line(address):
    with pytest.raises(UserError, match="not an address that Arrow reads") as caught:
        open_storage(address)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(address)


def test_secrets_of_an_address_are_not_shown():
    address = "nowhere://KEY:SECRET@bucket/x?token=SECRET"
    with pytest.raises(UserError, match="not an address that Arrow reads") as caught:
        open_storage(address)
    assert "SECRET" not in str(caught.value) and str(caught.value).startswith("nowhere://bucket/x:")
    assert str(open_storage("s3://KEY:SECRET@bucket/x/?region=eu-west-1")) == "s3://bucket/x"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("s3://KEY:SEC/RET@bucket/x", "s3://bucket/x"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("gs://token@bucket/x", "gs://bucket/x"),
        ("abfs://videos@account.dfs.example.org/in", "abfs://videos@account.dfs.example.org/in"),
        ("hdfs://host:9000/a@b/c", "hdfs://host:9000/a@b/c"),
    ],
)
def test_other_parts_of_an_address_are_shown(address, shown):
    assert without_secrets(address) == shown


def test_the_same_videos_by_path_and_by_address(tree):
    local, names = find_inputs(tree)
    assert names == ["b.mp4", "inside/a.mp4"] and local.is_local
    assert find_inputs(tree.as_uri())[1] == names
    assert find_inputs(f"{tree.as_uri()}/inside/a.mp4")[1] == ["a.mp4"]
    parent, name = find_inputs(f"{tree.as_uri()}/inside/a.mp4#t=0.1,0.2")
    assert name == ["a.mp4#t=0.1,0.2"] and parent.exists("a.mp4")
    with parent.local_video(name[0]) as path:
        assert path == f"{tree}/inside/a.mp4#t=0.1,0.2"


def test_an_address_without_videos_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no video in this folder"):
        find_inputs(tmp_path.as_uri())
    with pytest.raises(UserError, match="there is no such file or folder"):
        find_inputs(f"{tmp_path.as_uri()}/absent")


def test_a_table_of_videos_is_read_as_by_the_other_verbs(tree):
    (tree / "list.csv").write_text("path,label\ninside/a.mp4,sit\nb.mp4,stand\n")
    assert find_inputs(tree / "list.csv")[1] == ["inside/a.mp4", "b.mp4"]


def test_a_remote_video_is_copied_for_the_time_of_a_block_with_its_stored_flow(tree, remote):
    storage = remote(tree)
    flow_path(tree / "b.mp4").write_bytes(b"flow")
    with storage.local_video("b.mp4#t=0,0.2", flow_spec=DEEPMIND_FLOW) as path:
        copy = path.removesuffix("#t=0,0.2")
        assert pathlib.Path(copy).read_bytes() == (tree / "b.mp4").read_bytes()
        assert flow_path(copy).read_bytes() == b"flow"
        assert os.path.dirname(copy) != str(tree)
    assert not os.path.exists(copy)
    with (
        pytest.raises(VideoError, match=r"store://bucket/absent\.mp4: there is no such file"),
        storage.local_video("absent.mp4"),
    ):
        pass


def test_both_ends_of_a_remote_video_identify_it_as_its_path_does(tree, remote):
    big = tree / "big.mp4"
    big.write_bytes(np.random.default_rng(0).bytes(300_000))
    for name in ("b.mp4", "big.mp4", "big.mp4#t=1,2"):
        assert remote_identity(remote(tree), name) == video_identity(str(tree / name))
    with pytest.raises(VideoError, match=r"store://bucket/absent\.mp4: there is no such file"):
        remote_identity(remote(tree), "absent.mp4")
    before = remote_identity(remote(tree), "big.mp4")
    assert before["bytes"] == 300_000
    for position in (0, -1):
        data = bytearray(big.read_bytes())
        data[position] ^= 1
        (tree / "changed.mp4").write_bytes(data)
        changed = remote_identity(remote(tree), "changed.mp4")
        assert changed["sha256"] != before["sha256"], position


def test_a_file_at_the_top_of_a_file_system_is_written(tmp_path, remote):
    storage = remote(tmp_path)
    storage.write("x.bin", b"first")
    assert storage.read("x.bin") == b"first" and storage.names() == ["x.bin"]
