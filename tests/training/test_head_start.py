"""The linear probe that a classifier begins with."""

import numpy as np
import pytest
from short_network import register

from kinetics_i3d.core.labels import softmax
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.training.head_start import fit_head, linear_probe

SHORT = register()


@pytest.fixture
def examples():
    """Features of 6 channels of very unlike size around 3 centres, and their one-hot targets."""
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = random.normal(0, 0.3, (90, 6)) + random.normal(0, 2, (3, 6))[labels]
    return features * [1, 1, 1, 1, 3, 0.5] + 2.0, np.eye(3)[labels]


def test_a_probe_tells_classes_apart_and_is_calibrated(examples):
    features, targets = examples
    kernel, bias = linear_probe(features, targets, penalty=1e-3)
    assert kernel.shape == (6, 3) and bias.shape == (3,)
    odds = softmax(features @ kernel + bias)
    assert (odds.argmax(axis=1) == targets.argmax(axis=1)).all()
    # Where the fit is done, its mean prediction is each class's share.
    np.testing.assert_allclose(odds.mean(axis=0), targets.mean(axis=0), atol=1e-3)


def test_a_shift_of_the_features_changes_no_answer(examples):
    features, targets = examples
    plain, moved = (
        given @ kernel + bias
        for given in (features, features + 10.0)
        for kernel, bias in [linear_probe(given, targets)]
    )
    np.testing.assert_allclose(plain, moved, atol=1e-6)


def test_a_penalty_shrinks_the_kernel(examples):
    sizes = [np.abs(linear_probe(*examples, penalty=p)[0]).sum() for p in (0.01, 0.1, 1.0)]
    assert sizes[0] > 1.5 * sizes[1] > 1.5**2 * sizes[2] > 0


@pytest.mark.slow
def test_a_head_is_fitted_to_the_mean_features_of_the_batches():
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
    fit_head(model, iter(batches), 3, batch=len(batches[0][1]))
    for clips, _ in batches:
        assert model.predict(clips, verbose=0).argmax(axis=1).tolist() == [0, 1]
    for old, new in zip(body, model.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_probe_of_several_labels_is_a_logistic_regression_of_each_class():
    random = np.random.default_rng(0)
    features = random.normal(size=(200, 6))
    truth = features @ random.normal(size=(6, 3)) > 0
    both = linear_probe(features, truth.astype(float), penalty=0.01, loss="sigmoid")
    np.testing.assert_array_less(0.95, ((features @ both[0] + both[1] > 0) == truth).mean(axis=0))
    for number in range(3):  # no class knows of the others
        alone = linear_probe(
            features, truth[:, number : number + 1].astype(float), penalty=0.01, loss="sigmoid"
        )
        np.testing.assert_allclose(both[0][:, number], alone[0][:, 0], atol=1e-12)
        np.testing.assert_allclose(both[1][number], alone[1][0], atol=1e-12)
