"""Recalibrated batch norm statistics against NumPy."""

import keras
import numpy as np

from kinetics_i3d.training.batch_norm import all_layers, recalibrate


def test_recalibrated_statistics_are_means_over_batches():
    inputs = keras.Input((2, 3, 3, 4))
    x = keras.layers.Dropout(0.9)(inputs)  # off during recalibration
    first = keras.layers.BatchNormalization(momentum=0.99, scale=False, epsilon=1e-3)
    frozen = keras.layers.BatchNormalization(trainable=False)
    second = keras.layers.BatchNormalization(momentum=0.5)
    model = keras.Model(inputs, second(keras.layers.ReLU()(frozen(first(x)))))
    random = np.random.default_rng(0)
    batches = [random.normal(n, 1 + n, (5, 2, 3, 3, 4)).astype(np.float32) for n in range(4)]
    weights = [one.numpy() for one in model.trainable_variables]
    recalibrate(model, iter(batches), 3)

    axes = (0, 1, 2, 3)
    seen = [one.astype(np.float64) for one in batches[:3]]
    np.testing.assert_allclose(
        first.moving_mean, np.mean([b.mean(axes) for b in seen], 0), rtol=1e-5
    )
    np.testing.assert_allclose(
        first.moving_variance, np.mean([b.var(axes) for b in seen], 0), rtol=1e-5
    )
    made = [(b - b.mean(axes)) / np.sqrt(b.var(axes) + 1e-3) / np.sqrt(1 + 1e-3) for b in seen]
    after = np.mean([np.maximum(one, 0).mean(axes) for one in made], 0)
    np.testing.assert_allclose(second.moving_mean, after, rtol=1e-4)
    assert not frozen.moving_mean.numpy().any()
    assert (first.momentum, second.momentum, model.layers[1].rate) == (0.99, 0.5, 0.9)
    for old, new in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


def test_recalibrate_can_include_frozen_layers():
    inputs = keras.Input((2, 3, 3, 4))
    norm = keras.layers.BatchNormalization(trainable=False)
    model = keras.Model(inputs, norm(inputs))
    batch = np.random.default_rng(0).normal(3, 2, (5, 2, 3, 3, 4)).astype(np.float32)
    recalibrate(model, iter([batch]), 1, include_frozen=True)
    np.testing.assert_allclose(norm.moving_mean, batch.mean((0, 1, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, batch.var((0, 1, 2, 3)), rtol=1e-5)
    assert not norm.trainable and model.trainable_variables == []


def test_all_layers_includes_nested_models():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="deep")], name="inner")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.ReLU(name="top")(inner(inputs)))
    assert {"deep", "top"} <= {layer.name for layer in all_layers(model)}
    assert "inner" not in {layer.name for layer in all_layers(model)}
    recalibrate(model, iter(()), 3)
