"""Checkpoint files: what is written is read, and anything else is refused in one line."""

import json

import h5py
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.checkpoint import (
    Checkpoint,
    WeightsInfo,
    read_checkpoint,
    write_checkpoint,
)

INFO = WeightsInfo(
    "inception_v1",
    3,
    ClipSpec("own", stream="flow", fps=12.5, short_side=40, size=32, low=-3.0, high=2.0),
    classes=2,
    labels=("sit", "stand up – ünïcode"),
    about={"top1": 0.5, "command": ["a", "b"]},
)


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {
        "b/kernel": random.normal(0, 1, (3, 3, 2, 4)).astype(np.float32),
        "a/bias": random.normal(0, 1, 4).astype(np.float32),
        "c/moving_variance": np.float32(2.5),
        "a/kernel": np.array([1e-30, -1e30, 0.0], np.float32),
    }


@pytest.fixture
def path(tmp_path, arrays):
    write_checkpoint(tmp_path / "mine.h5", Checkpoint(INFO, arrays))
    return tmp_path / "mine.h5"


def test_float32_comes_back_to_the_bit(path, arrays):
    read = read_checkpoint(str(path))
    assert read.info == INFO and read.path == path
    assert read.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read.arrays[name].dtype == np.float32 and read.arrays[name].shape == array.shape
        np.testing.assert_array_equal(read.arrays[name], array)


def test_the_header_is_one_line_of_json():
    text = INFO.to_json()
    assert "\n" not in text and WeightsInfo.from_json(text) == INFO
    fields = json.loads(text)
    assert fields["format"] == 1 and fields["clip_spec"]["fps"] == 12.5
    plain = WeightsInfo("a", 2, ClipSpec("b"))
    assert WeightsInfo.from_json(plain.to_json()) == plain
    assert (plain.classes, plain.labels, plain.about) == (0, (), {})


def test_float16_is_rounded_and_read_as_float32(tmp_path):
    values = np.random.default_rng(1).normal(0, 1, 1000).astype(np.float32)
    write_checkpoint(tmp_path / "half.h5", Checkpoint(INFO, {"a/kernel": values}), dtype="float16")
    with h5py.File(tmp_path / "half.h5") as file:
        assert file["a/kernel"].dtype == np.float16
    read = read_checkpoint(tmp_path / "half.h5").arrays["a/kernel"]
    assert read.dtype == np.float32 and not np.array_equal(read, values)
    np.testing.assert_allclose(read, values, rtol=2**-11, atol=2**-25)


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.nan, "float32"), (np.inf, "float32"), (7e4, "float16")]
)
def test_values_that_are_not_finite_are_refused(tmp_path, path, arrays, value, dtype):
    arrays["a/bias"][2] = value
    before = path.read_bytes()
    arrays["a/kernel"] = arrays["a/kernel"][:1]  # 1e30 is too much for float16 too
    why = f"mine.h5: a/bias has values that are not finite in {dtype}"
    with pytest.raises(WeightsError, match=why):
        write_checkpoint(path, Checkpoint(INFO, arrays), dtype=dtype)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def header(**changes):
    return json.dumps(json.loads(INFO.to_json()) | changes)


def other_hdf5(path, text=None):
    with h5py.File(path, "w") as file:
        file["a/kernel"] = np.zeros(3)
        if text is not None:
            file.attrs["kinetics_i3d"] = text


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "no HDF5": lambda path: path.write_text("weights\nof mine"),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "another HDF5": other_hdf5,
    "no JSON": lambda path: other_hdf5(path, "weights"),
    "JSON, but no dictionary": lambda path: other_hdf5(path, "[1]"),
    "a number": lambda path: other_hdf5(path, 7),
    "a later format": lambda path: other_hdf5(path, header(format=2)),
    "no format": lambda path: other_hdf5(path, header().replace("format", "form")),
    "a strange field": lambda path: other_hdf5(path, header(colour="red")),
    "a wrong spec": lambda path: other_hdf5(path, header(clip_spec={"name": "x", "fps": -1})),
    "no labels": lambda path: other_hdf5(path, header(labels=None)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_anything_else_is_refused_in_one_line_with_its_path(path, damage):
    DAMAGE[damage](path)
    with pytest.raises(WeightsError) as raised:
        read_checkpoint(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: not a checkpoint of kinetics_i3d (")
    assert "\n" not in message and len(message) > len(str(path)) + 40


def test_a_reason_of_many_lines_is_cut_to_its_first(path, monkeypatch):
    def fail(text):
        raise ValueError("first line\nsecond line")

    monkeypatch.setattr(WeightsInfo, "from_json", fail)
    with pytest.raises(WeightsError, match=r"kinetics_i3d \(first line\)$"):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "none.h5", tmp_path):
        with pytest.raises(WeightsError, match=rf"^{path}: no such file$"):
            read_checkpoint(path)
