"""Average precision against a loop over thresholds, and by hand."""

import numpy as np
import pytest

from kinetics_i3d.core.average_precision import (
    average_precision,
    average_precisions,
    hit_at_1,
    mean_average_precision,
)


def plain(scores, targets):
    """The area under the steps of precision and recall, threshold by threshold."""
    area, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [
            target for score, target in zip(scores, targets, strict=True) if score >= threshold
        ]
        recall = sum(taken) / sum(targets)
        area += (recall - before) * sum(taken) / len(taken)
        before = recall
    return area


def test_average_precision_equals_a_loop_over_thresholds_with_ties():
    random = np.random.default_rng(0)
    for _ in range(20):
        scores = random.integers(0, 6, 30) / 4  # many are equal
        targets = random.integers(0, 2, 30)
        targets[0] = 1
        assert average_precision(scores, targets) == pytest.approx(plain(scores, targets))


def test_classes_without_videos_do_not_count():
    scores = np.array([[3.0, 0.0, 1.0], [2.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
    targets = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0]], bool)
    found = average_precisions(scores, targets)
    np.testing.assert_allclose(found, [(1 + 2 / 3) / 2, 1 / 2, np.nan])
    assert mean_average_precision(scores, targets) == pytest.approx((5 / 6 + 1 / 2) / 2)
    assert np.isnan(mean_average_precision(scores, np.zeros((3, 3))))
    # A perfect order is 1, whatever the values; equal scores are the share of positives.
    assert mean_average_precision(targets * 1.0, targets) == 1
    assert average_precision([0.0] * 4, [1, 0, 0, 0]) == 0.25
    assert hit_at_1(scores, targets) == pytest.approx(1 / 3)
