"""Files made to harm: they are refused before anything is run, allocated or opened elsewhere."""

import io
import json
import os
import pathlib
import pickle
import struct
import tracemalloc
import zipfile

import h5py
import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.formats import read_arrays
from kinetics_i3d.weights.readers.keras import read_keras
from kinetics_i3d.weights.readers.pickled import load_pickle
from kinetics_i3d.weights.readers.safetensors import read_safetensors
from kinetics_i3d.weights.readers.tensorflow import table_entries
from kinetics_i3d.weights.readers.torch import read_torch, write_torch

TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
    b"X\x01\0\0\x000X\x03\0\0\0cpu%sQ%s%s%s\x89ccollections\nOrderedDict\n)RtR"
)
THREE = {"count": b"K\x03t", "offset": b"K\0", "shape": b"K\x03\x85", "strides": b"K\x01\x85"}


def tensor(**changes):
    """A state dict of one tensor of three numbers, with some opcodes replaced."""
    return b"\x80\x02}X\x01\0\0\0a" + TENSOR % tuple((THREE | changes).values()) + b"s."


def torch_file(path, code, storage=bytes(12), byteorder=b"little", extra=()):
    members = {"data.pkl": code, "byteorder": byteorder, "data/0": storage, "version": b"3\n"}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (*((f"m/{name}", data) for name, data in members.items()), *extra):
            file.writestr(name, data)
    return path


class Trap:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, path, function=os.mkdir):
        self.call = function, (str(path),)

    def __reduce__(self):
        return self.call


def test_the_harmless_file_is_read(tmp_path):
    numbers = np.array([1, 2, 3], "<f4")
    path = torch_file(tmp_path / "m.pt", tensor(), numbers.tobytes())
    np.testing.assert_array_equal(read_torch(path)["a"], numbers)
    # The stride of a length of 1 means nothing, and some versions write odd ones.
    odd = {"shape": b"K\x03K\x01\x86", "strides": b"K\x01\x8a\x08" + bytes(7) + b"\x7f\x86"}
    np.testing.assert_array_equal(
        read_torch(torch_file(path, tensor(**odd), numbers.tobytes()))["a"], numbers[:, None]
    )


def test_a_view_into_a_storage_is_read(tmp_path):
    """As PyTorch before 0.4 wrote it: (key, first, length), or None."""
    numbers = np.array([1, 2, 3, 4, 5], "<f4")
    for view, expected in ((b"X\x01\0\0\0vK\x02K\x03\x87", [3, 4, 5]), (b"N", [1, 2, 3])):
        code = tensor(count=b"K\x05" + view + b"t")
        path = torch_file(tmp_path / "m.pt", code, numbers.tobytes())
        np.testing.assert_array_equal(read_torch(path)["a"], expected)


PICKLES = {
    "os.system": (b"cos\nsystem\n(X\x04\0\0\0truetR.", "its pickle calls 'os.system': refused"),
    "eval": (b"cbuiltins\neval\n(X\x01\0\0\x001tR.", "its pickle calls 'builtins.eval': refused"),
    "by text": (b"X\x02\0\0\0osX\x06\0\0\0system\x93.", "its pickle calls 'os.system': refused"),
    "another of torch": (b"ctorch\nload\n.", "its pickle calls 'torch.load': refused"),
    "with spaces": (b"ctorch Size\nx\n.", "its pickle calls 'torch.Size.x': refused"),
    "an instance": (b"(ios\nsystem\n.", "contains INST, which no state dict contains: refused"),
    "an object": (b"(cos\nsystem\no.", "its pickle calls 'os.system': refused"),
    "NEWOBJ": (b"ccollections\nOrderedDict\n)\x81.", "contains NEWOBJ"),
    "extension": (b"\x82\x01.", "contains EXT1"),
    "a persistent text": (b"P0\n.", "contains PERSID"),
    "huge text": (b"\x8d" + b"\xff" * 8, "is damaged"),
    "long text": (b"X\xff\xff\xff\xffabc.", "is damaged"),
    "huge number": (b"\x8b\xff\xff\xff\x7f1.", "is damaged"),
    "huge memo": (b"}r\xff\xff\xff\xff.", "not a state dict"),
    "an empty stack": (b"s.", "is damaged"),
    "no memo": (b"h\x07.", "is damaged"),
    "a mark": (b"(.", "is damaged"),
    "no end": (b"}", "is damaged"),
    "key without value": (b"}(X\x01\0\0\0au.", "is damaged"),
    "the same key": (b"}X\x01\0\0\0aNsX\x01\0\0\0aNs.", "is damaged"),
    "calls a text": (b"X\x01\0\0\0a)R.", "is damaged"),
    "calls with a list": (b"ccollections\nOrderedDict\n]R.", "is damaged"),
    "builds a text": (b"X\x01\0\0\0aNb.", "is damaged"),
    "a bomb of tuples": (b")" + b"q\0h\0h\0\x86" * 200 + b"q\0}h\0Ns.", "is damaged"),
    "a bomb of lists": (b"]" + b"q\0]h\0ah\0a" * 200 + b".", "not a state dict"),
    "a list that holds itself": (b"]q\0h\0a.", "not a state dict"),
    "no tensors": (b"}X\x01\0\0\0aK\x01s.", "'a' is not a tensor"),
    "nothing": (b"}.", "not a state dict"),
}


