"""Average precision: how well scores rank the videos of each class, for multi-label datasets.

Uses only NumPy.
"""

import numpy as np


def average_precision(scores, targets):
    """The average precision of one class.

    Args:
        scores: (videos,). Videos with equal scores count as retrieved together.
        targets: (videos,), whether the class is one of the video's.

    Returns:
        The sum over the thresholds of the precision times the gain in recall, 0 to 1; NaN for a
        class that no video has.

    Example:

    >>> round(average_precision([0.9, 0.8, 0.7], [1, 0, 1]), 4)
    0.8333
    """
    scores, targets = np.asarray(scores, np.float64), np.asarray(targets, bool)
    if not targets.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last_of_equals: np.ndarray = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(targets[order])[last_of_equals]
    precision = hits / (last_of_equals + 1)
    return float((precision * np.diff(hits, prepend=0)).sum() / targets.sum())


def average_precisions(scores, targets):
    """The average precision of each class.

    Args:
        scores: (videos, classes).
        targets: (videos, classes), whether each class is one of the video's.

    Returns:
        float64 array (classes,); NaN for classes that no video has.

    Example:

    >>> average_precisions([[0.9, 0.1], [0.2, 0.3]], [[1, 0], [0, 0]])
    array([ 1., nan])
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    return np.array(
        [average_precision(scores[:, k], targets[:, k]) for k in range(scores.shape[1])]
    )


def mean_average_precision(scores, targets):
    """Mean of the average precisions of the classes that occur (mAP).

    Args:
        scores: (videos, classes).
        targets: (videos, classes), whether each class is one of the video's.

    Returns:
        0 to 1; NaN if no video has a class.

    Example:

    >>> mean_average_precision([[0.9, 0.1], [0.2, 0.3]], [[1, 0], [0, 1]])
    1.0
    """
    precisions = average_precisions(scores, targets)
    occurs = ~np.isnan(precisions)
    return float(precisions[occurs].mean()) if occurs.any() else float("nan")


def hit_at_1(scores, targets):
    """Fraction of the videos whose highest-scoring class is one of their labels.

    Args:
        scores: (videos, classes).
        targets: (videos, classes), whether each class is one of the video's.

    Returns:
        0 to 1.

    Example:

    >>> hit_at_1([[0.9, 0.1], [0.2, 0.3]], [[1, 1], [1, 0]])
    0.5
    """
    best = np.asarray(scores).argmax(axis=1)
    return float(np.take_along_axis(np.asarray(targets) > 0, best[:, None], axis=1).mean())
