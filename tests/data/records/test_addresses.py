"""Addresses: records behind a scheme are read as those of a folder are, and what fails is told.

`ram://` is a file system of TensorFlow's own; s3:// is tested by `make compat`.
"""

import argparse
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.cli.arguments import read_dataset
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data import transforms
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.pipeline import training_clips
from kinetics_i3d.data.records import addresses as systems
from kinetics_i3d.data.records.addresses import Address, path_or_address
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare, verify_records
from kinetics_i3d.data.records.reader import Records
from kinetics_i3d.data.video_dataset import Video, VideoDataset

CONFIG = PrepareConfig(
    streams=("rgb",), spec=ClipSpec("small", short_side=64, size=64), shard_size=2
)
FILES = ["train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"]


@pytest.fixture(scope="module")
def folder(coded_video, tmp_path_factory):
    """Records of three videos in two shards."""
    videos = tuple(
        Video(coded_video(5, first=10 * number), "sit", "train", str(number)) for number in range(3)
    )
    where = tmp_path_factory.mktemp("records")
    prepare(VideoDataset("small", ("sit", "stand"), videos), where, CONFIG)
    return where


@pytest.fixture
def far(folder, request):
    """A copy of them behind a scheme."""
    where = f"ram://{request.node.name}/records"
    for path in folder.iterdir():
        with tf.io.gfile.GFile(f"{where}/{path.name}", "wb") as file:
            file.write(path.read_bytes())
    return where


def test_a_scheme_makes_an_address_and_nothing_else_does():
    found = path_or_address("s3://bucket/a b/")
    assert str(found) == "s3://bucket/a b/" and found.scheme == "s3" and found.name == "a b"
    assert str(found / "manifest.json") == "s3://bucket/a b/manifest.json"
    assert path_or_address(found) is found
    for plain in ("a/b", "/a//b", "c://b", "s3:/b", pathlib.Path("a")):
        assert path_or_address(plain) == pathlib.Path(plain)


@pytest.mark.slow
def test_records_behind_a_scheme_are_those_of_the_folder(far, folder):
    there, here = Records(far), Records(folder)
    assert there.manifest == here.manifest
    shards = there.shards("train")
    assert [(str(path), count) for path, count in shards] == [
        (f"{far}/{name}", count) for name, count in zip(FILES, (2, 1), strict=True)
    ]
    assert [path.stat().st_size for path, _ in shards] == [
        path.stat().st_size for path, _ in here.shards("train")
    ]
    plain = transforms.normalize(CONFIG.spec)
    one, other = (
        next(
            iter(
                training_clips(
                    open_dataset(where).split("train"),
                    spec=CONFIG.spec,
                    frames=4,
                    batch_size=3,
                    augment=plain,
                )
            )
        )
        for where in (far, folder)
    )
    for found, wanted in zip(one, other, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_train_finds_them_by_their_address(far):
    options = argparse.Namespace(dataset=far, kind=None, videos=None, split_number=1)
    for found in (read_dataset(options), open_dataset(far)):
        assert isinstance(found, Records) and found.count("train") == 3


def test_verify_reads_them_there(far):
    assert verify_records(far) == []
    first, second = (Address(f"{far}/{name}") for name in FILES)
    with first.open() as file:
        content = file.read()
    tf.io.gfile.remove(str(first))  # "wb" would add to what is there
    with tf.io.gfile.GFile(str(first), "wb") as file:
        file.write(content[:-1] + bytes([content[-1] ^ 1]))
    tf.io.gfile.remove(str(second))
    (one, changed), (other, gone) = verify_records(far)
    assert (one, other) == (first, second)
    assert "SHA-256 differs" in changed and gone == "missing"
    with pytest.raises(DatasetError, match=rf"^{second}: no such shard"):
        Records(far).shards("train")


def test_what_is_missing_or_fails_is_reported_in_one_line_with_its_address(far):
    with pytest.raises(DatasetError, match=r"^ram://none/manifest.json: no such .*does not answer"):
        Records("ram://none")
    for act in (Address.stat, Address.read_text):
        with pytest.raises(DatasetError, match=r"^ram://none: cannot be read \(.+\)$"):
            act(Address("ram://none"))
    assert not Address(far).is_file()  # a folder


def test_a_scheme_that_is_unknown_names_what_would_know_it():
    with pytest.raises(DatasetError) as raised:
        Records("nine9://bucket/records")
    message = str(raised.value)
    assert message.startswith("nine9://bucket/records/manifest.json: TensorFlow 2.")
    assert "has no file system for nine9://" in message and "kinetics-i3d[io]" in message
    assert "\n" not in message


def test_tensorflow_io_is_loaded_for_a_scheme_that_tensorflow_lacks(tmp_path, monkeypatch):
    schemes, registered = ["ram"], []
    (tmp_path / "tensorflow_io.py").write_text("import asked\nasked.schemes.append('nine9')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "asked", type("asked", (), {"schemes": schemes}))
    monkeypatch.delitem(sys.modules, "tensorflow_io", raising=False)
    monkeypatch.setattr(tf.io.gfile, "get_registered_schemes", lambda: schemes)
    monkeypatch.setattr(systems.atexit, "register", registered.append)
    assert systems.file_systems("ram", address="ram://a") is tf.io.gfile
    assert "tensorflow_io" not in sys.modules and registered == []
    assert systems.file_systems("nine9", address="nine9://a") is tf.io.gfile
    assert registered == [systems.leave_before_destructors]
    sys.modules.pop("tensorflow_io")


@pytest.mark.skipif(sys.platform != "linux", reason="the workaround is for Linux")
@pytest.mark.parametrize(("guard", "code"), [(True, 7), (False, -6)])
def test_the_exit_code_outlives_a_destructor_that_aborts(guard, code):
    program = f"""
import atexit, ctypes, sys
from kinetics_i3d.data.records.addresses import leave_before_destructors
libc = ctypes.CDLL(None)
libc.on_exit(ctypes.cast(libc.abort, ctypes.c_void_p), None)
if {guard}:
    atexit.register(leave_before_destructors)
print("done")
sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (code, b"done\n")


def test_prepare_does_not_write_to_an_address(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = VideoDataset("small", ("sit",), ())
    with pytest.raises(
        DatasetError, match=r"^s3://bucket/out: records can only be written to a local"
    ):
        prepare(empty, "s3://bucket/out", CONFIG)
    assert list(tmp_path.iterdir()) == []
