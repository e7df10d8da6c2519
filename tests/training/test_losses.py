"""Losses against NumPy: of the last step, and of all of them."""

import numpy as np
import pytest

from kinetics_i3d.training.losses import (
    balanced_weights,
    binary_cross_entropy,
    cross_entropy,
    final,
)


def plain(logits, targets):
    """-sum of target * log softmax, in float64."""
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(axis=-1, keepdims=True)
    return -(targets * (logits - np.log(np.exp(logits).sum(-1, keepdims=True)))).sum(-1)


@pytest.fixture
def drawn():
    random = np.random.default_rng(0)
    return random.normal(0, 3, (4, 5, 6)).astype(np.float32), np.eye(6, dtype=np.float32)[
        [0, 2, 5, 2]
    ]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_of_all_steps_is_the_mean_of_those_of_each(drawn, smoothing):
    logits, targets = drawn
    spread = targets * (1 - smoothing) + smoothing / 6
    wanted = np.mean([plain(logits[:, step], spread) for step in range(5)], axis=0)
    found = cross_entropy(logits, targets, smoothing=smoothing)
    assert found.dtype == "float32" and found.shape == (4,)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    last = cross_entropy(logits[:, 2], targets, smoothing=smoothing)
    np.testing.assert_allclose(last, plain(logits[:, 2], spread), rtol=1e-5)


def test_the_last_step_answers(drawn):
    logits, _ = drawn
    np.testing.assert_array_equal(final(logits), logits[:, 4])
    np.testing.assert_array_equal(final(logits[:, 1]), logits[:, 1])


def plain_binary(logits, targets, weights=None):
    """The sum over classes of -w y log p - (1 - y) log(1 - p), in float64."""
    odds = 1 / (1 + np.exp(-np.asarray(logits, np.float64)))
    positive = np.ones(odds.shape[-1]) if weights is None else weights
    return -(positive * targets * np.log(odds) + (1 - targets) * np.log(1 - odds)).sum(-1)


@pytest.mark.parametrize("weights", [None, np.array([1.0, 2, 0.5, 1, 3, 0])])
def test_the_sigmoid_loss_is_a_binary_cross_entropy_for_each_class(drawn, weights):
    logits, targets = drawn
    targets = np.maximum(targets, np.roll(targets, 1, axis=1))  # two classes each
    targets[0] = 0  # and none
    wanted = np.mean([plain_binary(logits[:, step], targets, weights) for step in range(5)], axis=0)
    found = binary_cross_entropy(logits, targets, weights=weights)
    assert found.dtype == "float32" and found.shape == (4,)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    last = binary_cross_entropy(logits[:, 2], targets, smoothing=0.2, weights=weights)
    np.testing.assert_allclose(
        last, plain_binary(logits[:, 2], targets * 0.8 + 0.1, weights), rtol=1e-5
    )


def test_balanced_weights_are_inverse_frequencies_of_mean_one_over_clips():
    counts = np.array([6, 3, 0, 1])
    weights = balanced_weights(counts)
    assert weights[2] == 0 and weights[1] == pytest.approx(2 * weights[0])
    assert weights[3] == pytest.approx(6 * weights[0])
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1)
