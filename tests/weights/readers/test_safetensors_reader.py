"""safetensors: our writer against the format's words, our reader against files made by hand."""

import hashlib
import json
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.readers.safetensors import (
    read_safetensors,
    read_safetensors_metadata,
    write_safetensors,
)

ARRAYS = {
    "half": np.array([1.5, -2], "f2"),
    "b/kernel": np.random.default_rng(0).normal(size=(2, 3, 4)).astype("f4").transpose(2, 0, 1),
    "double": np.array([[0.1]]),
    "brain": np.array([3.0], ml_dtypes.bfloat16),
    "scalar": np.float32(7),
    "step": np.int64(5),
    "big": np.arange(3, dtype=">f4"),
    "none": np.zeros((0, 2), "f4"),
}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, ARRAYS, {"by": "me", "ü": "{}"})
    found = read_safetensors(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].dtype == (np.int64 if name == "step" else np.float32)
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array.astype(found[name].dtype))
    assert read_safetensors_metadata(path) == {"by": "me", "ü": "{}"}
    write_safetensors(path, {})
    assert (read_safetensors(path), read_safetensors_metadata(path)) == ({}, {})


def test_an_empty_tensor_may_have_a_long_axis(tmp_path):
    path, shape = tmp_path / "m.safetensors", (2**48, 0)
    write_safetensors(path, {"a": np.zeros(shape, "f4")})
    assert read_safetensors(path)["a"].shape == shape


def test_the_bytes_are_the_formats(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"a": np.array([1, 2], "f2"), "b": np.array([[3.0]], "f4")})
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    assert length % 8 == 0 and raw[8:9] == b"{"
    header = json.loads(raw[8 : 8 + length])
    assert list(header.pop("__metadata__")) == ["sha256_of_tensors"]
    assert header == {
        "b": {"dtype": "F32", "shape": [1, 1], "data_offsets": [0, 4]},
        "a": {"dtype": "F16", "shape": [2], "data_offsets": [4, 8]},
    }
    assert raw[8 + length :] == b"\0\0\x40\x40" + b"\0\x3c\0\x40"


def test_the_checksum_is_what_it_says(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"b": np.ones((1, 2), "f2"), "a": np.float32(3)}, {"by": "me"})
    parts = []
    for name, kind, shape, data in (
        ("__metadata__", "uint8", (12,), b'{"by": "me"}'),
        ("a", "float32", (), np.float32(3).tobytes()),
        ("b", "float16", (1, 2), b"\0\x3c\0\x3c"),
    ):
        parts.append(hashlib.sha256(repr((name, kind, shape)).encode() + data).hexdigest())
    whole = hashlib.sha256("".join(sorted(parts)).encode())
    assert whole.hexdigest().encode() in path.read_bytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"\0\x3c\0\x40", b"\0\x3c\0\xc0"), (b'"a"', b'"c"'), (b'"me"', b'"us"')],
    ids=["value", "name", "metadata"],
)
def test_damage_is_seen_by_the_checksum(tmp_path, old, new):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"a": np.array([1, 2], "f2")}, {"by": "me"})
    raw = path.read_bytes()
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, new))
    with pytest.raises(WeightsError, match=r"m\.safetensors: damaged: .* checksum"):
        read_safetensors(path)


def test_a_file_without_a_checksum_is_not_read_in_silence(tmp_path, caplog):
    header = b'{"x":{"shape":[1],"data_offsets":[0,4],"dtype":"F32"}}'
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\x80\x3f")
    with caplog.at_level("WARNING", "absl"):
        assert read_safetensors(tmp_path / "m")["x"] == [1.0]
    (line,) = caplog.messages
    assert str(tmp_path / "m") in line and "no checksum" in line


def test_a_file_made_by_hand(tmp_path):
    header = b'{"x":{"shape":[1,2],"data_offsets":[0,4],"dtype":"BF16"}}   '
    raw = len(header).to_bytes(8, "little") + header + b"\x80\x3f\x00\xc0"
    (tmp_path / "m").write_bytes(raw)
    np.testing.assert_array_equal(read_safetensors(tmp_path / "m")["x"], [[1.0, -2.0]])


@pytest.mark.parametrize(
    ("arrays", "metadata"),
    [({"a": np.array(["x"])}, None), ({"__metadata__": np.ones(1)}, None), ({}, {"a": 1})],
)
def test_what_the_format_cannot_hold(tmp_path, arrays, metadata):
    with pytest.raises(ValueError, match=r"^`(arrays|metadata)` must be .* Received: "):
        write_safetensors(tmp_path / "m", arrays, metadata)
    assert not list(tmp_path.iterdir())


def test_bfloat16_is_read_in_a_process_that_has_not_imported_it(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"brain": ARRAYS["brain"]})
    code = (
        "from kinetics_i3d.weights.readers.safetensors import read_safetensors as read;"
        f"print(read({str(path)!r})['brain'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[3.]\n"


def test_the_same_weights_give_the_same_file(tmp_path):
    files = []
    for number in range(8):
        path = tmp_path / f"{number}.safetensors"
        write_safetensors(path, ARRAYS, {"by": "me", "for": "you", "at": "home"})
        files.append(path.read_bytes())
    assert len(set(files)) == 1


def test_the_library_reads_what_is_written(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, ARRAYS, {"by": "me"})
    found = load_file(path)
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_a_missing_file(tmp_path):
    for read in (read_safetensors, read_safetensors_metadata):
        with pytest.raises(WeightsError, match="none: no such file"):
            read(tmp_path / "none")
