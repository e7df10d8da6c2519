"""Classification metrics in plain NumPy, with confidence intervals and calibration."""

import numpy as np


def topk_accuracy(scores, targets, k=1):
    """Share of rows of (videos, classes) whose target is among the `k` highest scores.

    Ties go to the lower class number.
    """
    ranking = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return float((ranking == np.asarray(targets)[:, np.newaxis]).any(axis=1).mean())


def confusion_matrix(scores, targets):
    """int64 (classes, classes): videos counted by target (row) and predicted class (column)."""
    scores = np.asarray(scores)
    counts = np.zeros((scores.shape[1],) * 2, np.int64)
    np.add.at(counts, (np.asarray(targets), scores.argmax(axis=1)), 1)
    return counts


def mean_class_accuracy(scores, targets):
    """Mean accuracy over the classes that have videos."""
    counts = confusion_matrix(scores, targets)
    occurs = counts.sum(axis=1) > 0
    return float((counts.diagonal()[occurs] / counts.sum(axis=1)[occurs]).mean())


def wilson_interval(correct, videos, z=1.959964):
    """Confidence interval of an accuracy, by Wilson's score method.

    Args:
        correct: Number of videos classified correctly.
        videos: Number of videos, 1 or more.
        z: Half the width in standard deviations; the default gives 95 %.

    Returns:
        (low, high), 0 to 1.

    Raises:
        ValueError: If `correct` is not 0 to `videos`, or there are no videos.

    Example:

    >>> tuple(round(end, 3) for end in wilson_interval(8, 10))
    (0.49, 0.943)

    Source: E. B. Wilson, "Probable inference", JASA 22 (1927).
    """
    if not 0 <= correct <= videos or not videos:
        raise ValueError(
            "`correct` must be 0 to `videos`, and `videos` must be 1 or more. "
            f"Received: correct={correct!r}, videos={videos!r}"
        )
    share = correct / videos
    scale = 1 + z * z / videos
    center = share + z * z / (2 * videos)
    half_width = z * np.sqrt(share * (1 - share) / videos + (z / (2 * videos)) ** 2)
    # At 0 and 1 the ends are exact; rounding must not move them.
    low = 0.0 if correct == 0 else (center - half_width) / scale
    high = 1.0 if correct == videos else (center + half_width) / scale
    return float(low), float(high)


def calibration_error(probabilities, targets, bins=15):
    """Expected calibration error, 0 to 1, of probabilities (videos, classes).

    The range of confidence is cut into equal bins; the error is the mean distance between
    confidence and accuracy over the bins, weighted by their videos.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    confidence, correct, indices = _confidence_bins(probabilities, targets, bins)
    gaps = np.bincount(indices, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def reliability_curve(probabilities, targets, bins=15):
    """Mean confidence, accuracy and number of videos of each bin that has videos.

    The bins are those of `calibration_error`. Returns three arrays of the same length.
    """
    confidence, correct, indices = _confidence_bins(probabilities, targets, bins)
    counts = np.bincount(indices, minlength=bins)
    filled = counts > 0
    means = [
        np.bincount(indices, weights=values, minlength=bins)[filled] / counts[filled]
        for values in (confidence, correct)
    ]
    return *means, counts[filled]


def _confidence_bins(probabilities, targets, bins):
    probabilities = np.asarray(probabilities, np.float64)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == np.asarray(targets)
    # A bin includes its upper edge, as in the source; a confidence of 0 falls into the first.
    indices = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return confidence, correct, indices


def mcnemar_test(only_first, only_second):
    """Two-sided p value, 0 to 1, of McNemar's exact test.

    Args:
        only_first: Number of videos that only the first model classified correctly.
        only_second: Number of videos that only the second model classified correctly.

    Returns:
        The probability of a difference at least this large if both models were equally good.

    Example:

    >>> mcnemar_test(0, 6)
    0.03125

    Source: Q. McNemar, Psychometrika 12 (1947), with the binomial distribution instead of the
        chi-squared approximation.
    """
    total, fewer = only_first + only_second, min(only_first, only_second)
    # Python's integers do not overflow; each binomial coefficient follows from the one before.
    term = tail = 1
    for count in range(fewer):
        term = term * (total - count) // (count + 1)
        tail += term
    return min(1.0, 2 * tail / 2**total)
