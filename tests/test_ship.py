"""The scripts of `checkpoints`: means of the weights of runs, and the weight of flow."""

import importlib.util
import pathlib

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[1]


def script_of(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "checkpoints" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def script():
    return script_of("ship")


@pytest.fixture
def average(script):
    return script.average


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
    average(models, recalibrated=True)


def test_statistics_are_measured_on_training_clips(script, tmp_path, monkeypatch):
    import tensorflow as tf

    class Videos:
        def split(self, name):
            return name

    def training_clips(split, *, streams, spec, **options):
        assert (split, streams, spec.size, options["batch_size"]) == ("train", "rgb", 96, 2)
        return tf.data.Dataset.from_tensor_slices((clips, targets)).batch(2)

    settings = {"batch_norm_momentum": 0.0, "recalibration_batches": 2, "batch_size": 2}
    config = ki3d.TrainConfig(size=96, test_size=96, test_short_side=108, streams="rgb", **settings)
    (tmp_path / "config.json").write_text(config.to_json())
    random = np.random.default_rng(0)
    clips = random.uniform(-1, 1, (4, 9, 32, 32, 3)).astype(np.float32)
    targets = np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    monkeypatch.setattr(ki3d, "training_clips", training_clips)
    monkeypatch.setattr(ki3d, "open_dataset", lambda path: Videos())
    model = network(0)
    norm = next(layer for layer in model.layers if hasattr(layer, "moving_mean"))
    read = keras.ops.convert_to_numpy(keras.Model(model.input, norm.input)(clips[2:]))
    script.recalibrate(model, tmp_path, "records")
    # Without momentum they are those of the last batch.
    np.testing.assert_allclose(norm.moving_mean, read.mean(axis=(0, 1, 2, 3)), atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, read.var(axis=(0, 1, 2, 3)), rtol=1e-3)


def test_other_classes_are_refused(average):
    models = [network(0), network(1)]
    models[0].labels, models[1].labels = ("sit", "stand"), ("stand", "sit")
    with pytest.raises(ValueError, match="the networks differ"):
        average(models)


def test_scaled_logits_are_a_multiple(script):
    model = network(0)
    clips = np.random.default_rng(0).uniform(-1, 1, (2, 16, 64, 64, 3)).astype(np.float32)
    before = model.predict(clips, verbose=0)
    script.scale_logits(model, 0.6)
    np.testing.assert_allclose(model.predict(clips, verbose=0), 0.6 * before, rtol=1e-5, atol=1e-6)


def test_the_weight_of_flow_follows_what_its_logits_tell():
    choose = script_of("fusion_weight").best_weight
    random = np.random.default_rng(0)
    targets = random.integers(5, size=400)
    signal = np.eye(5)[targets]
    noise = random.normal(size=(3, 400, 5))
    rgb = 2 * signal + noise[0]
    assert choose(rgb, noise[1], targets) == 0
    # Two equally good networks: the sum is best, whatever the scale of their logits.
    flow = 2 * signal + noise[2]
    assert choose(rgb, flow, targets) == pytest.approx(1, abs=0.2)
    assert choose(5 * rgb, 5 * flow, targets) == pytest.approx(1, abs=0.2)
    assert choose(rgb, 2 * flow, targets) == pytest.approx(0.5, abs=0.1)
