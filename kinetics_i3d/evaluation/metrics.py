"""Accuracy of predictions and how far it can be trusted. NumPy alone.

Top-k and mean of classes, confusion, Wilson's interval, calibration, McNemar's test.
"""

import numpy as np


def topk_accuracy(scores, targets, k=1):
    """Share of rows whose target is among the `k` highest scores.

    Args:
        scores: (videos, classes). Of equal scores the lower class counts as higher.
        targets: (videos,) class numbers.
        k: 1 or more.

    Returns:
        0 to 1.

    Example:

    >>> topk_accuracy([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    0.5
    """
    best = np.argsort(-np.asarray(scores), axis=1, kind="stable")[:, :k]
    return float((best == np.asarray(targets)[:, np.newaxis]).any(axis=1).mean())


def confusion_matrix(scores, targets):
    """Counts of videos by target (rows) and best class (columns).

    Args:
        scores: (videos, classes).
        targets: (videos,) class numbers.

    Returns:
        int64 array (classes, classes).

    Example:

    >>> confusion_matrix([[0.1, 0.9], [0.8, 0.2]], [1, 1])
    array([[0, 0],
           [1, 1]])
    """
    scores = np.asarray(scores)
    counts = np.zeros((scores.shape[1],) * 2, np.int64)
    np.add.at(counts, (np.asarray(targets), scores.argmax(axis=1)), 1)
    return counts


def mean_class_accuracy(scores, targets):
    """Mean over the classes that occur of the share of their videos that is right.

    Args:
        scores: (videos, classes).
        targets: (videos,) class numbers.

    Returns:
        0 to 1.

    Example:

    >>> mean_class_accuracy([[1, 0], [1, 0], [1, 0]], [0, 0, 1])
    0.5
    """
    counts = confusion_matrix(scores, targets)
    occurs = counts.sum(axis=1) > 0
    return float((counts.diagonal()[occurs] / counts.sum(axis=1)[occurs]).mean())


def wilson_interval(right, videos, z=1.959964):
    """The range that the true accuracy lies in, as far as so few videos can tell.

    Args:
        right: Videos that were right.
        videos: Videos in all, 1 or more.
        z: Standard deviations; 1.96 are 95 %.

    Returns:
        (low, high), 0 to 1.

    Raises:
        ValueError: If `right` is not 0 to `videos`, or there are no videos.

    Example:

    >>> tuple(round(end, 3) for end in wilson_interval(8, 10))
    (0.49, 0.943)

    Source: E. B. Wilson, "Probable inference", JASA 22 (1927).
    """
    if not 0 <= right <= videos or not videos:
        raise ValueError(
            "`right` must be 0 to `videos`, of which there is one at least. "
            f"Received: right={right!r}, videos={videos!r}"
        )
    share = right / videos
    scale = 1 + z * z / videos
    middle = share + z * z / (2 * videos)
    reach = z * np.sqrt(share * (1 - share) / videos + (z / (2 * videos)) ** 2)
    # Rounding may not carry the ends beyond what they are exactly at 0 and 1.
    low = 0.0 if right == 0 else (middle - reach) / scale
    high = 1.0 if right == videos else (middle + reach) / scale
    return float(low), float(high)


def calibration_error(probabilities, targets, bins=15):
    """How far the probabilities of the predictions lie from the shares that are right.

    Args:
        probabilities: (videos, classes), 0 to 1.
        targets: (videos,) class numbers.
        bins: Equal parts of 0 to 1, in each of which the mean probability of the best class is held
            against the share of videos that are right; empty ones do not count.

    Returns:
        The mean of the differences, weighted by the videos in each bin, 0 to 1.

    Example:

    >>> calibration_error([[0.25, 0.75], [0.75, 0.25]], [1, 1])
    0.25

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.
    """
    probabilities = np.asarray(probabilities, np.float64)
    sure = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == np.asarray(targets)
    # A bin holds its upper end, as in the source; a probability of 0 is in the first.
    places = np.clip(np.ceil(sure * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(places, weights=right - sure, minlength=bins)
    return float(np.abs(gaps).sum() / len(sure))


def sign_test(first, second):
    """The probability of a difference as large as this one if two models were equally good.

    McNemar's test, by the exact binomial distribution in place of its limit.

    Args:
        first: Videos that only one model had right.
        second: Videos that only the other one had right.

    Returns:
        The two-sided p value, 0 to 1.

    Example:

    >>> sign_test(0, 6)
    0.03125

    Source: Q. McNemar, Psychometrika 12 (1947).
    """
    total, fewer = first + second, min(first, second)
    # Whole numbers, which are never too large; each term from the one before.
    term = tail = 1
    for count in range(fewer):
        term = term * (total - count) // (count + 1)
        tail += term
    return min(1.0, 2 * tail / 2**total)
