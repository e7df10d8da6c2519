"""`split_head`: both parts together match the whole; and linear probes of the features."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from short_network import register

from kinetics_i3d.core.labels import softmax
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.training.head import fit_linear_probe, linear_probe, split_head, sum_logits
from kinetics_i3d.training.network import build, frames_of

SHORT = register()

SYSTEMS = {
    "InceptionI3D": {},
    "C3D": {
        "architecture": "c3d_eighth",
        "frames": 16,
        "size": 112,
        "test_size": 112,
        "test_short_side": 128,
    },
    "ConvNetLSTM": {"frames": 3, "stride": 5},
    "TwoStream": {"frames": 20, "stride": 10},
    "TwoStreamFused": {"frames": 20, "stride": 10},
    "TwoStreamI3D": {},
}


def clips_of(config, model, batch_size=2):
    channels = {"rgb": 3, "flow": 2}
    random = np.random.default_rng(0)
    clips = {
        name: random.uniform(-1, 1, (batch_size, frames, config.size, config.size, channels[name]))
        for name, frames in frames_of(config, model).items()
    }
    clips = {name: tf.constant(clip, tf.float32) for name, clip in clips.items()}
    return clips if len(clips) > 1 else next(iter(clips.values()))


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_backbone_and_head_match_the_whole_model(tiny, system):
    config = dataclasses.replace(tiny, system=system, **SYSTEMS[system])
    model = build(config, ("a", "b", "c"))
    backbone, head = split_head(model)
    clips = clips_of(config, model)
    features = backbone(clips)
    logits = sum_logits(head)(features)
    np.testing.assert_allclose(logits, model(clips), rtol=1e-4, atol=1e-5)
    separate = tf.nest.flatten(head(features))
    assert len(separate) == (2 if system == "TwoStreamI3D" else 1)
    np.testing.assert_allclose(sum(separate), logits, rtol=1e-5, atol=1e-6)
    of_model = {id(variable) for variable in model.trainable_variables}
    assert {id(variable) for variable in head.trainable_variables} <= of_model
    assert [variable.shape[-1] for variable in head.trainable_variables] == [3, 3] * (
        2 if system in ("TwoStream", "TwoStreamI3D") else 1
    )


def test_dropout_belongs_to_the_head(tiny):
    model = build(dataclasses.replace(tiny, dropout=0.6), ("a", "b"))
    backbone, head = split_head(model)
    names = [layer.name for layer in head.layers]
    assert "Dropout_0b" in names and "Dropout_0b" not in [layer.name for layer in backbone.layers]
    features = backbone(clips_of(tiny, model))
    once, again = (np.asarray(head(features, training=True)) for _ in range(2))
    assert not np.array_equal(once, again)
    np.testing.assert_array_equal(head(features), head(features))


@pytest.fixture
def examples():
    """Features of 6 channels of very unlike size around 3 centers, and their one-hot targets."""
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = random.normal(0, 0.3, (90, 6)) + random.normal(0, 2, (3, 6))[labels]
    return features * [1, 1, 1, 1, 3, 0.5] + 2.0, np.eye(3)[labels]


def test_linear_probe_separates_classes_and_is_calibrated(examples):
    features, targets = examples
    kernel, bias = linear_probe(features, targets, penalty=1e-3)
    assert kernel.shape == (6, 3) and bias.shape == (3,)
    odds = softmax(features @ kernel + bias)
    assert (odds.argmax(axis=1) == targets.argmax(axis=1)).all()
    # Where the fit is done, its mean prediction is each class's share.
    np.testing.assert_allclose(odds.mean(axis=0), targets.mean(axis=0), atol=1e-3)


def test_linear_probe_is_invariant_to_shifts(examples):
    features, targets = examples
    plain, moved = (
        values @ kernel + bias
        for values in (features, features + 10.0)
        for kernel, bias in [linear_probe(values, targets)]
    )
    np.testing.assert_allclose(plain, moved, atol=1e-6)


def test_linear_probe_penalty_shrinks_the_kernel(examples):
    sizes = [np.abs(linear_probe(*examples, penalty=p)[0]).sum() for p in (0.01, 0.1, 1.0)]
    assert sizes[0] > 1.5 * sizes[1] > 1.5**2 * sizes[2] > 0


@pytest.mark.slow
def test_fit_linear_probe_sets_only_the_classifier():
    model = InceptionI3D(architecture=SHORT, classes=2)
    random = np.random.default_rng(1)
    body = [value.copy() for value in model.get_weights()[:-2]]
    targets = np.eye(2, dtype=np.float32)[[0, 1]]
    # One class is bright, the other dark.
    light = np.array([1.0, -1.0]).reshape(2, 1, 1, 1, 1)
    batches = [
        ((random.normal(0, 0.1, (2, 9, 32, 32, 3)) + light).astype(np.float32), targets)
        for _ in range(4)
    ]
    fit_linear_probe(model, iter(batches), 3, batch_size=len(batches[0][1]))
    for clips, _ in batches:
        assert model.predict(clips, verbose=0).argmax(axis=1).tolist() == [0, 1]
    for old, new in zip(body, model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)


def test_sigmoid_linear_probe_treats_classes_independently():
    random = np.random.default_rng(0)
    features = random.normal(size=(200, 6))
    truth = features @ random.normal(size=(6, 3)) > 0
    both = linear_probe(features, truth.astype(float), penalty=0.01, loss="sigmoid")
    np.testing.assert_array_less(0.95, ((features @ both[0] + both[1] > 0) == truth).mean(axis=0))
    for number in range(3):
        alone = linear_probe(
            features, truth[:, number : number + 1].astype(float), penalty=0.01, loss="sigmoid"
        )
        np.testing.assert_allclose(both[0][:, number], alone[0][:, 0], atol=1e-12)
        np.testing.assert_allclose(both[1][number], alone[1][0], atol=1e-12)
