"""Losses against NumPy: of the last step, and of all of them."""

import numpy as np
import pytest

from kinetics_i3d.training.losses import cross_entropy, final


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
