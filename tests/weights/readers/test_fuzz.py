"""Damaged and hostile files: refused in one line, or read as if nothing had happened.

A flipped bit in raw numbers or in a name cannot be seen where a format has no checksum: these cases
are counted, nothing else may have changed in them, and the log must have said that there is none.
"""

import collections
import itertools
import shutil
import struct

import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.formats import read_arrays
from kinetics_i3d.weights.readers.torch import read_torch

FLIPS, CUTS = 200, 50
VICTIMS = [
    ("tensorflow 1", ""),
    ("tensorflow 2", ".index"),
    ("tensorflow 2", ".data-00000-of-00001"),
    ("savedmodel", "/variables/variables.index"),
    ("savedmodel", "/variables/variables.data-00000-of-00001"),
    ("torch", ""),
    ("torch of torch", ""),
    ("torch legacy", ""),
    ("safetensors", ""),
    ("safetensors of others", ""),
    ("keras", ""),
    ("weights.h5", ""),
    ("h5", ""),
    ("flax", ""),
]
UNCHECKED = ("torch legacy", "safetensors of others", "weights.h5", "h5", "flax")


def outcome(path, wanted):
    """What became of a damaged file; anything but an answer or a WeightsError fails the test."""
    try:
        found = read_arrays(path)[1]
    except WeightsError as error:
        text = str(error)
        assert "\n" not in text and str(path) in text, text
        return "refused"
    if {name: (a.shape, a.dtype) for name, a in found.items()} != {
        name: (a.shape, a.dtype) for name, a in wanted.items()
    }:
        contents = [
            sorted((a.shape, a.dtype.str, a.tobytes()) for a in arrays.values())
            for arrays in (found, wanted)
        ]
        return "names" if contents[0] == contents[1] else "shapes"
    same = all(found[name].tobytes() == array.tobytes() for name, array in wanted.items())
    return "equal" if same else "values"


def raw_numbers(kind, path):
    """The bytes of a file that are tensors' values, as ranges."""
    size = path.stat().st_size
    if kind == "safetensors of others":
        start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
        return [range(start, size)]
    if kind == "torch legacy":
        tensors = read_torch(path).values()
        return [range(size - 100 - 8 * len(tensors), size)]
    # HDF5: the place of a tensor's values may change like they themselves; in a pickle of arrays,
    # their order may.
    return [range(size)]


@pytest.mark.slow
def test_damage_is_seen(files, tmp_path, caplog):
    table = {}
    caplog.set_level("WARNING", "absl")
    for kind, part in VICTIMS:
        source = files[kind]
        folder = shutil.copytree(
            source if source.is_dir() else source.parent, tmp_path / kind / "f"
        )
        path = folder if source.is_dir() else folder / source.name
        victim = path.with_name(path.name + part) if not part.startswith("/") else path / part[1:]
        whole = victim.read_bytes()
        wanted = read_arrays(path)[1]
        counts = table[kind + part] = collections.Counter()
        for cut in range(CUTS):
            victim.write_bytes(whole[: len(whole) * cut // CUTS])
            counts[f"cut {outcome(path, wanted)}"] += 1
        raw = raw_numbers(kind, source) if kind in UNCHECKED else []
        random = np.random.default_rng(len(table))
        for number in range(FLIPS):
            at = int((number + random.random()) * len(whole) / FLIPS)
            broken = bytearray(whole)
            broken[at] ^= 1 << int(random.integers(8))
            victim.write_bytes(broken)
            caplog.clear()
            became = outcome(path, wanted)
            counts[became] += 1
            if became in ("values", "names", "shapes"):
                assert "no checksum" in caplog.text, (kind, part, at)
            if became == "values":
                assert any(at in numbers for numbers in raw), (kind, part, at)
        shutil.rmtree(tmp_path / kind)
    columns = ("cut refused", "cut equal", "refused", "equal", "values", "names", "shapes")
    print(f"\n{'':48}" + "".join(f"{column:>12}" for column in columns))
    for name, counts in table.items():
        print(f"{name:48}" + "".join(f"{counts[column]:12}" for column in columns))
        assert not set(counts) - set(columns)
        if not name.startswith(UNCHECKED):
            assert not counts["values"] and not counts["names"]
        # Shapes there are numbers in a pickle, which nothing checks.
        if name not in ("torch legacy", "flax"):
            assert not counts["shapes"]
        assert counts["cut refused"] + counts["cut equal"] == CUTS
        assert sum(counts[column] for column in columns[2:]) == FLIPS


@pytest.mark.parametrize(
    ("kind", "part"), [("tensorflow 2", ".data-00000-of-00001"), ("torch", ""), ("keras", "")]
)
def test_swapped_tensors_are_seen(files, tmp_path, kind, part):
    source = files[kind]
    path = shutil.copytree(source.parent, tmp_path / "f") / source.name
    victim = path.with_name(path.name + part)
    whole, parts = (
        victim.read_bytes(),
        sorted(
            (array for array in read_arrays(path)[1].values() if array.dtype == np.float32),
            key=lambda array: array.nbytes,
        ),
    )
    pairs = ((a.tobytes(), b.tobytes()) for a, b in itertools.pairwise(parts))
    for a, b in ((a[: len(b)], b[: len(a)]) for a, b in pairs):
        if a != b and len(a) > 8 and whole.count(a) == whole.count(b) == 1:
            break
    assert a != b
    swapped = whole.replace(a, b"?" * len(a)).replace(b, a).replace(b"?" * len(a), b)
    assert swapped != whole
    victim.write_bytes(swapped)
    assert outcome(path, {}) == "refused"


def crc32c(data):
    """The masked CRC of TensorFlow's tables, bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "part"), [("tensorflow 1", ""), ("tensorflow 2", ".index")])
def test_a_forged_table_with_right_checksums_does_no_harm(files, tmp_path, kind, part):
    """What TensorFlow's own reader believes is checked before it sees it: it would abort."""
    source = files[kind]
    path = shutil.copytree(source.parent, tmp_path / "f") / source.name
    victim = path.with_name(path.name + part)
    whole = victim.read_bytes()
    end = whole.index(b"\0\0\0\0\x01\0\0\0\0\xc0\xf2\xa1\xb0") - 5  # before the empty metaindex
    assert struct.unpack("<I", whole[end + 1 : end + 5])[0] == crc32c(whole[: end + 1])
    wanted = read_arrays(path)[1]
    random = np.random.default_rng(0)
    counts = collections.Counter()
    for number in range(FLIPS):
        broken = bytearray(whole)
        broken[int((number + random.random()) * end / FLIPS)] = int(random.integers(256))
        broken[end + 1 : end + 5] = struct.pack("<I", crc32c(broken[: end + 1]))
        victim.write_bytes(broken)
        counts[outcome(path, wanted)] += 1
    print(counts)
    assert counts["refused"] > 20 and sum(counts.values()) == FLIPS
