"""Distances between two sets of feature vectors: Fréchet, kernel, precision and recall.

All are computed in float64 from arrays of shape (samples, features).
"""

import numpy as np

from kinetics_i3d.core.errors import UserError

BLOCK = 1024  # rows of a matrix of pairwise distances that are in memory at once


def frechet_distance(real, generated, *, biased=False):
    """Fréchet distance between two Gaussians fitted to feature vectors.

    ``|mean_r - mean_g|² + trace(C_r + C_g - 2 (C_r C_g)^½)``. The trace of the square root is
    taken from the eigenvalues of the symmetric product ``C_r^½ C_g C_r^½``, which has the same
    ones as ``C_r C_g``. So the result is real and finite for singular covariances too, as with
    fewer videos than features.

    Args:
        real: Array of shape (samples, features), two samples or more.
        generated: As `real`, with as many features.
        biased: Whether covariances are divided by the number of samples n rather than n - 1.

    Returns:
        A float, at least 0.

    Raises:
        UserError: If the arrays do not fit each other, hold fewer than two samples, or hold values
            that are not finite.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(100, 4))
    >>> round(frechet_distance(x, x + 1), 6)
    4.0
    """
    real, generated = _check(real, generated)
    ddof = 0 if biased else 1
    covariance_r = np.atleast_2d(np.cov(real, rowvar=False, ddof=ddof))
    covariance_g = np.atleast_2d(np.cov(generated, rowvar=False, ddof=ddof))
    values, vectors = np.linalg.eigh(covariance_r)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ covariance_g @ root)
    trace_of_root = np.sqrt(np.maximum(product, 0)).sum()
    means = np.square(real.mean(0) - generated.mean(0)).sum()
    distance = means + np.trace(covariance_r) + np.trace(covariance_g) - 2 * trace_of_root
    # Rounding leaves a tiny number of either sign where both sets are the same.
    return max(float(distance), 0.0)


def kernel_distance(real, generated):
    """Squared maximum mean discrepancy with the kernel ``(x · y / features + 1)³``, unbiased.

    Unlike the Fréchet distance, its expectation does not depend on the number of samples. It may
    be slightly negative. Binkowski et al., "Demystifying MMD GANs", ICLR 2018; as KVD in
    Unterthiner et al., "Towards Accurate Generative Models of Video", 2018.

    Args:
        real: Array of shape (samples, features), two samples or more.
        generated: As `real`, with as many features.

    Returns:
        A float.

    Raises:
        UserError: As `frechet_distance`.
    """
    real, generated = _check(real, generated)
    within_real = _kernel_sum(real, real, diagonal=False) / (len(real) * (len(real) - 1))
    within_generated = _kernel_sum(generated, generated, diagonal=False)
    within_generated /= len(generated) * (len(generated) - 1)
    across = _kernel_sum(real, generated) / (len(real) * len(generated))
    return float(within_real + within_generated - 2 * across)


def precision_recall(real, generated, *, neighbors=3):
    """Precision and recall of generated samples by nearest neighbors.

    Precision is the share of generated samples that lie within the distance of some real sample to
    its k-th nearest real neighbor, and recall the converse. Kynkäänniemi et al., "Improved
    Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019.

    Args:
        real: As in `frechet_distance`.
        generated: As `real`.
        neighbors: k. Each array needs more samples than that.

    Returns:
        A tuple (precision, recall), both in [0, 1].

    Raises:
        UserError: As `frechet_distance`, or if there are no more than `neighbors` samples.
    """
    real, generated = _check(real, generated)
    if min(len(real), len(generated)) <= neighbors:
        raise UserError(
            f"precision and recall need more than {neighbors} videos on each side. "
            f"Received: {len(real)} and {len(generated)}"
        )
    precision = _share_covered(generated, by=real, neighbors=neighbors)
    recall = _share_covered(real, by=generated, neighbors=neighbors)
    return precision, recall


def _check(real, generated):
    """Both arrays as float64, or `UserError`."""
    arrays = []
    for name, array in (("real", real), ("generated", generated)):
        array = np.asarray(array, np.float64)
        if array.ndim != 2 or len(array) < 2 or array.shape[1] < 1:
            raise UserError(
                f"`{name}` must be features of shape (videos, features), of at least two videos. "
                f"Received: shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise UserError(f"`{name}` must be finite. Received: features with NaN or infinity")
        arrays.append(array)
    if arrays[0].shape[1] != arrays[1].shape[1]:
        raise UserError(
            "`real` and `generated` must have the same number of features. Received: "
            f"{arrays[0].shape[1]} and {arrays[1].shape[1]}"
        )
    return arrays


def _kernel_sum(first, second, *, diagonal=True):
    """The kernel summed over all pairs; without `diagonal`, a sample and itself are no pair."""
    features = first.shape[1]
    total = 0.0
    for begin in range(0, len(first), BLOCK):
        total += ((first[begin : begin + BLOCK] @ second.T / features + 1) ** 3).sum()
    if not diagonal:
        total -= ((np.square(first).sum(1) / features + 1) ** 3).sum()
    return total


def _distances(rows, to):
    """Squared Euclidean distances, shape (rows, to)."""
    squares = np.square(rows).sum(1)[:, np.newaxis] + np.square(to).sum(1)
    return np.maximum(squares - 2 * rows @ to.T, 0)


def _share_covered(samples, *, by, neighbors):
    """The share of samples inside a ball around some row of `by`, out to its k-th neighbor."""
    radii = np.concatenate(
        [
            # A row is its own nearest neighbor, at distance 0.
            np.partition(_distances(by[begin : begin + BLOCK], by), neighbors, axis=1)[:, neighbors]
            for begin in range(0, len(by), BLOCK)
        ]
    )
    covered = [
        (_distances(samples[begin : begin + BLOCK], by) <= radii).any(1)
        for begin in range(0, len(samples), BLOCK)
    ]
    return float(np.concatenate(covered).mean())
