"""`checkpoints/ship.py`: weights of several runs are averaged only where that is right."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def average():
    spec = importlib.util.spec_from_file_location("ship", ROOT / "checkpoints" / "ship.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.average


def network(seed, classes=2):
    keras.utils.set_random_seed(seed)
    return ki3d.InceptionI3D(architecture=register(), classes=classes)


def test_every_weight_is_the_mean_of_the_runs(average):
    models = [network(seed) for seed in range(3)]
    weights = [model.get_weights() for model in models]
    result = average(models)
    assert result is models[0]
    for mean, *arrays in zip(result.get_weights(), *weights, strict=True):
        np.testing.assert_allclose(mean, np.mean(arrays, axis=0), rtol=1e-6, atol=1e-7)


def test_a_single_run_is_unchanged(average):
    model = network(0)
    before = model.get_weights()
    for old, new in zip(before, average([model]).get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_other_statistics_of_batch_norm_are_refused(average):
    models = [network(0), network(1)]
    norm = next(layer for layer in models[1].layers if hasattr(layer, "moving_mean"))
    norm.moving_mean.assign(norm.moving_mean + 1)
    with pytest.raises(ValueError, match=r"statistics of batch norm differ in .*moving_mean"):
        average(models)


def test_other_classes_are_refused(average):
    models = [network(0), network(1)]
    models[0].labels, models[1].labels = ("sit", "stand"), ("stand", "sit")
    with pytest.raises(ValueError, match="the networks differ"):
        average(models)