@pytest.mark.parametrize("name", PICKLES)
def test_a_hostile_pickle_is_refused(tmp_path, name):
    code, why = PICKLES[name]
    path = torch_file(tmp_path / "m.pt", b"\x80\x02" + code)
    with pytest.raises(WeightsError) as raised:
        read_arrays(path)
    assert why in str(raised.value) and str(raised.value).startswith(f"{path}: ")
    assert len(str(raised.value)) < 400 + len(str(path))


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_executed(tmp_path, protocol):
    for place in ({"a": 1}, {"a": None}, {"state_dict": None}):
        key = next(iter(place))
        code = pickle.dumps({key: Trap(tmp_path / "trap")}, protocol)
        for path in (tmp_path / "m.pt", tmp_path / "old.pth"):
            path.write_bytes(code)
            if path.name == "m.pt":
                torch_file(path, code)
            with pytest.raises(WeightsError):
                read_torch(path)
            assert not (tmp_path / "trap").exists()
    pickle.loads(code)
    assert (tmp_path / "trap").exists(), "the trap works"


TENSORS = {
    "beyond": ({"shape": b"K\x04\x85"}, "extends beyond its storage"),
    "offset": ({"offset": b"K\x01"}, "extends beyond its storage"),
    "stride": ({"strides": b"K\x02\x85"}, "extends beyond its storage"),
    "negative offset": ({"offset": b"J\xff\xff\xff\xff"}, "an impossible offset"),
    "negative stride": ({"strides": b"J\xff\xff\xff\xff\x85"}, "impossible strides"),
    "negative length": ({"shape": b"J\xff\xff\xff\xff\x85"}, "an impossible shape"),
    "true": ({"shape": b"\x88\x85"}, "an impossible shape"),
    "a text": ({"shape": b"X\x01\0\0\x003\x85"}, "an impossible shape"),
    "two strides": ({"strides": b"K\x01K\x01\x86"}, "impossible strides"),
    "no strides": ({"strides": b"N"}, "impossible strides"),
    "huge": ({"shape": b"\x8a\x08" + b"\xff" * 7 + b"\x0f\x85"}, "an impossible shape"),
    "one number a billion times": (
        {"shape": b"J\xff\xff\xff\x7f\x85", "strides": b"K\0\x85"},
        "declares 8.0 GiB of tensors",
    ),
    "large storage": ({"count": b"J\xff\xff\xff\x7ft"}, "declares 8.0 GiB of tensors"),
    "small storage": ({"count": b"K\x02t"}, "extends beyond its storage"),
    "negative storage": ({"count": b"J\xff\xff\xff\xfft"}, "is damaged"),
    "view beyond": ({"count": b"K\x03)K\x01K\x02\x87t"}, "extends beyond its storage"),
    "view before": ({"count": b"K\x03)J\xff\xff\xff\xffK\x02\x87t"}, "an invalid view"),
    "view from a text": ({"count": b"K\x03)X\0\0\0\0K\x02\x87t"}, "an invalid view"),
    "view of a text": ({"count": b"K\x03)K\x01X\0\0\0\0\x87t"}, "an invalid view"),
    "view of two": ({"count": b"K\x03K\x01K\x02\x86t"}, "is damaged"),
}


