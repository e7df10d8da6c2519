"""A row of TV-L1's iteration: compiled, by NumPy, and pixel by pixel."""

import math

import numpy as np
import pytest

from kinetics_i3d.flow.tvl1_simd import (
    LANES,
    _dual_row,
    _four_by_four,
    _primal_row,
    dual_row,
    four_by_four,
    primal_row,
)

HEIGHT, VECTORS = 3, 2 * LANES
BOUND, STEP = np.float32(0.3), np.float32(0.8)


@pytest.fixture
def arrays():
    """Flow, slopes, inverse, rest, dual and inside, none of which has two equal numbers."""
    random = np.random.default_rng(0)
    length = VECTORS + LANES
    shapes = [(2, HEIGHT), (2, HEIGHT), (HEIGHT,), (HEIGHT,), (2, 2, HEIGHT + 1), ()]
    return [random.normal(size=(*shape, length)).astype(np.float32) for shape in shapes]


def primal_pixel(flow, slopes, inverse, rest, dual, inside, y, x):
    """Both components' changes at one pixel, as the paper has them."""
    rho = rest[y, x] + slopes[0, y, x] * flow[0, y, x] + slopes[1, y, x] * flow[1, y, x]
    shrunk = max(-BOUND, min(BOUND, -rho * inverse[y, x]))
    for part in range(2):
        p = dual[part, :, :, LANES - 1 :]  # pixel x stands at x + 1
        divergence = p[0, y + 1, x + 1] - p[0, y + 1, x] + p[1, y + 1, x + 1] - p[1, y, x + 1]
        yield shrunk * slopes[part, y, x] + inside[x] * divergence


def compiled(function):
    """A function of Numba's that calls one of the two."""
    numba = pytest.importorskip("numba", reason="needs numba, an extra")
    if function is primal_row:
        return numba.njit(lambda a, b, c, d, e, f, most, y: primal_row(a, b, c, d, e, f, most, y))
    return numba.njit(lambda flow, dual, step, y, below: dual_row(flow, dual, step, y, below))


@pytest.mark.parametrize("way", ["numpy", "numba"])
def test_the_flow_changes_as_the_paper_says(arrays, way):
    function = _primal_row if way == "numpy" else compiled(primal_row)
    flow, *others = arrays
    after, y = flow.copy(), 1
    change = function(after, *others, BOUND, y)
    changes = [list(primal_pixel(*arrays, y, x)) for x in range(VECTORS)]
    expected = flow.copy()
    expected[:, y, :VECTORS] += np.transpose(changes)
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(change, np.square(changes).sum(), rtol=1e-5)


@pytest.mark.parametrize("way", ["numpy", "numba"])
@pytest.mark.parametrize(("y", "below"), [(0, 1), (HEIGHT - 1, HEIGHT - 1)])
def test_the_dual_follows_the_gradient(arrays, way, y, below):
    function = _dual_row if way == "numpy" else compiled(dual_row)
    flow, dual = arrays[0], arrays[4]
    after, expected = dual.copy(), dual.copy()
    function(flow, after, STEP, y, below)
    for part in range(2):
        for x in range(VECTORS):
            ux = flow[part, y, x + 1] - flow[part, y, x]
            uy = flow[part, below, x] - flow[part, y, x]
            p = expected[part, :, y + 1, x + LANES]
            p[:] = (p + STEP * np.array([ux, uy])) / (1 + STEP * math.hypot(ux, uy))
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-5)


def test_what_vectors_cannot_do_is_refused():
    pytest.importorskip("llvmlite", reason="needs numba, an extra")
    from llvmlite import ir

    from kinetics_i3d.flow.tvl1_simd import Lanes

    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), []), "nothing")
    builder = ir.IRBuilder(function.append_basic_block())
    lanes = Lanes.spread(builder, 1.5, 4)
    with pytest.raises(TypeError, match="cos"):
        np.cos(lanes)
    with pytest.raises(TypeError, match="add"):
        np.add.reduce(lanes)


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
