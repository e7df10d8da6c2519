"""Fréchet Video Distance (FVD), KVD, precision and recall of generated videos, by named protocols.

Unterthiner et al., "Towards Accurate Generative Models of Video: A New Metric & Challenges", 2018.
Its network is the I3D whose weights are called `rgb_kinetics400` here. All distances are computed
in float64 from arrays of shape (samples, features).
"""

import dataclasses
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.types import PathLike
from kinetics_i3d.evaluation.fvd_features import features_of_both
from kinetics_i3d.evaluation.fvd_protocols import FVDProtocol, find_protocol

NEIGHBORS = 3  # of precision and recall

BLOCK = 1024  # rows of a matrix of pairwise distances that are in memory at once


@dataclasses.dataclass(frozen=True)
class FVDResult:
    """Distances between real and generated videos.

    Args:
        fvd: Fréchet Video Distance; lower is better, 0 for identical sets.
        kvd: Kernel Video Distance, or `None` if it was not requested.
        precision: In [0, 1], or `None` if it was not requested or there are too few videos.
        recall: As `precision`.
        spread: Standard deviation of `fvd` over bootstrap samples of the videos, or `None`.
        protocol: The `FVDProtocol`.
        videos: Numbers of real and generated videos that were compared.
        skipped: Messages about skipped videos.

    Example:

    >>> black = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> ki3d.fvd(black, black).to_dict()["fvd"]  # doctest: +SKIP
    0.0
    """

    fvd: float
    kvd: float | None
    precision: float | None
    recall: float | None
    spread: float | None
    protocol: FVDProtocol
    videos: tuple
    skipped: tuple = ()

    def to_dict(self):
        """The result, ready for JSON."""
        return dataclasses.asdict(self)


def fvd(
    real: Any,
    generated: Any,
    *,
    protocol: str | FVDProtocol = "reference",
    weights: PathLike = "rgb_kinetics400",
    all_metrics: bool = False,
    resamples: int = 0,
    seed: int = 0,
    batch_size: int = 8,
) -> FVDResult:
    """Fréchet Video Distance between real and generated videos.

    FVD depends on the protocol and, through its bias, on the number of videos: compare only values
    of the same protocol and similar numbers of videos. 2048 videos on each side are common.

    Args:
        real: Videos: a folder, searched recursively; a list of paths; an array or the path of a
            `.npy` or `.npz` file, uint8 of shape (videos, frames, height, width, 3) in [0, 255]; or
            `VideoFeatures`, or the path that these were saved to.
        generated: As `real`.
        protocol: Name of a row in `FVD_PROTOCOLS` or an `FVDProtocol`: `"reference"`,
            `"stylegan_v"`, `"stylegan_v_128"` or `"avg_pool"`.
        weights: A catalog name or path of an RGB I3D with 400 classes. Not used if both sides are
            features.
        all_metrics: Whether to also compute KVD, precision and recall, on the same features.
        resamples: Number of bootstrap samples for `spread`, 2 or more; 0 for none.
        seed: Seed of random frames and of bootstrap samples.
        batch_size: Number of clips per call of the network. Only these are in memory.

    Returns:
        An `FVDResult`.

    Raises:
        UserError: If a source has no usable videos, or features of another protocol or network.
        ValueError: If an argument is out of its range.
        WeightsError: If the weights cannot be found or read.

    Example:

    >>> black = np.zeros((2, 16, 32, 32, 3), np.uint8)
    >>> result = ki3d.fvd(black, black)  # doctest: +SKIP
    >>> result.fvd  # doctest: +SKIP
    0.0
    """
    check_resamples(resamples)
    protocol = find_protocol(protocol)
    sets = features_of_both(
        real, generated, protocol=protocol, weights=weights, seed=seed, batch_size=batch_size
    )
    a, b = (features.values for features in sets)
    if min(len(a), len(b)) < a.shape[1]:
        logging.warning(
            "%d and %d videos are fewer than the %d features: FVD is much larger than with many "
            "videos; compare it only with FVD from the same numbers of videos",
            *(len(a), len(b), a.shape[1]),
        )
    kvd = precision = recall = spread = None
    if all_metrics:
        kvd = kernel_distance(a, b)
        if min(len(a), len(b)) > NEIGHBORS:
            precision, recall = precision_recall(a, b)
        else:
            logging.warning(
                "precision and recall are left out: they need more than %d videos on each side",
                NEIGHBORS,
            )
    if resamples:
        random = np.random.default_rng(seed)
        draws = [
            frechet_distance(
                a[random.integers(len(a), size=len(a))],
                b[random.integers(len(b), size=len(b))],
                biased=protocol.biased,
            )
            for _ in range(resamples)
        ]
        spread = float(np.std(draws, ddof=1))
    return FVDResult(
        fvd=frechet_distance(a, b, biased=protocol.biased),
        kvd=kvd,
        precision=precision,
        recall=recall,
        spread=spread,
        protocol=protocol,
        videos=(len(a), len(b)),
        skipped=(*sets[0].skipped, *sets[1].skipped),
    )


def check_resamples(resamples: int) -> None:
    """Raises `ValueError` unless a spread can be computed from so many bootstrap samples."""
    if resamples < 0 or resamples == 1:
        raise ValueError(f"`resamples` must be 0, or 2 or more. Received: resamples={resamples!r}")


def frechet_distance(real, generated, *, biased=False):
    """Fréchet distance between two Gaussians fitted to feature vectors.

    ``|mean_r - mean_g|² + trace(C_r + C_g - 2 (C_r C_g)^½)``. The trace of the square root is
    taken from the eigenvalues of the symmetric product ``C_r^½ C_g C_r^½``, which has the same
    ones as ``C_r C_g``. The result is therefore real and finite for singular covariances too, as
    with fewer videos than features.

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


def precision_recall(real, generated, *, neighbors=NEIGHBORS):
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
    """The kernel summed over all pairs; pairs of a sample with itself count only if `diagonal`."""
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
    """The share of samples no farther from some row of `by` than that row's k-th neighbor."""
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
