"""The weighted sum of 4x4 pixels: compiled, plain, and by NumPy."""

import numpy as np
import pytest

from kinetics_i3d.flow.tvl1_simd import _four_by_four, four_by_four


@pytest.fixture
def source():
    return np.random.default_rng(0).normal(size=(9, 10 * 4)).astype(np.float32)


WEIGHTS = np.float32([[-0.1, 0.6, 0.55, -0.05], [-0.02, 0.3, 0.8, -0.08]])


def expected(source, row, column):
    pixels = source.reshape(9, 10, 4)[row : row + 4, column : column + 4, :3]
    return np.einsum("yxc,x,y->c", pixels, *WEIGHTS)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (2, 5), (5, 6)])
def test_plain_python_is_the_sum(source, row, column):
    sums = _four_by_four(source, row * 40 + column * 4, *map(tuple, WEIGHTS))
    np.testing.assert_allclose(sums, expected(source, row, column), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", [np.int32, np.int64])
def test_compiled_it_is_the_same(source, number):
    numba = pytest.importorskip("numba", reason="needs numba, an extra")

    @numba.njit
    def compiled(source, place, across, down):
        return four_by_four(source, place, across, down)

    for row, column in ((0, 0), (2, 5), (5, 6)):
        sums = compiled(source, number(row * 40 + column * 4), *map(tuple, WEIGHTS))
        np.testing.assert_allclose(sums, expected(source, row, column), rtol=1e-5, atol=1e-6)
