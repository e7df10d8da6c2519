"""Metrics against plain Python, ties and absent classes included."""

import math
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
def test_accuracies_and_confusion_equal_plain_python(seed):
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


def test_topk_ties_go_to_the_lower_class():
    assert metrics.topk_accuracy([[1, 1, 1]], [0], 1) == 1.0
    assert metrics.topk_accuracy([[1, 1, 1]], [1], 1) == 0.0
    assert metrics.topk_accuracy([[1, 1, 1]], [1], 2) == 1.0
    assert metrics.confusion_matrix([[1, 1, 1]], [2]).tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_mean_class_accuracy_weights_classes_equally():
    scores = np.eye(3)[[0] * 9 + [0]]
    assert metrics.topk_accuracy(scores, [0] * 9 + [1]) == 0.9
    assert metrics.mean_class_accuracy(scores, [0] * 9 + [1]) == 0.5


@pytest.mark.parametrize(("right", "videos"), [(0, 1), (1, 1), (0, 50), (8, 10), (50, 100), (7, 7)])
def test_wilson_interval_inverts_the_score_test(right, videos):
    """Wilson's ends are the shares p at which right / videos lies 1.96 deviations away."""
    low, high = metrics.wilson_interval(right, videos)
    share = right / videos
    assert 0 <= low <= share <= high <= 1
    for end in (low, high):
        if end not in (0.0, 1.0):
            deviation = math.sqrt(end * (1 - end) / videos)
            assert abs(share - end) / deviation == pytest.approx(1.959964, abs=1e-6)
    assert (low == 0.0) == (right == 0) and (high == 1.0) == (right == videos)


def test_wilson_interval_narrows_with_more_videos():
    widths = [np.ptp(metrics.wilson_interval(9 * count, 10 * count)) for count in (1, 10, 100)]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


@pytest.mark.parametrize(("right", "videos"), [(-1, 3), (4, 3), (0, 0)])
def test_wilson_interval_rejects_impossible_counts(right, videos):
    with pytest.raises(ValueError, match="`correct` must be 0 to `videos`"):
        metrics.wilson_interval(right, videos)


def plain_calibration(rows, targets, bins):
    """The gaps of all bins, one after the other."""
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = []
        for row, target in zip(rows, targets, strict=True):
            sure = max(row)
            if low < sure <= high or (number == 0 and sure == 0):
                inside.append((sure, row.index(sure) == target))
        if inside:
            mean = sum(sure for sure, _ in inside) / len(inside)
            accuracy = sum(hit for _, hit in inside) / len(inside)
            total += len(inside) / len(rows) * abs(mean - accuracy)
    return total


@pytest.mark.parametrize("bins", [1, 4, 15])
def test_calibration_error_equals_a_loop_over_bins(bins):
    rng = random.Random(bins)
    rows, targets = [], []
    for _ in range(60):
        odds = [rng.random() ** 4 for _ in range(5)]
        rows.append([odd / sum(odds) for odd in odds])
        targets.append(rng.randrange(5))
    rows += [[0.5, 0.5, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]]  # on the edges of bins
    targets += [0, 0]
    expected = plain_calibration(rows, targets, bins)
    assert metrics.calibration_error(rows, targets, bins=bins) == pytest.approx(expected)


def test_calibration_error_of_a_calibrated_model_is_zero():
    rows = [[0.75, 0.25]] * 4 + [[0.0, 1.0]] * 3
    assert metrics.calibration_error(rows, [0, 0, 0, 1, 1, 1, 1]) == pytest.approx(0)
    assert metrics.calibration_error(rows, [0] * 4 + [0] * 3) == pytest.approx((4 / 4 + 3) / 7)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 9), (9, 3), (5, 5), (2, 14)])
def test_mcnemar_test_equals_a_count_of_all_outcomes(first, second):
    """Each of the 2^n outcomes of n fair coins: how many are as far from the middle or farther."""
    total = first + second
    farther = sum(
        abs(2 * outcome.bit_count() - total) >= abs(first - second) for outcome in range(1 << total)
    )
    assert metrics.mcnemar_test(first, second) == pytest.approx(farther / 2**total, abs=1e-12)


def test_mcnemar_test_of_many_videos_does_not_overflow():
    assert 0 < metrics.mcnemar_test(4000, 5000) < 1e-20
    assert metrics.mcnemar_test(5000, 5000) == 1.0


def test_calibration_bins_include_their_upper_edge():
    # Too unsure in the lower bin, too sure in the upper one; in one bin they would cancel.
    rows = [[0.5, 0.5], [0.75, 0.25]]
    assert metrics.calibration_error(rows, [0, 1], bins=2) == pytest.approx((0.5 + 0.75) / 2)


def test_reliability_curve_holds_the_bins_of_the_calibration_error():
    rows = [[0.55, 0.45], [0.6, 0.4], [0.9, 0.1], [0.1, 0.9]]
    confidence, accuracy, counts = metrics.reliability_curve(rows, [0, 1, 0, 0], bins=5)
    # Bins end at 0.6 and 1.0; the empty ones are left out.
    assert confidence == pytest.approx([0.575, 0.9]) and accuracy == pytest.approx([0.5, 0.5])
    assert counts.tolist() == [2, 2]
    error = (np.abs(confidence - accuracy) * counts).sum() / 4
    assert metrics.calibration_error(rows, [0, 1, 0, 0], bins=5) == pytest.approx(error)
