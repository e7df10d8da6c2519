"""Accuracy of predictions: top-k, mean of classes, confusion. NumPy alone."""

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
