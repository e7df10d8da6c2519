"""TF-Slim's archive is read where it lies; nothing leaves the temporary folder."""

import io
import tarfile

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.layouts import LAYOUTS
from kinetics_i3d.weights.read import read_weights
from kinetics_i3d.weights.readers import archive as archives
from kinetics_i3d.weights.readers.archive import checkpoint_in_tar, is_tar


def archive(path, members):
    """A tar archive of {name: bytes, or what a `TarInfo` shall have}."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for field, value in content.items():
                    setattr(info, field, value)
                content = b""
            else:
                info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def test_a_checkpoint_of_slim_is_read(tmp_path):
    pytest.importorskip("tensorflow")
    from tensorflow_checkpoint import save

    random, arrays = np.random.default_rng(0), {}
    for name, ours in LAYOUTS["slim"].names().items():
        shape = (1, 1, 3, 2) if ours.endswith("/kernel") else (2,)
        if not ours.endswith("/gamma"):
            arrays[name] = random.uniform(0.5, 1, shape).astype(np.float32)
    prefix = save(arrays, tmp_path / "inception_v1.ckpt")
    parts = {f"./{part.name}": part.read_bytes() for part in tmp_path.glob("inception_v1.ckpt*")}
    path = archive(tmp_path / "inception_v1_2016_08_28.tar.gz", parts | {"readme.txt": b"text"})
    read, plain = read_weights(path), read_weights(prefix)
    assert (read.info, read.path) == (plain.info, path) and read.info.rank == 2
    for name, array in plain.arrays.items():
        np.testing.assert_array_equal(read.arrays[name], array)


def test_names_lose_their_folders_and_links_are_passed_over(tmp_path):
    (tmp_path / "outside.ckpt").write_bytes(b"kept")
    members = {
        "../../outside.ckpt": b"one",
        "/etc/link.ckpt": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        "hard.ckpt": {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"},
        "device.ckpt": {"type": tarfile.CHRTYPE},
        "run.sh": b"echo",
    }
    path = archive(tmp_path / "a.tgz", members)
    with checkpoint_in_tar(path) as prefix:
        assert prefix.name == "outside.ckpt" and prefix.read_bytes() == b"one"
        assert [file.name for file in prefix.parent.iterdir()] == ["outside.ckpt"]
    assert not prefix.parent.exists()
    assert (tmp_path / "outside.ckpt").read_bytes() == b"kept"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"readme.txt": b"text"}, "has none"),
        ({"a.ckpt": b"1", "b.ckpt": b"2"}, "has a.ckpt, b.ckpt"),
        ({"x/a.ckpt": b"1", "y/a.ckpt": b"2"}, "occurs twice"),
    ],
)
def test_an_archive_without_one_checkpoint_is_refused(tmp_path, members, why):
    with pytest.raises(WeightsError, match=why):
        read_weights(archive(tmp_path / "a.tar", members))


def test_a_huge_header_is_refused_before_it_is_read(tmp_path):
    """`tarfile` would read it whole, before the limits on members and sizes."""
    info = tarfile.TarInfo("a.ckpt")
    info.pax_headers = {"comment": "x" * (3 * 2**20)}
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as file:
        file.addfile(info)
    assert (tmp_path / "a.tar.gz").stat().st_size < 10_000
    with pytest.raises(WeightsError, match=r"a\.tar\.gz: has a header of 31\d+ bytes, too many"):
        read_weights(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x02", b"\x89HDF"])
def test_a_file_of_another_format_is_no_tar_archive(tmp_path, start):
    """PyTorch's ImageNet example writes model_best.pth.tar."""
    (tmp_path / "model_best.pth.tar").write_bytes(start + bytes(1000))
    assert not is_tar(tmp_path / "model_best.pth.tar")
    for name in ("a.ckpt", "PKU.ckpt"):  # an archive begins with the name of a file
        assert is_tar(archive(tmp_path / "a.tar", {name: b"1"}))


def test_archives_that_are_too_large_or_damaged_are_refused(tmp_path, monkeypatch):
    path = archive(tmp_path / "a.tar.gz", {"a.ckpt": bytes(5000), "b.txt": bytes(5000)})
    whole = path.read_bytes()
    monkeypatch.setattr(archives, "_MAX_TAR_TOTAL", 9000)
    with pytest.raises(WeightsError, match="would unpack to more"):
        read_weights(path)
    monkeypatch.setattr(archives, "_MAX_TAR_MEMBERS", 1)
    with pytest.raises(WeightsError, match="has more than 1 members"):
        read_weights(path)
    monkeypatch.undo()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsError, match="not a complete tar file"):
        read_weights(path)
    (tmp_path / "text.tar.gz").write_text("no archive")
    with pytest.raises(WeightsError, match="not a complete tar file"):
        read_weights(tmp_path / "text.tar.gz")
