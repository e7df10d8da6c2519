"""State files: atomic, the newest two, and full disks."""

import dataclasses
import json
import resource
import zipfile

import keras
import numpy as np
import pytest

from kinetics_i3d.training.errors import TrainingError
from kinetics_i3d.training.state import StateFolder, TrainState, restore, variables_of


def fields(**changes):
    return dataclasses.asdict(TrainState(**changes))


@pytest.fixture
def states(tmp_path):
    folder = StateFolder(tmp_path / "state")
    for step in (1, 3, 20):
        arrays = [np.full((2, 3), step), np.array(step, np.uint32)]
        folder.save(step, arrays, fields(step=step))
    return folder


def test_load_reads_the_newest_state_and_two_are_kept(states):
    assert sorted(file.name for file in states.path.iterdir()) == [
        "step-000000003.npz",
        "step-000000020.npz",
    ]
    arrays, state = states.load()
    assert state == fields(step=20)
    assert arrays[0].tolist() == [[20] * 3] * 2 and arrays[1].dtype == np.uint32


def test_floats_survive_save_and_load_bit_exact(tmp_path):
    states = StateFolder(tmp_path)
    state = fields(loss=0.1 + 0.2, best=float("inf"), history=[{"val_loss": 1 / 3}])
    values = np.random.default_rng(0).normal(size=50).astype(np.float32)
    states.save(1, [values] * 12, state)
    arrays, loaded = states.load()
    assert loaded == state and len(arrays) == 12
    assert all(one.tobytes() == values.tobytes() for one in arrays)


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_damaged_state_falls_back_to_the_previous_one(states, damage, caplog):
    newest = states.file(20)
    whole = newest.read_bytes()
    at = whole.index(b"\x14" + bytes(7) + b"\x14")  # a value: only its checksum knows
    newest.write_bytes(damage if damage is not None else whole[:at] + b"\x15" + whole[at + 1 :])
    assert states.load()[1] == fields(step=3)
    assert "step-000000020.npz: damaged" in caplog.text
    states.file(3).write_bytes(b"")
    with pytest.raises(TrainingError, match="all states are damaged; delete the folder"):
        states.load()


def test_load_without_states_returns_none(tmp_path):
    assert StateFolder(tmp_path / "none").load() is None


def test_full_disk_keeps_the_older_state(states):
    before = {file.name: file.read_bytes() for file in states.path.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(TrainingError) as caught:
            states.save(30, [np.zeros(100_000)], {"step": 30})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    text = str(caught.value)
    assert "step-000000030.npz: cannot be written (File too large)" in text
    assert "the state of step 20 is kept: free some space" in text and "\n" not in text
    assert before == {file.name: file.read_bytes() for file in states.path.iterdir()}


def test_state_includes_dropout_seeds_and_the_optimizer():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dropout(0.5, seed=4)(inputs)))
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    optimizer.build(model.trainable_variables)
    variables = variables_of(model, optimizer)
    # kernel, bias, seed; steps, rate, two of momentum
    assert len(variables) == 7
    values = [one.numpy() for one in variables]
    first = np.asarray(model(np.ones((4, 3), np.float32), training=True))
    assert any(not np.array_equal(a, b.numpy()) for a, b in zip(values, variables, strict=True))
    restore(variables, values, "state")
    np.testing.assert_array_equal(model(np.ones((4, 3), np.float32), training=True), first)
    with pytest.raises(TrainingError, match=r"^state: holds the state of another network"):
        restore(variables, values[:-1], "state")


@pytest.mark.parametrize("damage", ["deflated data", "header", "JSON", "no JSON object"])
def test_damaged_state_falls_back_to_the_one_before(states, damage):
    newest = states.file(20)
    with np.load(newest) as stored:
        arrays = {name: stored[name] for name in stored.files}
    if damage == "JSON":
        arrays["facts"] = np.frombuffer(b'{"step": 20', np.uint8)
    elif damage == "no JSON object":
        arrays["facts"] = np.frombuffer(b"[" * 100_000, np.uint8)
    np.savez_compressed(newest, **arrays)
    data = bytearray(newest.read_bytes())
    if damage == "deflated data":
        data[60:90] = b"\xff" * 30
        newest.write_bytes(data)
    elif damage == "header":
        np.savez(newest, **arrays)
        plain = newest.read_bytes()
        newest.write_bytes(plain.replace(b"'shape': (", b"'shape'  ((("))
    _, state = states.load()
    assert state == fields(step=3)


@pytest.mark.parametrize(
    "change",
    [
        {"rigth": 1.0},
        {"step": "20"},
        {"step": True},
        {"positions": [-1]},
        {"positions": ["4"]},
        {"plateau": {"patience": None}},
        {"history": [1]},
        {"history": {}},
        {"arrays": 3},
    ],
)
def test_a_state_that_says_something_else_falls_back_to_the_one_before(states, change):
    with np.load(states.file(20)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    assert json.loads(arrays["facts"].tobytes()).keys() == {*fields(), "arrays"}
    text = json.dumps(json.loads(arrays["facts"].tobytes()) | change)
    np.savez(states.file(20), **arrays | {"facts": np.frombuffer(text.encode(), np.uint8)})
    assert states.load()[1] == fields(step=3)


def test_a_state_whose_list_of_arrays_is_cut_falls_back_to_the_one_before(states):
    newest = states.file(20)
    with zipfile.ZipFile(newest) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for left_out, replaced in (("00001.npy", None), ("00000.npy", None), (None, "00001.npy")):
        with zipfile.ZipFile(newest, "w") as archive:
            for name, data in members.items():
                if name == replaced:  # a member that is no array
                    archive.writestr(name.removesuffix(".npy"), b"no array")
                elif name != left_out:
                    archive.writestr(name, data)
        assert states.load()[1] == fields(step=3)


def test_a_compressed_state_is_refused(states):
    with np.load(states.file(20)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    np.savez_compressed(states.file(20), **arrays)
    assert states.load()[1] == fields(step=3)


def test_a_state_of_an_earlier_version_is_read(states):
    with np.load(states.file(20)) as stored:
        arrays = {name: stored[name] for name in stored.files}
    stored = fields(step=20)
    del stored["videos"]
    text = json.dumps(stored)
    np.savez(states.file(20), **arrays | {"facts": np.frombuffer(text.encode(), np.uint8)})
    assert states.load()[1] == fields(step=20)
