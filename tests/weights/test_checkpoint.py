"""Checkpoint files: what is written is read, and anything else is refused in one line."""

import dataclasses
import json

import h5py
import numpy as np
import pytest
from test_translate import made

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights import catalog
from kinetics_i3d.weights.checkpoint import (
    Checkpoint,
    WeightsInfo,
    read_checkpoint,
    read_info,
    verify_checksum,
    write_checkpoint,
)
from kinetics_i3d.weights.formats import read_path
from kinetics_i3d.weights.layouts import LAYOUTS
from kinetics_i3d.weights.read import resolve_weights
from kinetics_i3d.weights.readers.torch import write_torch

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


def test_a_spec_out_of_its_limits_is_not_written(tmp_path, arrays):
    info = dataclasses.replace(INFO, clip_spec=ClipSpec("fast", fps=5000.0))
    with pytest.raises(ValueError, match="`fps` must be at most 1000"):
        write_checkpoint(tmp_path / "fast.h5", Checkpoint(info, arrays))
    assert not list(tmp_path.iterdir())


def test_information_is_read_without_the_arrays_if_it_is_stored(path, tmp_path):
    assert resolve_weights(path)[0].info() == INFO
    wrong = {"Conv3d_0c_1x1/bias": np.zeros(4, np.float32)}
    write_checkpoint(tmp_path / "wrong.h5", Checkpoint(INFO, wrong))
    (source,) = resolve_weights(tmp_path / "wrong.h5")
    assert source.info() == INFO
    with pytest.raises(WeightsError, match=r"has 4 outputs, but declares 2"):
        source.read()
    write_torch(tmp_path / "foreign.pt", made(LAYOUTS["torch"], classes=3, scales=False))
    (foreign,) = resolve_weights(tmp_path / "foreign.pt")
    assert foreign.info() == foreign.read().info and foreign.info().classes == 3


