"""Metrics against plain Python, ties and absent classes included."""

import random

import numpy as np
import pytest

from kinetics_i3d.evaluation import metrics


def ranking(row):
    """Class numbers, best first; of equal scores the lower class first."""
    return [index for _, index in sorted((-score, index) for index, score in enumerate(row))]


def plain_topk(scores, targets, k):
    hits = [target in ranking(row)[:k] for row, target in zip(scores, targets, strict=True)]
    return sum(hits) / len(hits)


def plain_mean_class(scores, targets):
    shares = []
    for wanted in sorted(set(targets)):
        rows = [row for row, target in zip(scores, targets, strict=True) if target == wanted]
        shares.append(sum(ranking(row)[0] == wanted for row in rows) / len(rows))
    return sum(shares) / len(shares)


@pytest.mark.parametrize("seed", range(5))
def test_all_metrics_equal_plain_python(seed):
    rng = random.Random(seed)
    # Scores of few values, so that ties are frequent; class 4 is never a target.
    scores = [[rng.randrange(4) for _ in range(6)] for _ in range(40)]
    targets = [rng.choice([0, 1, 2, 3, 5]) for _ in range(40)]
    for k in (1, 2, 5, 6, 9):
        assert metrics.topk_accuracy(scores, targets, k) == plain_topk(scores, targets, k)
    mean = metrics.mean_class_accuracy(scores, targets)
    assert mean == pytest.approx(plain_mean_class(scores, targets))
    counts = [[0] * 6 for _ in range(6)]
    for row, target in zip(scores, targets, strict=True):
        counts[target][ranking(row)[0]] += 1
    assert metrics.confusion_matrix(scores, targets).tolist() == counts


def test_ties_go_to_the_lower_class():
    assert metrics.topk_accuracy([[1, 1, 1]], [0], 1) == 1.0
    assert metrics.topk_accuracy([[1, 1, 1]], [1], 1) == 0.0
    assert metrics.topk_accuracy([[1, 1, 1]], [1], 2) == 1.0
    assert metrics.confusion_matrix([[1, 1, 1]], [2]).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_few_videos_of_a_class_count_as_much_as_many():
    scores = np.eye(3)[[0] * 9 + [0]]
    assert metrics.topk_accuracy(scores, [0] * 9 + [1]) == 0.9
    assert metrics.mean_class_accuracy(scores, [0] * 9 + [1]) == 0.5
