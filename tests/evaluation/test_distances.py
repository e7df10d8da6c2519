"""Distances of feature sets against SciPy and plain loops."""

import numpy as np
import pytest
from scipy import linalg

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation.distances import frechet_distance, kernel_distance, precision_recall


def features(count, size, seed, shift=0.0):
    random = np.random.default_rng(seed)
    mix = random.normal(size=(size, size)) / np.sqrt(size)
    return random.normal(size=(count, size)) @ mix + shift


def scipy_frechet(real, generated, ddof):
    """The textbook formula with the square root of the product of the covariances."""
    first, second = (np.cov(x, rowvar=False, ddof=ddof) for x in (real, generated))
    root = linalg.sqrtm(first @ second)
    return np.square(real.mean(0) - generated.mean(0)).sum() + np.trace(
        first + second - 2 * root.real
    )


@pytest.mark.parametrize("biased", [False, True])
def test_frechet_distance_is_that_of_scipy(biased):
    real, generated = features(300, 40, 1), features(200, 40, 2, shift=0.3)
    wanted = scipy_frechet(real, generated, ddof=0 if biased else 1)
    assert frechet_distance(real, generated, biased=biased) == pytest.approx(wanted, rel=1e-6)


def test_frechet_distance_between_gaussians_with_diagonal_covariances():
    """Two points a feature have known variances, so the distance is known."""
    real = np.array([[-1.0, -2.0], [1.0, 2.0]])
    shifted = np.array([[-3.0, 0.0], [3.0, 0.0]]) + 5
    # Both covariances have rank 1, with the traces 2 + 8 and 18; their product has one eigenvalue.
    root = np.sqrt(2.0 * 18.0)
    assert frechet_distance(real, shifted) == pytest.approx(50 + 10 + 18 - 2 * root)


def test_frechet_distance_of_identical_sets_is_zero():
    same = features(500, 30, 3)
    assert frechet_distance(same, same) < 1e-9


def test_frechet_distance_of_fewer_videos_than_features_is_finite_and_positive():
    distance = frechet_distance(features(50, 400, 4), features(50, 400, 5))
    assert np.isfinite(distance)
    assert distance > 0


@pytest.mark.slow
def test_frechet_distance_of_fewer_videos_than_features_is_that_of_singular_values():
    """trace((C_r C_g)^½) is the sum of the singular values of A Bᵀ, of centred rows A and B."""
    real, generated = features(50, 400, 4), features(40, 400, 5, shift=0.2)
    a, b = (x - x.mean(0) for x in (real, generated))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt(49 * 39)
    wanted = np.square(real.mean(0) - generated.mean(0)).sum()
    wanted += np.square(a).sum() / 49 + np.square(b).sum() / 39 - 2 * root
    assert frechet_distance(real, generated) == pytest.approx(wanted, rel=1e-6)
    assert frechet_distance(real, real) < 1e-6 * wanted


def test_kernel_distance_is_that_of_loops():
    real, generated = features(12, 5, 6), features(9, 5, 7, shift=0.2)

    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    def mean(first, second, same):
        values = [
            kernel(x, y)
            for i, x in enumerate(first)
            for j, y in enumerate(second)
            if not (same and i == j)
        ]
        return np.mean(values)

    wanted = mean(real, real, True) + mean(generated, generated, True)
    wanted -= 2 * mean(real, generated, False)
    assert kernel_distance(real, generated) == pytest.approx(wanted, rel=1e-9)


def test_precision_recall_is_that_of_loops():
    real, generated = features(40, 3, 8), features(30, 3, 9, shift=0.8)

    def covered(samples, by):
        radii = [np.sort(np.linalg.norm(by - row, axis=1))[3] for row in by]
        hits = [
            any(np.linalg.norm(x - row) <= radius for row, radius in zip(by, radii, strict=True))
            for x in samples
        ]
        return np.mean(hits)

    precision, recall = precision_recall(real, generated)
    assert precision == pytest.approx(covered(generated, real))
    assert recall == pytest.approx(covered(real, generated))
    assert 0 < precision < 1


def test_a_sample_as_far_as_the_last_neighbor_is_covered():
    real = np.array([[0.0], [1], [2], [4]])  # the third neighbors of both ends are 4 away
    generated = np.array([[-5.0], [-4], [8], [9]])
    assert precision_recall(real, generated)[0] == 0.5


@pytest.mark.parametrize(
    ("real", "generated", "words"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), "at least two videos"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "same number of features"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "finite"),
        (np.zeros(4), np.zeros((4, 3)), "shape"),
    ],
)
def test_wrong_features_are_refused(real, generated, words):
    with pytest.raises(UserError, match=words):
        frechet_distance(real, generated)
