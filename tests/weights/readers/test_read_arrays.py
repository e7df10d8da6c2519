"""Formats are recognized by what is in a file, whatever it is called."""

import shutil
import tracemalloc

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.formats import read_arrays
from kinetics_i3d.weights.readers.safetensors import write_safetensors
from kinetics_i3d.weights.readers.torch import write_torch

FORMATS = {
    "tensorflow 1": "tensorflow",
    "tensorflow 2": "tensorflow",
    "savedmodel": "tensorflow",
    "torch": "torch",
    "torch of torch": "torch",
    "torch legacy": "torch",
    "safetensors": "safetensors",
    "keras": "keras",
    "weights.h5": "keras",
    "h5": "keras",
    "flax": "flax",
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_recognized(files, tmp_path, name):
    path = files[name]
    kind, arrays = read_arrays(str(path))
    assert kind == FORMATS[name] and arrays
    if path.is_file():
        kind, again = read_arrays(shutil.copy(path, tmp_path / "weights.bin"))
        assert kind == FORMATS[name] and again.keys() == arrays.keys()


def test_a_header_may_be_as_long_as_a_pickle_begins(tmp_path):
    path = tmp_path / "m.safetensors"
    for pad in range(256):
        write_safetensors(path, {"a": np.ones(2, np.float32)}, metadata={"pad": "x" * pad})
        if path.read_bytes()[0] == 0x80:
            break
    assert path.read_bytes()[0] == 0x80
    assert read_arrays(path)[0] == "safetensors"


def test_parts_of_a_checkpoint(files):
    prefix = files["tensorflow 2"]
    for part in (".index", ".data-00000-of-00001"):
        assert read_arrays(prefix.with_name(prefix.name + part))[0] == "tensorflow"
    assert read_arrays(prefix.parent)[0] == "tensorflow"


@pytest.mark.parametrize("content", [b"", b"P", b"PK", b"weights of mine", b"\x80", bytes(100)])
def test_unknown_content_is_refused(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError) as raised:
        read_arrays(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    if not content.startswith((b"PK", b"\x80")):
        assert "supported are TensorFlow checkpoints and SavedModels, PyTorch" in message


def test_folders_and_what_is_not_there(tmp_path):
    with pytest.raises(WeightsError, match="a SavedModel or contain exactly one checkpoint"):
        read_arrays(tmp_path)
    with pytest.raises(WeightsError, match="none: no such file"):
        read_arrays(tmp_path / "none")


@pytest.mark.parametrize("write", [write_safetensors, write_torch])
def test_memory_stays_near_the_size_of_the_file(tmp_path, write):
    """Twenty megabytes in ten tensors: no more than the result and one tensor twice."""
    write(tmp_path / "m", {str(n): np.ones((500, 1000), "f4") for n in range(10)})
    tracemalloc.start()
    arrays = read_arrays(tmp_path / "m")[1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(array.nbytes for array in arrays.values()) == 20_000_000
    assert peak < 26_000_000
