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
from kinetics_i3d.weights.readers import read_arrays
from kinetics_i3d.weights.readers.keras import read_keras
from kinetics_i3d.weights.readers.pickled import load_pickle
from kinetics_i3d.weights.readers.safetensors import read_safetensors
from kinetics_i3d.weights.readers.table import table_entries
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


PICKLES = {
    "os.system": (b"cos\nsystem\n(X\x04\0\0\0truetR.", "wants to call 'os.system': refused"),
    "eval": (b"cbuiltins\neval\n(X\x01\0\0\x001tR.", "wants to call 'builtins.eval': refused"),
    "by text": (b"X\x02\0\0\0osX\x06\0\0\0system\x93.", "wants to call 'os.system': refused"),
    "another of torch": (b"ctorch\nload\n.", "wants to call 'torch.load': refused"),
    "with spaces": (b"ctorch Size\nx\n.", "wants to call 'torch.Size.x': refused"),
    "an instance": (b"(ios\nsystem\n.", "has a INST, no state dict does: refused"),
    "an object": (b"(cos\nsystem\no.", "wants to call 'os.system': refused"),
    "NEWOBJ": (b"ccollections\nOrderedDict\n)\x81.", "has a NEWOBJ"),
    "extension": (b"\x82\x01.", "has a EXT1"),
    "a persistent text": (b"P0\n.", "has a PERSID"),
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
    "no tensors": (b"}X\x01\0\0\0aK\x01s.", "'a' is no tensor"),
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
    "beyond": ({"shape": b"K\x04\x85"}, "reaches beyond its storage"),
    "offset": ({"offset": b"K\x01"}, "reaches beyond its storage"),
    "stride": ({"strides": b"K\x02\x85"}, "reaches beyond its storage"),
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
        "claims 8.0 GiB of tensors",
    ),
    "large storage": ({"count": b"J\xff\xff\xff\x7ft"}, "is missing or has not"),
    "small storage": ({"count": b"K\x02t"}, "reaches beyond its storage"),
    "negative storage": ({"count": b"J\xff\xff\xff\xfft"}, "is damaged"),
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


@pytest.mark.slow
def test_a_pickle_that_is_too_long_is_refused():
    with pytest.raises(WeightsError, match="larger than any state dict's"):
        load_pickle(io.BytesIO(b"\x80\x02" + b"]" * 2**21 + b"."), "m.pt")