def test_a_full_disk_is_one_error_that_names_the_file(path, tmp_path):
    resource = pytest.importorskip("resource", reason="limits of files are POSIX's")
    checkpoint, before = read_checkpoint(path), resource.getrlimit(resource.RLIMIT_FSIZE)
    full = tmp_path / "full.h5"
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="too large") as raised:
            write_checkpoint(full, checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.filename == str(full)
    assert list(tmp_path.iterdir()) == [path]


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
    "a strange field": lambda path: other_hdf5(path, header(color="red")),
    "a wrong spec": lambda path: other_hdf5(path, header(clip_spec={"name": "x", "fps": -1})),
    "no labels": lambda path: other_hdf5(path, header(labels=None)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_anything_else_is_refused_in_one_line_with_its_path(path, damage):
    DAMAGE[damage](path)
    with pytest.raises(WeightsError) as raised:
        read_checkpoint(path)
    message = str(raised.value)
    reasons = ("not a checkpoint of kinetics_i3d (", "not a complete HDF5 file (")
    assert message.startswith(tuple(f"{path}: {reason}" for reason in reasons))
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


def test_every_flipped_bit_is_refused_before_hdf5_reads_the_file(path, monkeypatch):
    whole = path.read_bytes()
    read = read_checkpoint(path)
    monkeypatch.setattr(h5py, "File", None)
    mark = len(b"kinetics_i3d sha256 ")
    for place in np.random.default_rng(0).integers(0, len(whole), 300).tolist():
        if len(whole) - 32 - mark <= place < len(whole) - 32:
            continue  # the word alone: all that it protects is whole
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        for reader in (read_checkpoint, read_info):
            if reader is read_info and not h5py.is_hdf5(path):
                continue
            with pytest.raises(WeightsError, match=r"mine\.h5: damaged: its bytes do not match"):
                reader(path)
    monkeypatch.undo()
    path.write_bytes(whole)
    assert read_checkpoint(path).info == read.info


def test_files_without_a_checksum_are_read(path, arrays, tmp_path):
    old = tmp_path / "old.h5"
    old.write_bytes(path.read_bytes()[:-52])
    assert verify_checksum(path) and not verify_checksum(old)
    assert read_checkpoint(old).info == read_checkpoint(path).info


SPEC = {"name": "x", "size": 32, "short_side": 36}
REFUSED = {
    "a number": ("1", "must be a JSON object, but is int"),
    "null": ("null", "must be a JSON object, but is NoneType"),
    "nested too deeply": ("[" * 100_000, "nested too deeply"),
    "a list as architecture": (header(architecture=["a"]), "`architecture` of str"),
    "a rank of 7": (header(rank=7), "`rank` must be 2 or 3"),
    "classes as text": (header(classes="2"), "`classes` of int"),
    "very many classes": (header(classes=10**9, labels=[]), "`classes` 0 to 100000"),
    "a list as system": (header(system=["InceptionI3D"]), "`system` of str"),
    "a spec that is none": (header(clip_spec=3), "`clip_spec` of dict"),
    "very many frames": (header(clip_spec={**SPEC, "fps": 1e9}), "`fps` must be at most 1000"),
    "endless frames": (header(clip_spec={**SPEC, "fps": float("inf")}), "`fps` must be finite"),
    "large pictures": (header(clip_spec={**SPEC, "short_side": 3000}), "`short_side` at most 2048"),
    "half pixels": (header(clip_spec={**SPEC, "size": 32.5}), "`size` of int"),
    "a range that is not finite": (header(clip_spec={**SPEC, "high": 1e999}), "must be finite"),
    "one label for all": (header(labels=["same"] * 2), "1 are repeated"),
    "a label that is none": (header(labels=["a", None]), "must be single lines"),
    "a label of two lines": (header(labels=["a", "b\n 99 % c"]), "must be single lines"),
    "a label that colors": (header(labels=["a", "\x1b[31mb"]), "must be single lines"),
    "too few labels": (header(labels=["a"]), "1 labels for 2 classes"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_information_out_of_its_limits_is_refused(path, kind):
    text, reason = REFUSED[kind]
    other_hdf5(path, text)
    for reader in (read_checkpoint, read_info):
        with pytest.raises(WeightsError) as raised:
            reader(path)
        assert reason in str(raised.value) and "\n" not in str(raised.value)


def test_datasets_outside_of_the_file_and_declared_sizes_are_refused(path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(64))
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(4, np.float32)

    def external(file):
        file.create_dataset("a", (4,), np.float32, external=[(str(secret), 0, 16)])

    def virtual(file):
        layout = h5py.VirtualLayout((4,), np.float32)
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (4,))
        file.create_virtual_dataset("a", layout)

    def linked(file):
        file["a"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")

    def claimed(file):
        file.create_dataset("a", (5 * 10**9,), np.float32, chunks=(1000,))

    def bomb(file):
        shape = (3 * 2**28,)
        data = file.create_dataset("a", shape, np.float32, chunks=(2**24,), compression="gzip")
        data[: 2**24] = 0

    for make in (external, virtual, linked, claimed, bomb):
        with h5py.File(path, "w") as file:
            file.attrs["kinetics_i3d"] = header()
            make(file)
        with pytest.raises(WeightsError, match=r"outside|external or soft|declares"):
            read_checkpoint(path)


@pytest.mark.parametrize("name", ["attr_int_json", "d_nan"])
def test_shared_cases_of_trusted_files_are_refused(shared, name):
    with pytest.raises(WeightsError, match=r"must be a JSON object|not finite"):
        read_path(shared / "cases" / "own_h5_trusted" / f"{name}.h5")


@pytest.mark.slow
def test_old_file_that_crashes_hdf5_is_refused(shared):
    crashing = shared / "cases" / "bitflip_own_h5" / "rgb_figures_byte1480895_bit7.h5"
    with pytest.raises(WeightsError, match=r"bit7\.h5: .*(damaged|not a complete HDF5 file)"):
        read_checkpoint(crashing)


def test_hdf5_runs_in_this_process_on_shipped_files_alone(path, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("HDF5 in this process")

    monkeypatch.setattr(h5py, "File", refuse)
    monkeypatch.setattr(catalog, "FOLDERS", (tmp_path.resolve(),))
    copy, shipped = tmp_path / "mine.h5", tmp_path / "rgb_figures.h5"
    for file in (copy, shipped):
        file.write_bytes(path.read_bytes())
    assert read_info(copy) == INFO and read_checkpoint(copy).info == INFO
    for reader in (read_info, read_checkpoint):
        with pytest.raises(WeightsError, match="HDF5 in this process"):
            reader(shipped)
