"""States: whole or not at all, two of them, and what happens where there is no room."""

import resource

import keras
import numpy as np
import pytest

from kinetics_i3d.training.errors import TrainingError
from kinetics_i3d.training.state import StateFolder, restore, variables_of


@pytest.fixture
def states(tmp_path):
    folder = StateFolder(tmp_path / "state")
    for step in (1, 3, 20):
        folder.save(step, [np.full((2, 3), step), np.array(step, np.uint32)], {"step": step})
    return folder


def test_the_newest_state_is_read_and_two_are_kept(states):
    assert sorted(file.name for file in states.path.iterdir()) == [
        "step-000000003.npz",
        "step-000000020.npz",
    ]
    arrays, facts = states.load()
    assert facts == {"step": 20}
    assert arrays[0].tolist() == [[20] * 3] * 2 and arrays[1].dtype == np.uint32


def test_floats_come_back_to_the_last_bit(tmp_path):
    states = StateFolder(tmp_path)
    facts = {"loss": 0.1 + 0.2, "best": float("inf"), "history": [{"val_loss": 1 / 3}]}
    values = np.random.default_rng(0).normal(size=50).astype(np.float32)
    states.save(1, [values] * 12, facts)
    arrays, found = states.load()
    assert found == facts and len(arrays) == 12
    assert all(one.tobytes() == values.tobytes() for one in arrays)


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_state_gives_way_to_the_one_before(states, damage, caplog):
    newest = states.file(20)
    whole = newest.read_bytes()
    at = whole.index(b"\x14" + bytes(7) + b"\x14")  # a value: only its checksum knows
    newest.write_bytes(damage if damage is not None else whole[:at] + b"\x15" + whole[at + 1 :])
    assert states.load()[1] == {"step": 3}
    assert "step-000000020.npz: damaged" in caplog.text
    states.file(3).write_bytes(b"")
    with pytest.raises(TrainingError, match="every state there is damaged; delete the folder"):
        states.load()


def test_without_states_there_is_nothing_to_load(tmp_path):
    assert StateFolder(tmp_path / "none").load() is None


def test_without_room_the_older_state_stays(states):
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
    assert "the state of step 20 is kept: make room" in text and "\n" not in text
    assert before == {file.name: file.read_bytes() for file in states.path.iterdir()}


def test_dropouts_seeds_and_the_optimizer_are_part_of_it():
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
    restore(variables, values, "here")
    np.testing.assert_array_equal(model(np.ones((4, 3), np.float32), training=True), first)
    with pytest.raises(TrainingError, match=r"^here: holds the state of another network"):
        restore(variables, values[:-1], "here")