def zipped(path, *members, mode=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", mode) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zip_archives_that_nobody_should_unpack(tmp_path):
    path = tmp_path / "m.pt"
    torch_file(path, tensor(), extra=[("m/data/0", b"\1" * 12)])
    with pytest.raises(WeightsError, match="two members of one name"):
        read_arrays(path)
    for name in ("../../etc/passwd", "/etc/passwd", "m\\..\\x"):
        torch_file(path, tensor(), extra=[(name, b"x")])
        with pytest.raises(WeightsError, match="leaves the archive"):
            read_arrays(path)
    zipped(path, ("m/data.pkl", tensor()), ("m/x", bytes(2**23)), mode=zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="m/x would unpack to more than 200 times"):
        read_arrays(path)
    zipped(path, ("a/data.pkl", tensor()), ("b/data.pkl", tensor()))
    with pytest.raises(WeightsError, match=r"no single data\.pkl"):
        read_arrays(path)
    zipped(path, ("m/notes.txt", b"x"))
    with pytest.raises(WeightsError, match="a zip archive without weights; read are TensorFlow"):
        read_arrays(path)
    with pytest.raises(WeightsError, match="big-endian"):
        read_arrays(torch_file(path, tensor(), byteorder=b"big"))
    with pytest.raises(WeightsError, match="is missing or has not 12 bytes"):
        read_arrays(torch_file(path, tensor(), storage=bytes(16)))


def test_a_zip_archive_that_claims_more_than_4_gib(tmp_path):
    path = torch_file(tmp_path / "m.pt", tensor())
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")  # the directory's last row: 24 bytes on are the sizes
    data[at + 20 : at + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"would unpack to 4\.0 GiB"):
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
    "overlap": ({"a": row(), "b": row(span=(4, 12))}, 12, "b begins at byte 4"),
    "hole": ({"a": row(), "b": row(span=(12, 20))}, 20, "b begins at byte 12"),
    "hole before": ({"a": row(span=(4, 12))}, 12, "a begins at byte 4"),
    "left over": ({"a": row()}, 12, "take 8 bytes and its data 12"),
    "cut short": ({"a": row()}, 4, "take 8 bytes and its data 4"),
    "another dtype": ({"a": row("F16")}, 8, "its shape in F16 disagree"),
    "unknown dtype": ({"a": row("F31")}, 8, "has a dtype other than F64"),
    "no dtype": ({"a": row(7)}, 8, "has a dtype other than F64"),
    "shape": ({"a": row(shape=[3])}, 8, "disagree"),
    "negative": ({"a": row(shape=[-2], span=[0, -8])}, 8, "an impossible shape"),
    "backwards": ({"a": row(shape=[0], span=[4, 0])}, 8, "disagree"),
    "huge": ({"a": row(shape=[2**62, 4], span=[0, 2**66])}, 8, "an impossible shape"),
    "large": ({"a": row(shape=[2**40], span=[0, 2**42])}, 8, "take 4398046511104 bytes"),
    "fraction": ({"a": row(shape=[2.0])}, 8, "an impossible shape"),
    "true": ({"a": row(shape=[True], span=[0, 4])}, 4, "an impossible shape"),
    "no shape": ({"a": {"dtype": "F32", "data_offsets": [0, 8]}}, 8, "must have dtype, shape"),
    "more": ({"a": row() | {"x": 1}}, 8, "must have dtype, shape"),
    "integers": ({"a": row("I32")}, 8, "is int32 of shape"),
    "metadata": ({"__metadata__": {"a": 1}}, 0, "no dictionary"),
    "a list": ([1], 0, "no dictionary"),
    "doubles": (b'{"a":{},"a":{}}', 0, "stands there twice"),
    "no JSON": (b'{"a":', 0, "no JSON"),
    "nested": (b'{"a":' + b"[" * 100_000, 0, "no JSON"),
    "digits": (b'{"a":' + b"9" * 5000 + b"}", 0, "no JSON"),
    "no text": (b"{\xff}", 0, "no JSON"),
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
        with pytest.raises(WeightsError, match=f"a header of {length} bytes does not fit"):
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
    "external": (outside, "lies outside of the file|claims"),
    "bomb": (bomb, "claims 68719476736 bytes, of which 0 are there"),
    "virtual": (virtual, "lies outside of the file"),
    "link": (lambda v: v.__setitem__("0", h5py.ExternalLink("x.h5", "a")), "link to somewhere"),
    "soft link": (lambda v: v.__setitem__("0", h5py.SoftLink("/a")), "link to somewhere else"),
    "twice": (twice, "under a second name"),
    "loop": (loop, "under a second name"),
    "never written": (lambda v: v.create_dataset("0", (9,), "f4"), "36 bytes, of which 0"),
    "own floats": (own_float, "floats of an unknown kind"),
    "big-endian": (lambda v: v.__setitem__("0", np.ones(2, ">f4")), "floats of an unknown kind"),
    "texts": (lambda v: v.__setitem__("0", np.array([b"ab"])), r"is \|S2|bytes16"),
    "integers": (lambda v: v.__setitem__("0", np.arange(3)), "is int64 of shape"),
    "a gap": (lambda v: v.__setitem__("1", np.ones(2, "f4")), "lacks a variable"),
    "no number": (lambda v: v.__setitem__("x", np.ones(2, "f4")), "no variable of a Keras layer"),
    "too large for float32": (lambda v: v.__setitem__("0", np.array([1e300])), "do not fit"),
    "empty": (lambda v: None, "without weights of Keras"),
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
        with pytest.raises(WeightsError, match=r"^x: not a whole checkpoint of TensorFlow"):
            table_entries(table(block((b"a", b"1")), handle), "x")
    for bad in (b"\0\x01\x7fa1" + struct.pack("<II", 0, 1), b"\x05\x01\x01a1" + bytes(8), b"\0"):
        with pytest.raises(WeightsError, match=r"^x: not a whole checkpoint of TensorFlow"):
            table_entries(table(bad), "x")
    with pytest.raises(WeightsError, match="cut short"):
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
    "another size": ({"shape": [1]}, {}, "another size than its shape"),
    "another dtype": ({"dtype": 3, "shape": [1]}, {}, "another size than its shape"),
    "unknown dtype": ({"dtype": 77}, {}, "an unknown dtype"),
    "beyond": ({"offset": 1}, {}, "a is damaged: its data file is cut short"),
    "before": ({"offset": -1}, {}, "lies nowhere"),
    "another file": ({"shard_id": 1}, {}, "lies nowhere"),
    "no file before": ({"shard_id": -1}, {}, "lies nowhere"),
    "text of huge size": ({"dtype": 7, "shape": [], "size": 2**50}, {}, "cut short"),
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
    with pytest.raises(WeightsError, match="a table, but no checkpoint"):
        read_arrays(tmp_path / "m")
