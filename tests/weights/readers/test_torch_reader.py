"""PyTorch's state dicts: files that PyTorch wrote, and ours, which it reads.

Both files beside this one are of PyTorch 2.13, with random numbers; `state` has a transposed
tensor, two that share a storage, a counter, halves of both kinds and a parameter:
    torch.save({"state_dict": dict of the first four}, "torch_zip.pt")
    torch.save(state, "torch_legacy.pth", _use_new_zipfile_serialization=False)
"""

import io
import pathlib
import pickle
import pickletools
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.torch import (
    LEGACY_MAGIC,
    LEGACY_VERSION,
    read_torch,
    write_torch,
)

HERE = pathlib.Path(__file__).parent
# As PyTorch printed them.
STATE = {
    "conv.weight": [
        [-0.19741509854793549, -0.7625571489334106],
        [1.9427834749221802, 0.6312134265899658],
        [-1.4017020463943481, -0.899135172367096],
    ],
    "conv.bias": [-0.4867807626724243, -0.6038215756416321],
    "bn.weight": [-0.5580962300300598, 0.6675242781639099],
    "bn.num_batches_tracked": 7,
    "half": [-0.5576171875, 0.69091796875],
    "brain": [0.22265625, -0.66796875],
    "scale": 1.5,
}


@pytest.mark.parametrize(("name", "count"), [("torch_zip.pt", 4), ("torch_legacy.pth", 7)])
def test_files_of_pytorch(name, count):
    found = read_torch(HERE / name)
    assert list(found) == list(STATE)[:count]
    for key, array in found.items():
        counter = key == "bn.num_batches_tracked"
        assert array.dtype == (np.int64 if counter else np.float32)
        np.testing.assert_array_equal(array, np.array(STATE[key], array.dtype))
        assert array.flags.c_contiguous and array.flags.owndata and array.flags.writeable


ARRAYS = {
    "conv.weight": np.random.default_rng(0).normal(size=(4, 3, 1, 2, 2)).astype("f4"),
    "bn.scale": np.float32(2.5),
    "bn.num_batches_tracked": np.int64(2**40),
    "ünï": np.array([[1.0, 2.0], [3.0, 4.0]]).T,
    "none": np.zeros((0, 3), "f4"),
}


def test_what_is_written_is_read(tmp_path):
    write_torch(tmp_path / "m.pt", ARRAYS)
    found = read_torch(tmp_path / "m.pt")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_the_written_file_is_made_as_pytorch_makes_it(tmp_path):
    write_torch(tmp_path / "m.pt", ARRAYS)
    with zipfile.ZipFile(tmp_path / "m.pt") as file:
        code = file.read("archive/data.pkl")
        assert file.read("archive/data/0") == ARRAYS["conv.weight"].tobytes()
        raw = (tmp_path / "m.pt").read_bytes()
        for info in file.infolist():
            assert info.compress_type == zipfile.ZIP_STORED and info.date_time[0] == 1980
            if "/data/" in info.filename:  # aligned, so that PyTorch can map it
                lengths = np.frombuffer(raw, "<u2", 2, info.header_offset + 26)
                assert (info.header_offset + 30 + lengths.sum()) % 64 == 0
    names = {arg for opcode, arg, _ in pickletools.genops(code) if opcode.name == "GLOBAL"}
    assert names == {
        "collections OrderedDict",
        "torch._utils _rebuild_tensor_v2",
        "torch FloatStorage",
        "torch LongStorage",
    }

    # Python's own machine, with stand-ins for PyTorch, has to see the same tensors.
    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            return {"OrderedDict": dict, "_rebuild_tensor_v2": lambda *a: a[:4]}.get(name, name)

        def persistent_load(self, reference):
            return reference

    state = Unpickler(io.BytesIO(code)).load()
    storage, offset, shape, strides = state["conv.weight"]
    assert storage == ("storage", "FloatStorage", "0", "cpu", 48)
    assert (offset, shape, strides) == (0, (4, 3, 1, 2, 2), (12, 4, 4, 2, 1))
    assert state["bn.num_batches_tracked"][0][1] == "LongStorage"


def test_pytorch_itself_reads_it(tmp_path):
    pytest.importorskip("torch")
    write_torch(tmp_path / "m.pt", ARRAYS)
    code = "import sys, torch; print(sorted(torch.load(sys.argv[1], weights_only=True)))"
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.pt")], capture_output=True, text=True
    )
    assert done.stdout.strip() == str(sorted(ARRAYS)), done.stderr


def test_bits_of_an_old_file(tmp_path):
    whole = (HERE / "torch_legacy.pth").read_bytes()
    path = tmp_path / "m.pth"
    for bad, why in (
        (whole + b"\0", "1 bytes are left after the storages"),
        (whole[:-1], "is truncated or has another size"),
        (whole.replace(b"little_endian\x71\x02\x88", b"little_endian\x71\x02\x89"), "big-endian"),
        (b"\x80\x02K\x07." + whole, "a pickle, but not one of torch.save"),
        (whole.replace(b"\xe9\x03", b"\xe8\x03", 1), "a pickle, but not one of torch.save"),
    ):
        assert bad != whole
        path.write_bytes(bad)
        with pytest.raises(WeightsError, match=why):
            read_torch(path)


def test_an_old_file_of_a_whole_training(tmp_path):
    def text(value):
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    def tensor(key, length):
        size = b"K" + bytes([length])
        return (
            b"ctorch._utils\n_rebuild_tensor_v2\n(("
            + b"".join([text("storage"), b"ctorch\nFloatStorage\n", text(key), text("cpu"), size])
            + b"".join([b"tQK\x00", size, b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR"])
        )

    state = text("state_dict") + b"}(" + text("conv.weight") + tensor("0", 2) + b"u"
    optimizer = text("optimizer") + b"](" + tensor("1", 3) + b"e"
    heads = (LEGACY_MAGIC, LEGACY_VERSION, {"little_endian": True})
    (tmp_path / "m.pth").write_bytes(
        b"".join(pickle.dumps(head, 2) for head in heads)
        + (b"\x80\x02}(" + state + optimizer + b"u.")
        + pickle.dumps(["0", "1"], 2)
        + (struct.pack("<q2f", 2, 1.5, 2.5) + struct.pack("<q3f", 3, 1, 2, 3))
    )
    arrays = read_torch(tmp_path / "m.pth")
    assert {name: array.tolist() for name, array in arrays.items()} == {"conv.weight": [1.5, 2.5]}


def test_other_files(tmp_path):
    with pytest.raises(WeightsError, match="none: no such file"):
        read_torch(tmp_path / "none")
    (tmp_path / "x").write_text("weights")
    with pytest.raises(WeightsError, match=r"x: not a file of torch\.save"):
        read_torch(tmp_path / "x")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "i3d."])
def test_what_wrappers_put_before_every_name_is_removed(tmp_path, prefix):
    write_torch(tmp_path / "x.pt", {f"{prefix}{name}": array for name, array in ARRAYS.items()})
    assert list(read_torch(tmp_path / "x.pt")) == list(ARRAYS)
    write_torch(
        tmp_path / "y.pt", {f"{prefix}conv.weight": ARRAYS["bn.scale"], "head": ARRAYS["ünï"]}
    )
    assert list(read_torch(tmp_path / "y.pt")) == [f"{prefix}conv.weight", "head"]
