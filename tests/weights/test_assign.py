"""Strict assignment: all mismatches are reported at once, and nothing is changed."""

import keras
import numpy as np
import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.weights.assign import assign, named_variables


@pytest.fixture
def model():
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, name="one")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.Dense(2, name="two")(y)
    return keras.Model(x, y, name="small")


@pytest.fixture
def arrays(model):
    random = np.random.default_rng(0)
    return {
        name: random.uniform(1, 2, variable.shape).astype(np.float32)
        for name, variable in named_variables(model).items()
    }


NAMES = ["one/kernel", "one/bias"]
NAMES += [f"norm/{part}" for part in ("gamma", "beta", "moving_mean", "moving_variance")]
NAMES += ["two/kernel", "two/bias"]


def test_variables_are_named_by_layer_in_order(model):
    variables = named_variables(model)
    assert list(variables) == NAMES
    assert variables["two/kernel"] is model.get_layer("two").kernel


def test_every_array_finds_its_variable(model, arrays):
    assign(model, dict(reversed(arrays.items())))
    for name, variable in named_variables(model).items():
        np.testing.assert_array_equal(variable.numpy(), arrays[name])


def test_all_faults_are_reported_at_once_and_nothing_changes(model, arrays):
    del arrays["one/bias"], arrays["norm/beta"]
    arrays["three/kernel"] = arrays["four/kernel"] = np.zeros(1)
    arrays["two/bias"] = np.zeros((2, 1), np.float32)
    arrays["two/kernel"] = np.zeros((2, 3), np.float32)
    before = model.get_weights()
    with pytest.raises(WeightsError) as raised:
        assign(model, arrays, source="file.h5")
    assert str(raised.value) == (
        "file.h5 does not match small: missing: one/bias, norm/beta; "
        "unused: three/kernel, four/kernel; wrong shape: "
        "two/kernel is (2, 3) instead of (3, 2), two/bias is (2, 1) instead of (2,)"
    )
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("fault", ["missing", "unused", "wrong shape"])
def test_one_fault_is_enough(model, arrays, fault):
    if fault == "missing":
        del arrays["two/bias"]
    elif fault == "unused":
        arrays["three/bias"] = np.zeros(2)
    else:
        arrays["two/bias"] = np.zeros(3)
    with pytest.raises(WeightsError, match=f"the weights does not match small: {fault}: [^;]*$"):
        assign(model, arrays)


def test_only_what_a_pattern_names_may_stay_unused(model, arrays):
    arrays |= {"head/kernel": np.zeros(1), "overhead/kernel": np.zeros(1)}
    with pytest.raises(WeightsError, match=r"unused: overhead/kernel$"):
        assign(model, arrays, ignore=[r"head/"])
    assign(model, arrays, ignore=[r"head/", r"over"])
    del arrays["one/bias"]
    with pytest.raises(WeightsError, match=r"missing: one/bias$"):
        assign(model, arrays, ignore=[r".*"])


def test_an_error_lists_a_few_names_and_counts_the_others(model, arrays):
    arrays |= {f"other{number}/kernel": np.zeros(1) for number in range(9)}
    with pytest.raises(WeightsError, match=r"unused: other0/kernel, .*, other4/kernel and 4 more$"):
        assign(model, arrays)