@pytest.mark.parametrize("name", TENSORS)
def test_an_impossible_tensor_is_refused_before_it_is_made(tmp_path, name):
    changes, why = TENSORS[name]
    path = torch_file(tmp_path / "m.pt", tensor(**changes))
    tracemalloc.start()
    with pytest.raises(WeightsError, match=why):
        read_torch(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


# The opcodes of a NumPy array of three floats, of which tests replace parts.
NUMPY = {
    "function": b"cnumpy.core.multiarray\n_reconstruct\n",
    "kind": b"cnumpy\nndarray\n",
    "version": b"K\x01",
    "shape": b"K\x03\x85",
    "dtype": b"cnumpy\ndtype\n",
    "code": b"X\x02\0\0\0f4",
    "order": b"X\x01\0\0\0<",
    "fortran": b"\x89",
    "data": b"C\x0c" + bytes(12),
    "built": b"b",
}
MINUS_ONE = b"J\xff\xff\xff\xff"
FLOAT32 = (
    b"cnumpy\ndtype\nX\x02\0\0\0f4\x89\x88\x87R(K\x03X\x01\0\0\0<NNN" + MINUS_ONE * 2 + b"K\0tb"
)


def numpy_array(**changes):
    part = NUMPY | changes
    dtype = part["dtype"] + part["code"] + b"\x89\x88\x87R(K\x03" + part["order"]
    return b"".join(
        [
            part["function"] + part["kind"] + b"K\0\x85C\x01b\x87R",
            b"(" + part["version"] + part["shape"],
            dtype + b"NNN" + MINUS_ONE + MINUS_ONE + b"K\0tb",
            part["fortran"] + part["data"] + b"t" + part["built"],
        ]
    )


def flax_file(path, code):
    path.write_bytes(b"\x80\x04" + code)
    return path


def named(code, name=b"X\x01\0\0\0a"):
    return b"}" + name + code + b"s."


def test_the_harmless_pickle_of_numpy_is_read(tmp_path):
    data = np.array([1, 2, 3], "<f4")
    for fortran in (b"\x88", b"\x89"):
        code = numpy_array(data=b"C\x0c" + data.tobytes(), fortran=fortran)
        path = flax_file(tmp_path / "m.ckpt", named(code))
        kind, arrays = read_arrays(path)
        assert kind == "flax"
        np.testing.assert_array_equal(arrays["a"], data)


# A text and bytes by each opcode that writes them.
TEXTS = {
    "BINUNICODE": b"X\x01\0\0\0a",
    "SHORT_BINUNICODE": b"\x8c\x01a",
    "BINUNICODE8": b"\x8d\x01" + bytes(7) + b"a",
    "BINSTRING": b"T\x01\0\0\0a",
    "SHORT_BINSTRING": b"U\x01a",
}
BYTES = {"SHORT_BINBYTES": b"C\x0c", "BINBYTES": b"B\x0c\0\0\0"}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("data", BYTES)
def test_texts_and_bytes_are_read_however_they_are_written(tmp_path, text, data):
    code = numpy_array(data=BYTES[data] + np.array([1, 2, 3], "<f4").tobytes())
    _, arrays = read_arrays(flax_file(tmp_path / "m.ckpt", named(code, TEXTS[text])))
    assert [*arrays] == ["a"] and arrays["a"].tolist() == [1, 2, 3]


ARRAYS = {
    "too few bytes": ({"shape": b"K\x04\x85"}, "a has 12 bytes, its shape and dtype need 16"),
    "too many bytes": ({"shape": b"K\x02\x85"}, "a has 12 bytes, its shape and dtype need 8"),
    "another dtype": ({"code": b"X\x02\0\0\0f8"}, "its shape and dtype need 24"),
    "huge": ({"shape": b"\x8a\x08" + b"\xff" * 7 + b"\x0f\x85"}, "an impossible shape"),
    "large": ({"shape": b"J\xff\xff\xff\x7f\x85"}, "its shape and dtype need 8589934588"),
    "negative": ({"shape": MINUS_ONE + b"\x85"}, "an impossible shape"),
    "true": ({"shape": b"\x88\x85"}, "an impossible shape"),
    "fraction": ({"shape": b"G@\x08\0\0\0\0\0\0\x85"}, "an impossible shape"),
    "rank 17": ({"shape": b"(" + b"K\x01" * 17 + b"t"}, "an impossible shape"),
    "nested shape": ({"shape": b"K\x03\x85\x85"}, "an impossible shape"),
    "shape in a list": ({"shape": b"]K\x03a"}, "is damaged"),
    "big-endian": ({"order": b"X\x01\0\0\0>"}, "written on a big-endian machine"),
    "native order": ({"order": b"X\x01\0\0\0="}, "is damaged"),
    "fields": ({"order": b"X\x01\0\0\0<", "dtype": b"ccollections\nOrderedDict\n"}, "refused"),
    "objects": ({"code": b"X\x02\0\0\0O8"}, "an array of dtype 'O8', which holds no weights"),
    "records": ({"code": b"X\x03\0\0\0V16"}, "an array of dtype 'V16', which holds no weights"),
    "texts": ({"code": b"X\x02\0\0\0U4"}, "an array of dtype 'U4', which holds no weights"),
    "complex": ({"code": b"X\x02\0\0\0c8"}, "an array of dtype 'c8', which holds no weights"),
    "a long code": ({"code": b"X\x00\x01\0\0" + b"f" * 256}, "dtype 'ffffffffffffffffffff', which"),
    "integers": ({"code": b"X\x02\0\0\0i4"}, "is int32 of shape"),
    "a list of objects": ({"data": b"]"}, "is damaged"),
    "a text for bytes": ({"data": b"X\x0c\0\0\0aaaaaaaaaaaa"}, "is damaged"),
    "cut short": ({"data": b"B\xff\xff\xff\x7fabc"}, "is damaged"),
    "cut short, 8 bytes": ({"data": b"\x8e" + b"\xff" * 7 + b"\x7fabc"}, "is damaged"),
    "another version": ({"version": b"K\x02"}, "is damaged"),
    "order of a number": ({"fortran": b"K\x01"}, "is damaged"),
    "never built": ({"built": b"0"}, "contains POP"),
    "built twice": (
        {"built": b"b(K\x01K\x03\x85" + FLOAT32 + b"\x89C\x0c" + bytes(12) + b"tb"},
        "is damaged",
    ),
    "another class": ({"kind": b"cnumpy\nmatrix\n"}, "its pickle calls 'numpy.matrix': refused"),
    "a class for a dtype": ({"kind": b"cnumpy\ndtype\n"}, "is damaged"),
    "scalar": (
        {"function": b"cnumpy.core.multiarray\nscalar\n"},
        "its pickle calls 'numpy.core.multiarray.scalar': refused",
    ),
    "load": ({"function": b"cnumpy\nload\n"}, "its pickle calls 'numpy.load': refused"),
    "by text": (
        {"function": b"X\x02\0\0\0osX\x06\0\0\0system\x93"},
        "its pickle calls 'os.system': refused",
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_impossible_array_is_refused_before_it_is_made(tmp_path, name):
    changes, why = ARRAYS[name]
    path = flax_file(tmp_path / "m.ckpt", named(numpy_array(**changes)))
    tracemalloc.start()
    with pytest.raises(WeightsError) as raised:
        read_arrays(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    message = str(raised.value)
    assert why in message and message.startswith(f"{path}: ") and "\n" not in message
    assert len(message) < 400 + len(str(path)) and peak < 2**20


FLAX_PICKLES = {
    "os.system": (b"cos\nsystem\nX\x04\0\0\0true\x85R.", "its pickle calls 'os.system': refused"),
    "eval": (b"cbuiltins\neval\nX\x01\0\0\x001\x85R.", "its pickle calls 'builtins.eval'"),
    "FrozenDict": (
        b"cflax.core.frozen_dict\nFrozenDict\n}\x85R.",
        "its pickle calls 'flax.core.frozen_dict.FrozenDict': refused",
    ),
    "PyTorch": (
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        "its pickle calls 'torch._utils._rebuild_tensor_v2': refused",
    ),
    "OrderedDict": (
        b"ccollections\nOrderedDict\n)R.",
        "its pickle calls 'collections.OrderedDict'",
    ),
    "an instance": (
        b"(ios\nsystem\n.",
        "contains INST, which no dictionary of arrays contains: refused",
    ),
    "NEWOBJ": (b"cnumpy\nndarray\n)\x81.", "contains NEWOBJ"),
    "a buffer": (b"\x97.", "contains NEXT_BUFFER"),
    "a byte array": (b"\x96\x01" + bytes(8) + b".", "contains BYTEARRAY8"),
    "extension": (b"\x82\x01.", "contains EXT1"),
    "persistent": (b"K\x01Q.", "is damaged"),
    "a class alone": (named(b"cnumpy\nndarray\n"), "'a' is not one"),
    "an array never built": (
        named(NUMPY["function"] + NUMPY["kind"] + b"K\0\x85C\x01b\x87R"),
        "a has no values",
    ),
    "a function for an array": (b"cnumpy\nndarray\n)R.", "is damaged"),
    "another pickle": (
        named(b"K\x01"),
        "a pickle, but not of a dictionary of arrays: 'a' is not one",
    ),
    "a list": (b"].", "a pickle, but not of a dictionary of arrays"),
    "nothing": (b"}.", "a pickle, but not of a dictionary of arrays"),
    "empty dictionaries": (named(b"}"), "a pickle without arrays"),
    "left over": (named(numpy_array()) + b"more", "4 bytes follow the pickle"),
    "no end": (named(numpy_array())[:-1], "is damaged"),
    "huge memo": (b"}r\xff\xff\xff\xff.", "a pickle, but not of"),
    "huge text": (b"\x8d" + b"\xff" * 8, "is damaged"),
    "a bomb of tuples": (b")" + b"q\0h\0h\0\x86" * 200 + b"q\0}h\0Ns.", "is damaged"),
    "tuples in tuples": (b")" + b"\x85" * 100_000 + b".", "a pickle, but not of"),
    "a number for a key": (
        named(numpy_array(), b"K\x01"),
        "its keys is not a name: of type int",
    ),
    "a huge number for a key": (
        named(numpy_array(), b"\x8a\xff" + b"\x7f" * 255),
        "its keys is not a name: of type int",
    ),
    "a line for a key": (named(numpy_array(), b"X\x02\0\0\0a\n"), r"is not a name: 'a\n'"),
    "no text for a key": (named(numpy_array(), b"X\0\0\0\0"), "is not a name: ''"),
    "a long key": (named(numpy_array(), b"X\0\x01\0\0" + b"a" * 256), "is not a name: 'aaaa"),
    "the same name": (
        b"}X\x03\0\0\0a/b" + numpy_array() + b"sX\x01\0\0\0a}X\x01\0\0\0b" + numpy_array() + b"ss.",
        "has two arrays 'a/b'",
    ),
    "a dictionary in itself": (b"}q\0X\x01\0\0\0ah\0s.", "the same dictionary twice"),
    "a bomb of dictionaries": (
        b"}" + b"q\0}X\x01\0\0\0ah\0sX\x01\0\0\0bh\0s" * 10 + b".",
        "the same dictionary twice",
    ),
    "dictionaries in dictionaries": (
        b"}X\x01\0\0\0a" * 20 + numpy_array() + b"s" * 20 + b".",
        "nested more than 16 dictionaries deep",
    ),
    "dictionaries in dictionaries for ever": (
        b"}X\x01\0\0\0a" * 50_000 + numpy_array() + b"s" * 50_000 + b".",
        "nested more than 16 dictionaries deep",
    ),
}


@pytest.mark.parametrize("name", FLAX_PICKLES)
def test_a_hostile_pickle_of_arrays_is_refused(tmp_path, name):
    code, why = FLAX_PICKLES[name]
    path = flax_file(tmp_path / "m.ckpt", code)
    with pytest.raises(WeightsError) as raised:
        read_arrays(path)
    message = str(raised.value)
    assert why in message and message.startswith(f"{path}: ") and "\n" not in message
    assert len(message) < 400 + len(str(path))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_nothing_in_a_pickle_of_arrays_is_executed(tmp_path, protocol):
    trap, array = Trap(tmp_path / "trap"), np.ones(3, "f4")
    for tree in (
        trap,
        {"a": trap},
        {"params": {"a": array, "b": {"c": trap}}},
        {"a": array, "b": [trap]},
    ):
        path = tmp_path / "m.ckpt"
        path.write_bytes(pickle.dumps(tree, protocol))
        with pytest.raises(WeightsError, match=r"calls '[\w.]+': refused|of protocol 5"):
            read_arrays(path)
        assert not (tmp_path / "trap").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "trap").exists(), "the trap works"


def test_one_array_a_thousand_times_is_refused_before_it_is_copied(tmp_path, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.weights.readers.values.MAX_BYTES", 2**20)
    tree = dict.fromkeys(map(str, range(1000)), np.ones(1000, "f4"))
    path = tmp_path / "m.ckpt"
    path.write_bytes(pickle.dumps(tree, 4))
    with pytest.raises(WeightsError, match="GiB of tensors"):
        read_arrays(path)


def test_more_opcodes_than_weights_have_are_refused(tmp_path):
    path = flax_file(tmp_path / "m.ckpt", b"]" * 2**19 + b".")
    with pytest.raises(WeightsError, match="its pickle is longer than in any dict"):
        read_arrays(path)


@pytest.mark.slow
def test_a_pickle_that_is_too_long_is_refused():
    with pytest.raises(WeightsError, match="longer than in any state dict"):
        load_pickle(io.BytesIO(b"\x80\x02" + b"]" * 2**21 + b"."), "m.pt")


def zipped(path, *members, mode=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", mode) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_archives_that_are_unsafe_to_unpack(tmp_path):
    path = tmp_path / "m.pt"
    torch_file(path, tensor(), extra=[("m/data/0", b"\1" * 12)])
    with pytest.raises(WeightsError, match="duplicate names"):
        read_arrays(path)
    for name in ("../../etc/passwd", "/etc/passwd", "m\\..\\x"):
        torch_file(path, tensor(), extra=[(name, b"x")])
        with pytest.raises(WeightsError, match="leads out of the archive"):
            read_arrays(path)
    zipped(path, ("m/data.pkl", tensor()), ("m/x", bytes(2**23)), mode=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="m/x would unpack to more than 200 times"):
        read_arrays(path)
    zipped(path, ("a/data.pkl", tensor()), ("b/data.pkl", tensor()))
    with pytest.raises(WeightsError, match=r"needs exactly one data\.pkl"):
        read_arrays(path)
    zipped(path, ("m/notes.txt", b"x"))
    with pytest.raises(WeightsError, match="a zip archive without weights; supported are"):
        read_arrays(path)
    with pytest.raises(WeightsError, match="big-endian"):
        read_arrays(torch_file(path, tensor(), byteorder=b"big"))
    with pytest.raises(WeightsError, match="is missing, or does not have 12 bytes"):
        read_arrays(torch_file(path, tensor(), storage=bytes(16)))


def test_a_zip_archive_that_declares_more_than_4_gib(tmp_path):
    path = torch_file(tmp_path / "m.pt", tensor())
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the directory's last row: 24 bytes on are the sizes
    data[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"unpacks to 4\.0 GiB"):
        read_arrays(path)


def test_a_wrong_crc_is_seen(tmp_path):
    path = tmp_path / "m.pt"
    write_torch(path, {"a": np.full(3, 1.5)})
    number = np.float32(1.5).tobytes()
    path.write_bytes(path.read_bytes().replace(number, np.float32(2.5).tobytes(), 1))
    with pytest.raises(WeightsError, match=r"archive/data/0 is damaged .*CRC"):
        read_torch(path)


def safe(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def row(dtype="F32", shape=(2,), span=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": span}


HEADERS = {
    "overlap": ({"a": row(), "b": row(span=(4, 12))}, 12, "invalid offset for tensor `b`"),
    "hole": ({"a": row(), "b": row(span=(12, 20))}, 20, "invalid offset for tensor `b`"),
    "hole before": ({"a": row(span=(4, 12))}, 12, "invalid offset for tensor `a`"),
    "left over": ({"a": row()}, 12, "file not fully covered"),
    "cut short": ({"a": row()}, 4, "file not fully covered"),
    "another dtype": ({"a": row("F16")}, 8, "invalid shape, data type, or offset"),
    "unknown dtype": ({"a": row("F31")}, 8, "unknown variant `F31`"),
    "no dtype": ({"a": row(7)}, 8, "integer `7`, expected string"),
    "shape": ({"a": row(shape=[3])}, 8, "invalid shape, data type, or offset"),
    "negative": ({"a": row(shape=[-2], span=[0, -8])}, 8, "integer `-2`"),
    "backwards": ({"a": row(shape=[0], span=[4, 0])}, 8, "invalid offset"),
    "huge": ({"a": row(shape=[2**62, 4], span=[0, 2**66])}, 8, "invalid type: floating point"),
    "large": ({"a": row(shape=[2**40], span=[0, 2**42])}, 8, "file not fully covered"),
    "fraction": ({"a": row(shape=[2.0])}, 8, "floating point `2.0`"),
    "true": ({"a": row(shape=[True], span=[0, 4])}, 4, "boolean `true`"),
    "no shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, 8, "missing field `shape`"),
    "another dtype than weights have": ({"a": row("U32")}, 8, "has a dtype other than F64"),
    "empty but huge": ({"a": row(shape=[2**62, 0], span=[0, 0])}, 0, "an impossible shape"),
    "empty but too long": ({"a": row(shape=[2**48 + 1, 0], span=[0, 0])}, 0, "an impossible shape"),
    "integers": ({"a": row("I32")}, 8, "is int32 of shape"),
    "metadata": ({"__metadata__": {"a": 1}}, 0, "expected a string"),
    "a list": ([1], 0, "invalid type: sequence"),
    "doubles": (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        4,
        "has a duplicate name",
    ),
    "no JSON": (b'{"a":', 0, "EOF while parsing"),
    "nested": (b'{"a":' + b"[" * 100_000, 0, "recursion limit"),
    "digits": (b'{"a":' + b"9" * 5000 + b"}", 0, "number out of range"),
    "no text": (b"{\xff}", 0, "invalid UTF-8"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_wrong_header_of_safetensors(tmp_path, name):
    header, size, why = HEADERS[name]
    path = safe(tmp_path / "m.safetensors", header, bytes(size))
    with pytest.raises(WeightsError, match=why) as raised:
        read_safetensors(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_a_header_longer_than_the_file(tmp_path):
    path = tmp_path / "m.safetensors"
    for length in (0, 1, 40, 2**63, 2**64 - 1):
        path.write_bytes(length.to_bytes(8, "little") + b'{"a":{}}')
        with pytest.raises(WeightsError, match=r"not a complete safetensors file .*header"):
            read_safetensors(path)


def keras_file(path, fill):
    with h5py.File(path, "w") as file:
        variables = file.create_group("layers/conv3d/vars")
        variables.attrs["name"] = "c"
        fill(variables)
    return path


def outside(variables):
    pathlib.Path(variables.file.filename).with_name("secret").write_bytes(bytes(8))
    variables.create_dataset("0", (2,), "f4", external=[("secret", 0, 8)])


def bomb(variables):
    variables.create_dataset("0", (2**34,), "f4", chunks=(2**20,), compression="gzip")


def virtual(variables):
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    variables.create_virtual_dataset("0", layout)


def twice(variables):
    variables["0"] = np.zeros(2, "f4")
    variables["1"] = variables["0"]


def loop(variables):
    variables["0"] = np.zeros(2, "f4")
    variables["loop"] = variables.parent


def own_float(variables):
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_ebias(126)
    space = h5py.h5s.create_simple((2,))
    h5py.h5d.create(variables.id, b"0", kind, space).write(
        h5py.h5s.ALL, h5py.h5s.ALL, np.ones(2, "f4")
    )


HDF5 = {
    "external": (outside, "stored outside the file|declares"),
    "bomb": (bomb, "declares 68719476736 bytes, but 0 are stored"),
    "virtual": (virtual, "stored outside the file"),
    "link": (lambda v: v.__setitem__("0", h5py.ExternalLink("x.h5", "a")), "external or soft link"),
    "soft link": (lambda v: v.__setitem__("0", h5py.SoftLink("/a")), "external or soft link"),
    "twice": (twice, "second name of another object"),
    "loop": (loop, "second name of another object"),
    "never written": (lambda v: v.create_dataset("0", (9,), "f4"), "36 bytes, but 0"),
    "own floats": (own_float, "unknown floating-point type"),
    "big-endian": (lambda v: v.__setitem__("0", np.ones(2, ">f4")), "unknown floating-point type"),
    "texts": (lambda v: v.__setitem__("0", np.array([b"ab"])), r"is \|S2|bytes16"),
    "integers": (lambda v: v.__setitem__("0", np.arange(3)), "is int64 of shape"),
    "a gap": (lambda v: v.__setitem__("1", np.ones(2, "f4")), "lacks a variable"),
    "no number": (lambda v: v.__setitem__("x", np.ones(2, "f4")), "is not a variable of a Keras"),
    "too large for float32": (lambda v: v.__setitem__("0", np.array([1e300])), "do not fit"),
    "no values": (lambda v: v.__setitem__("0", h5py.Empty("f4")), "a dataset without values"),
    "empty": (lambda v: None, "without Keras weights"),
}


@pytest.mark.parametrize("name", HDF5)
def test_a_hostile_hdf5(tmp_path, name):
    fill, why = HDF5[name]
    path = keras_file(tmp_path / "m.weights.h5", fill)
    with pytest.raises(WeightsError, match=why) as raised:
        read_keras(path)
    assert str(raised.value).startswith(f"{path}: ") and "\n" not in str(raised.value)


def test_more_than_2_gib_are_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.weights.readers.values.MAX_BYTES", 100)
    path = keras_file(tmp_path / "m.h5", lambda v: v.__setitem__("0", np.ones(26, "f4")))
    with pytest.raises(WeightsError, match="GiB of tensors; at most"):
        read_keras(path)
    with pytest.raises(WeightsError, match="GiB of tensors; at most"):
        read_safetensors(safe(tmp_path / "m", {"a": row(shape=[26], span=[0, 104])}, bytes(104)))


def block(*entries):
    """A block of a table: entries that share nothing, one restart."""
    body = b"".join(b"\0" + bytes([len(k), len(v)]) + k + v for k, v in entries)
    return body + struct.pack("<II", 0, 1)


def table(data, index_handle=None):
    """One block, its index, and a footer."""
    index = block((b"z", b"\0" + bytes([len(data)])))
    handle = index_handle or bytes([len(data) + 5, len(index)])
    footer = (b"\0\0" + handle).ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
    return data + bytes(5) + index + bytes(5) + footer


def test_a_table_that_reaches_beyond_the_file():
    assert table_entries(table(block((b"a", b"1"), (b"b", b"22"))), "x") == [
        (b"a", b"1"),
        (b"b", b"22"),
    ]
    for handle in (b"\x80\x80\x80\x80\x80\x40\x05", b"\x05\xff\xff\xff\xff\xff\x3f", b"\xff" * 30):
        with pytest.raises(WeightsError, match=r"^x: not a complete TensorFlow checkpoint"):
            table_entries(table(block((b"a", b"1")), handle), "x")
    for bad in (b"\0\x01\x7fa1" + struct.pack("<II", 0, 1), b"\x05\x01\x01a1" + bytes(8), b"\0"):
        with pytest.raises(WeightsError, match=r"^x: not a complete TensorFlow checkpoint"):
            table_entries(table(bad), "x")
    with pytest.raises(WeightsError, match="truncated"):
        table_entries(b"x" * 30, "x")


def test_a_table_that_would_grow():
    data = block((b"a", b"1"))
    twice = block((b"y", b"\0" + bytes([len(data)])), (b"z", b"\0" + bytes([len(data)])))
    footer = b"\0\0" + bytes([len(data) + 5, len(twice)])
    whole = data + bytes(5) + twice + bytes(5) + footer.ljust(40, b"\0")
    with pytest.raises(WeightsError, match="blocks that overlap"):
        table_entries(whole + bytes.fromhex("57fb808b247547db"), "x")
    key, value = b"k" * 5000, b"1"
    long = b"\0\x88\x27\x01" + key + value + struct.pack("<II", 0, 1)
    handle = b"\0" + bytes([len(long) & 127 | 128, len(long) >> 7])
    index = block((b"z", handle))
    start = len(long) + 5
    footer = b"\0\0" + bytes([start & 127 | 128, start >> 7, len(index)])
    whole = long + bytes(5) + index + bytes(5) + footer.ljust(40, b"\0")
    with pytest.raises(WeightsError, match="a key too long"):
        table_entries(whole + bytes.fromhex("57fb808b247547db"), "x")


ENTRY = {"dtype": 1, "shape": [2], "shard_id": 0, "offset": 0, "size": 8}
ENTRIES = {
    "negative": ({"shape": [-2]}, {}, "an impossible shape"),
    "huge": ({"shape": [2**40, 2**40]}, {}, "an impossible shape"),
    "large": ({"shape": [2**30], "size": 2**32}, {}, "larger than the data"),
    "another size": ({"shape": [1]}, {}, "size that does not match its shape"),
    "another dtype": ({"dtype": 3, "shape": [1]}, {}, "size that does not match its shape"),
    "unknown dtype": ({"dtype": 77}, {}, "an unknown dtype"),
    "beyond": ({"offset": 1}, {}, "a is damaged: its data file is truncated"),
    "before": ({"offset": -1}, {}, "is in no data file"),
    "another file": ({"shard_id": 1}, {}, "is in no data file"),
    "no file before": ({"shard_id": -1}, {}, "is in no data file"),
    "slices": ({"slices": [{"extent": [{"start": 0, "length": -3}]}]}, {}, "partitioned variable"),
    "text of huge size": ({"dtype": 7, "shape": [], "size": 2**50}, {}, "truncated"),
    "many files": ({}, {"num_shards": 2**30}, "has 1073741824 data files"),
    "no files": ({}, {"num_shards": 0}, "has 0 data files"),
    "big-endian": ({}, {"endianness": 1}, "big-endian machine"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_a_hostile_index_never_reaches_tensorflow(tmp_path, name, monkeypatch):
    import tensorflow as tf
    from tensorflow.core.protobuf import tensor_bundle_pb2 as bundle

    entry, header, why = ENTRIES[name]
    fields = ENTRY | entry
    shape = {"dim": [{"size": length} for length in fields.pop("shape")]}
    data = block(
        (b"", bundle.BundleHeaderProto(**{"num_shards": 1, **header}).SerializeToString()),
        (b"a", bundle.BundleEntryProto(shape=shape, **fields).SerializeToString()),
    )
    (tmp_path / "m.index").write_bytes(table(data))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(8))
    monkeypatch.setattr(tf.train, "load_checkpoint", None)
    with pytest.raises(WeightsError, match=why) as raised:
        read_arrays(tmp_path / "m")
    assert str(tmp_path / "m") in str(raised.value) and "\n" not in str(raised.value)


def test_shapes_of_the_first_version_are_held_against_the_file(tmp_path, monkeypatch):
    import tensorflow as tf
    from tensorflow.core.util import saved_tensor_slice_pb2 as slices

    monkeypatch.setattr(tf.train, "load_checkpoint", None)
    for lengths, why in (([2**30], "larger than the file"), ([-1], "an impossible shape")):
        meta = {"tensor": [{"name": "a", "shape": {"dim": [{"size": n} for n in lengths]}}]}
        value = slices.SavedTensorSlices(meta=meta).SerializeToString()
        (tmp_path / "m").write_bytes(table(block((b"", value))))
        with pytest.raises(WeightsError, match=why):
            read_arrays(tmp_path / "m")
    (tmp_path / "m").write_bytes(table(block((b"a", b""))))
    with pytest.raises(WeightsError, match="a table, but not a TensorFlow checkpoint"):
        read_arrays(tmp_path / "m")
