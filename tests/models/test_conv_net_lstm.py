"""ConvNet+LSTM: its numbers against plain NumPy, its loss on all steps, shapes and counts."""

import dataclasses

import keras
import numpy as np
import pytest
import reference

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM, all_steps_loss
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import save_weights

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(known, randomize):
    made = ConvNetLSTM(architecture="inception_v1_narrow", classes=3, all_steps=True)
    return randomize(made, seed=1)


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(2).uniform(-1, 1, (2, 4, 33, 40, 3)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_lstm(x, kernel, recurrent, bias):
    """(batch, steps, channels) -> (batch, steps, units); gates in, forget, new, out."""
    state = memory = np.zeros((len(x), recurrent.shape[0]))
    states = []
    for step in range(x.shape[1]):
        gates = np.split(x[:, step] @ kernel + state @ recurrent + bias, 4, axis=1)
        memory = sigmoid(gates[1]) * memory + sigmoid(gates[0]) * np.tanh(gates[2])
        state = sigmoid(gates[3]) * np.tanh(memory)
        states.append(state)
    return np.stack(states, axis=1)


def test_the_network_equals_plain_numpy(model, clips, arrays_of):
    arrays = arrays_of(model)
    backbone = {n.removeprefix("rgb/"): a for n, a in arrays.items() if n.startswith("rgb/")}
    features = [
        reference.inception_v1(clips[:, step], backbone)["Mixed_5c"].mean(axis=(1, 2))
        for step in range(clips.shape[1])
    ]
    norm = [arrays[f"Features_bn/{part}"] for part in ("beta", "moving_mean", "moving_variance")]
    x = reference.batch_norm(np.stack(features, axis=1), *norm)
    x = plain_lstm(x, *(arrays[f"LSTM/{part}"] for part in ("kernel", "recurrent_kernel", "bias")))
    expected = x @ arrays["Classifier/kernel"] + arrays["Classifier/bias"]
    found = np.asarray(model(clips))
    assert found.shape == (2, 4, 3) and np.ptp(expected, axis=(0, 1)).min() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_at_test_the_last_step_counts(model, clips):
    last = ConvNetLSTM(architecture="inception_v1_narrow", classes=3)
    last.set_weights(model.get_weights())
    found = np.asarray(last(clips))
    assert last.output_shape == (None, 3)
    np.testing.assert_allclose(found, np.asarray(model(clips))[:, -1], rtol=1e-5, atol=1e-6)


def test_without_the_top(model, clips, arrays_of):
    features = ConvNetLSTM(architecture="inception_v1_narrow", include_top=False)
    pooled = ConvNetLSTM(architecture="inception_v1_narrow", include_top=False, pooling="avg")
    for cut in (features, pooled):
        cut.set_weights(model.get_weights()[:-2])
    steps = np.asarray(features(clips))
    arrays = arrays_of(model)
    logits = steps @ arrays["Classifier/kernel"] + arrays["Classifier/bias"]
    np.testing.assert_allclose(logits, np.asarray(model(clips)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.asarray(pooled(clips)), steps.mean(axis=1), rtol=1e-4, atol=1e-6)


def test_the_loss_is_the_mean_over_all_steps():
    random = np.random.default_rng(3)
    logits = random.normal(0, 3, (5, 7, 4))
    targets = random.dirichlet(np.ones(4), 5)
    expected = []
    for clip, target in zip(logits, targets, strict=True):
        steps = [-(target * np.log(np.exp(one) / np.exp(one).sum())).sum() for one in clip]
        expected.append(sum(steps) / len(steps))
    found = np.asarray(all_steps_loss(targets, logits.astype(np.float32)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    last = np.asarray(all_steps_loss(targets, logits[:, -1].astype(np.float32)))
    found = np.asarray(all_steps_loss(targets, logits[:, -1:].astype(np.float32)))
    assert last.shape == (5,)
    np.testing.assert_allclose(last, found, rtol=1e-6)


def test_training_uses_the_loss_at_every_step(clips):
    features = np.random.default_rng(4).normal(0, 1, (6, 5, 8)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1, 2]]
    inputs = keras.Input((5, 8))
    head = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    head.compile(optimizer=keras.optimizers.SGD(0.0), loss=all_steps_loss)
    history = head.fit(features, targets, batch_size=6, epochs=1, verbose=0).history
    logits = np.asarray(head(features), np.float64)
    odds = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log((odds * targets[:, None]).sum(axis=-1)).mean()
    np.testing.assert_allclose(history["loss"], [expected], rtol=1e-5)


def test_its_spec_is_that_of_the_network_inside(known):
    made = ConvNetLSTM(architecture="inception_v1_narrow", classes=3)
    made.clip_spec = dataclasses.replace(made.clip_spec, fps=2.0)
    assert made.streams["rgb"].clip_spec == made.clip_spec


def test_it_samples_five_frames_a_second(model):
    assert model.clip_spec.fps == 5.0 and model.clip_spec.stream == "rgb"
    assert model.streams["rgb"].name == "rgb_stream" and model.minimum == (1, 32, 32)
    assert model.streams["rgb"].output_shape == (None, model.get_layer("LSTM").input.shape[-1])
    with pytest.raises(ValueError, match=r"1 x 32 x 32 .*height=31"):
        model(np.zeros((1, 2, 31, 32, 3), np.float32))


def test_a_file_gives_the_same_model(tmp_path, model, clips):
    save_weights(model, tmp_path / "mine.h5", labels=("a", "b", "c"))
    loaded = ConvNetLSTM(weights=tmp_path / "mine.h5", all_steps=True)
    assert loaded.labels == ("a", "b", "c") and loaded.clip_spec == model.clip_spec
    np.testing.assert_array_equal(np.asarray(loaded(clips)), np.asarray(model(clips)))
    with pytest.raises(WeightsError, match=r"holds a model of another kind \(ConvNetLSTM\)"):
        InceptionI3D(weights=tmp_path / "mine.h5")
    with pytest.raises(WeightsError, match="has 3 classes, not 4; use head="):
        ConvNetLSTM(weights=tmp_path / "mine.h5", classes=4)


def test_a_keras_file_keeps_everything(tmp_path, model, clips):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.system, loaded.clip_spec) == ("ConvNetLSTM", model.clip_spec)
    np.testing.assert_array_equal(np.asarray(loaded(clips)), np.asarray(model(clips)))
