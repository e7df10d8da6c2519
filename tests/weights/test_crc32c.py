"""CRC-32C against published values, a calculation bit by bit, and the released index."""

import numpy as np
import pytest

from kinetics_i3d.weights.distribution import crc32c, masked_crc32c
from kinetics_i3d.weights.layouts import LAYOUTS
from kinetics_i3d.weights.readers.tensorflow import table_entries
from kinetics_i3d.weights.released import RELEASES


def bit_by_bit(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


# RFC 3720, appendix B.4, whose bytes are in the order of transmission; and the usual check value.
@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_published_values(data, crc):
    assert crc32c(data) == crc


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 9, 15, 31, 64, 100, 255, 1021, 4096, 4097])
def test_every_length_is_as_bit_by_bit(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == bit_by_bit(data)
    assert crc32c(bytes(5) + data) == bit_by_bit(bytes(5) + data)


def test_arrays_are_their_bytes():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert masked_crc32c(array) == masked_crc32c(array.tobytes())


def test_a_flipped_bit_changes_the_checksum():
    data = bytearray(np.random.default_rng(0).bytes(1000))
    whole = crc32c(data)
    for at in range(0, 8000, 7):
        data[at // 8] ^= 1 << at % 8
        assert crc32c(data) != whole
        data[at // 8] ^= 1 << at % 8


def test_the_mask_is_tensorflows(tmp_path):
    from tensorflow.core.protobuf import tensor_bundle_pb2 as bundle
    from tensorflow_checkpoint import save

    array = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
    save({"a": array}, tmp_path / "model.ckpt")
    path = tmp_path / "model.ckpt.index"
    entries = dict(table_entries(path.read_bytes(), path))
    assert masked_crc32c(array) == bundle.BundleEntryProto.FromString(entries[b"a"]).crc32c


def test_the_table_of_the_release_has_its_tensors():
    names = {name for name in LAYOUTS["deepmind"].names() if not name.endswith("/gamma")}
    checksums = RELEASES["rgb_scratch"].checksums
    assert set(checksums) == names and len(set(checksums.values())) == 230


def test_the_table_of_the_release_is_that_of_the_real_index(shared):
    from tensorflow.core.protobuf import tensor_bundle_pb2 as bundle

    path = shared / "reference" / "deepmind" / "rgb_scratch.index"
    entries = {
        key.decode().removeprefix("RGB/inception_i3d/"): bundle.BundleEntryProto.FromString(value)
        for key, value in table_entries(path.read_bytes(), path)
        if key
    }
    wanted = {name: entry.crc32c for name, entry in entries.items()}
    assert RELEASES["rgb_scratch"].checksums == wanted
