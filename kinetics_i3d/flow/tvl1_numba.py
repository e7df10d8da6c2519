"""TV-L1 optical flow of one pair of pictures, compiled by Numba; it uses one thread.

Zach, Pock and Bischof, "A Duality Based Approach for Realtime TV-L1 Optical Flow", DAGM 2007, in
the form of Sánchez Pérez et al., IPOL 2013, with OpenCV's pyramid, filters and stopping rule.

The unknown is the flow u = (x, y); its dual variable p has a vector for each component. The kernels
share this file because Numba's cache on disk does not notice changes in other files: after a change
in tvl1_simd.py, touch this one.

According to measurements, the loops are fast because of the following:

- Rows are sliced before the loop over x: LLVM does not vectorize computed row indices.
- No loop touches more than seven rows, or LLVM silently stops vectorizing.
- The iteration, which takes most of the time, has its vectors written out (`tvl1_simd`).
- Memory is reused for all pairs (`_memory`).
- Rows have the length of a whole number of vectors plus 16. Columns beyond the picture are computed
  like the others; `inside`, which is 0 there, keeps them from affecting the result.
"""

import functools
import threading

import numpy as np

from kinetics_i3d.core.compiled import compiled
from kinetics_i3d.flow.settings import TVL1
from kinetics_i3d.flow.tvl1_simd import CHANNELS, LANES, dual_row, four_by_four, primal_row

F32 = np.float32
_FRAME = 3  # zeros around the warped picture: the 4x4 kernel reaches 2 beyond it, plus 1
_CUBIC = F32(-0.75)  # OpenCV's bicubic; -0.5 would be Catmull and Rom's
SHARE = 26  # numbers per pixel requested from `_room`: 13 at the finest scale, 11 for all scales
_KEPT = SHARE * 1088 * 1952
THREAD = threading.local()
_FLAT = F32(1.1920929e-07)  # squared slopes below float32's epsilon carry no information

# Without `reassoc` no sum is vectorized. `ninf` alone is left out: the change of the flow is
# infinite before the first iteration.
_FAST_MATH = {"nnan", "nsz", "arcp", "contract", "reassoc", "afn"}


kernel = compiled(fastmath=_FAST_MATH)


def tvl1(first, second, parameters):
    """Flow of two gray pictures (height, width), 0 to 255: float32 (height, width, 2), pixels."""
    return _tvl1(
        _memory(*first.shape),
        np.ascontiguousarray(first, np.float32),
        np.ascontiguousarray(second, np.float32),
        float(parameters.tau),
        float(parameters.lam),
        float(parameters.theta),
        int(parameters.scales),
        int(parameters.warps),
        float(parameters.epsilon),
        int(parameters.inner),
        int(parameters.outer),
        float(parameters.scale_step),
        bool(parameters.median),
    )


def _memory(height, width):
    """(float32 numbers, count in use) for `_room`; each thread keeps what suffices for 1080p.

    New memory costs page faults: a tenth of the time, and more where threads wait for each other.
    """
    count = SHARE * (height + 2 * _FRAME + 2) * (width + 2 * LANES)
    numbers: np.ndarray = getattr(THREAD, "numbers", np.empty(0, np.float32))
    if len(numbers) < count:
        numbers = np.empty(count + LANES, np.float32)
        numbers = numbers[-numbers.ctypes.data % (4 * LANES) // 4 :]  # align to cache lines
        if count <= _KEPT:
            THREAD.numbers = numbers
    return numbers, np.zeros(1, np.int64)


@functools.cache
def compile_kernels():
    """Compiles in the caller's thread, once.

    Compiling parses Python, which fails on Python 3.11 while another thread does so (AutoGraph).
    """
    blank: np.ndarray = np.zeros((LANES, LANES), np.uint8)
    tvl1(blank, blank, TVL1())


@kernel
def _room(memory, shape):
    """An array of zeros in reused memory, or in new memory if that is exhausted."""
    numbers, used = memory
    count = 1
    for side in shape:
        count *= side
    begin = used[0]
    if begin + count > len(numbers):
        return np.zeros(shape, np.float32)
    used[0] = (begin + count + LANES - 1) // LANES * LANES
    numbers[begin : begin + count] = 0
    return numbers[begin : begin + count].reshape(shape)


@kernel
def _tvl1(
    memory, first, second, tau, lam, theta, scales, warps, epsilon, inner, outer, scale_step, median
):
    """From coarse to fine: each scale starts from the flow of the coarser one."""
    firsts = _pyramid(memory, first, scales, scale_step)
    seconds = _pyramid(memory, second, scales, scale_step)
    coarsest = len(firsts) - 1
    height, width = firsts[coarsest].shape
    flow = _room(memory, (2, height, _padded(width)))
    for scale in range(coarsest, -1, -1):
        if scale < coarsest:
            flow = _grow(memory, flow, firsts[scale + 1].shape, firsts[scale].shape, scale_step)
        used = memory[1][0]
        _one_scale(
            memory,
            firsts[scale],
            seconds[scale],
            flow,
            tau,
            lam,
            theta,
            warps,
            epsilon,
            inner,
            outer,
            median,
        )
        memory[1][0] = used
    height, width = first.shape
    result = np.empty((height, width, 2), np.float32)
    for y in range(height):
        for x in range(width):
            result[y, x, 0], result[y, x, 1] = flow[0, y, x], flow[1, y, x]
    return result


@kernel
def _padded(width):
    return (width + LANES - 1) // LANES * LANES + LANES


@kernel
def _grow(memory, flow, shape, target, scale_step):
    """The flow of the next finer scale: more pixels, and each moves farther."""
    (rows, columns), (height, width) = shape, target
    grown = _room(memory, (2, height, _padded(width)))
    for part in range(2):
        coarse, fine = flow[part, :, :columns], grown[part, :, :width]
        _resize(coarse, fine, rows / height, columns / width, F32(1 / scale_step))
    return grown


@kernel
def _pyramid(memory, picture, scales, step):
    """The picture and successively smaller ones, none with a side below 16."""
    levels = [picture]
    for _ in range(1, scales):
        height, width = levels[-1].shape
        height, width = int(np.rint(height * step)), int(np.rint(width * step))
        if height < 16 or width < 16:
            break
        smaller = _room(memory, (height, width))
        # Exactly 1 / step apart for any rounded size, as in OpenCV: some right pixels are lost.
        _resize(levels[-1], smaller, 1 / step, 1 / step, F32(1))
        levels.append(smaller)
    return levels


@kernel
def _resize(source, target, step_y, step_x, factor):
    """Bilinear between pixel centers, `step` source pixels apart; the edge is repeated outside."""
    rows, columns = source.shape
    height, width = target.shape
    lefts, rights = np.empty(width, np.int32), np.empty(width, np.int32)
    shares = np.empty(width, np.float32)
    for x in range(width):
        lefts[x], rights[x], shares[x] = _neighbors((x + 0.5) * step_x - 0.5, columns)
    for y in range(height):
        above, below, share = _neighbors((y + 0.5) * step_y - 0.5, rows)
        for x in range(width):
            left, right = lefts[x], rights[x]
            top = source[above, left] + (source[above, right] - source[above, left]) * shares[x]
            low = source[below, left] + (source[below, right] - source[below, left]) * shares[x]
            target[y, x] = (top + (low - top) * share) * factor


@kernel
def _neighbors(position, count):
    """The pixels before and after a position, and the share of the second."""
    if position <= 0:
        return 0, 0, F32(0)
    if position >= count - 1:
        return count - 1, count - 1, F32(0)
    before = int(position)
    return before, before + 1, F32(position - before)


@kernel
def _one_scale(memory, first, second, flow, tau, lam, theta, warps, epsilon, inner, outer, median):
    """Improves `flow` in place: linearize around it, iterate, repeat."""
    height, width = first.shape
    padded = flow.shape[2]
    source = _with_slopes(memory, second)
    slopes = _room(memory, (2, height, padded))  # of the warped second picture
    inverse = _room(memory, (height, padded))  # 1 / |slopes|^2
    rest = _room(memory, (height, padded))  # rho without its term in the current flow
    dual = _room(memory, (2, 2, height + 1, padded))  # kept from warp to warp
    before = _room(memory, (height, padded))
    inside = np.zeros(padded, np.float32)
    inside[:width] = F32(theta)
    bound, step = F32(lam * theta), F32(tau / theta)
    enough = epsilon * epsilon * height * width
    for _ in range(warps):
        _warp(source, first, flow, slopes, inverse, rest)
        change, rounds = np.inf, 0
        while change > enough and rounds < outer:
            if median:
                _median(flow[0], before, width)
                _median(flow[1], before, width)
            count = 0
            while change > enough and count < inner:
                change = _iterate(flow, slopes, inverse, rest, dual, inside, bound, step, width)
                count += 1
            rounds += 1


@kernel
def _with_slopes(memory, picture):
    """[picture, d/dx, d/dy, 0] per pixel, in a frame of zeros: outside is black."""
    height, width = picture.shape
    packed = _room(memory, (height + 2 * _FRAME + 2, (width + 2 * _FRAME + 2) * CHANNELS))
    half = F32(0.5)
    for y in range(height):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            left, right = max(x - 1, 0), min(x + 1, width - 1)
            at = (x + _FRAME) * CHANNELS
            packed[y + _FRAME, at] = picture[y, x]
            packed[y + _FRAME, at + 1] = half * (picture[y, right] - picture[y, left])
            packed[y + _FRAME, at + 2] = half * (picture[below, x] - picture[above, x])
    return packed


@kernel
def _cubic(t):
    """Bicubic weights of the four pixels around a position, `t` after the second of them."""
    a, unit = _CUBIC, F32(1)
    s, q = unit - t, t + unit
    w0 = ((a * q - F32(5) * a) * q + F32(8) * a) * q - F32(4) * a
    w1 = ((a + F32(2)) * t - (a + F32(3))) * t * t + unit
    w2 = ((a + F32(2)) * s - (a + F32(3))) * s * s + unit
    return w0, w1, w2, unit - w0 - w1 - w2


@kernel
def _positions(row, offset, along, size, width, starts, weights):
    """The first of the 4 pixels around each warped position, and their weights."""
    w0, w1, w2, w3 = weights[0], weights[1], weights[2], weights[3]
    last = np.int32(size + 1)
    for x in range(width):
        # Two pixels outside the picture all is black already, and the frame ends soon after.
        position = min(max(offset + along * F32(x) + row[x], F32(-2)), F32(size + 1))
        whole = np.floor(position)
        # Again as integers: with extreme parameters it may be nan, and nothing checks bounds.
        starts[x] = min(max(np.int32(whole), np.int32(-2)), last) + np.int32(_FRAME - 1)
        w0[x], w1[x], w2[x], w3[x] = _cubic(position - whole)


@kernel
def _warp(source, first, flow, slopes, inverse, rest):
    """Fetches the second picture and its slopes from where the flow points, and linearizes.

    With I the warped picture and u0 the flow: rho(u) = rest + slopes . u,
    where rest = I - slopes . u0 - first.
    """
    height, width = first.shape
    columns, rows = np.empty(width, np.int32), np.empty(width, np.int32)
    across, down = np.empty((4, width), np.float32), np.empty((4, width), np.float32)
    fetched = np.empty((width, 4), np.float32)
    for y in range(height):
        u, v = flow[0, y], flow[1, y]
        _positions(u, F32(0), F32(1), width, width, columns, across)
        _positions(v, F32(y), F32(0), height, width, rows, down)
        a, b, c, d = across[0], across[1], across[2], across[3]
        e, f, g, h = down[0], down[1], down[2], down[3]
        for x in range(width):
            fetched[x, 0], fetched[x, 1], fetched[x, 2] = four_by_four(
                source,
                rows[x] * source.shape[1] + columns[x] * CHANNELS,
                (a[x], b[x], c[x], d[x]),
                (e[x], f[x], g[x], h[x]),
            )
        gx, gy, over, constant, before = slopes[0, y], slopes[1, y], inverse[y], rest[y], first[y]
        for x in range(width):
            gx[x], gy[x] = fetched[x, 1], fetched[x, 2]
        for x in range(width):
            steep = gx[x] * gx[x] + gy[x] * gy[x]
            over[x] = F32(1) / steep if steep > _FLAT else F32(0)
        for x in range(width):
            constant[x] = fetched[x, 0] - gx[x] * u[x] - gy[x] * v[x] - before[x]


@kernel
def _iterate(flow, slopes, inverse, rest, dual, inside, bound, step, width):
    """One iteration over the picture; returns the sum of the squared changes of the flow.

    The dual of a row needs the flow of the next one, so it follows one row behind; the row is then
    still in the processor's cache.
    """
    height = flow.shape[1]
    change = 0.0
    for y in range(height + 1):
        if y < height:
            change += primal_row(flow, slopes, inverse, rest, dual, inside, bound, y)
            for part in range(2):
                for x in range(width, flow.shape[2] - LANES + 1):
                    flow[part, y, x] = flow[part, y, width - 1]  # no difference across the edge
        if y > 0:
            dual_row(flow, dual, step, y - 1, min(y, height - 1))
    return change


@kernel
def _order(a, b):
    return min(a, b), max(a, b)


@kernel
def _sort5(a, b, c, d, e):
    a, b = _order(a, b)
    d, e = _order(d, e)
    c, e = _order(c, e)
    c, d = _order(c, d)
    b, e = _order(b, e)
    a, d = _order(a, d)
    a, c = _order(a, c)
    b, d = _order(b, d)
    b, c = _order(b, c)
    return a, b, c, d, e


@kernel
def _median(picture, before, width):
    """The 5x5 median of one component in place, its edge repeated outside; `before` gets a copy.

    Columns are sorted, then the rows of equal rank, so that ranks[i][j] grows with i and with j. At
    least 13 of the 25 values are then no smaller than those before the diagonal i + j = 4, and no
    larger than those after it: the median is that of three numbers, the largest before, the
    smallest after and the median of the diagonal.
    """
    height = picture.shape[0]
    before[:] = picture
    ranks = np.empty((5, width + 4), np.float32)
    for y in range(height):
        a, b = before[max(y - 2, 0)], before[max(y - 1, 0)]
        c = before[y]
        d, e = before[min(y + 1, height - 1)], before[min(y + 2, height - 1)]
        r0, r1, r2, r3, r4 = ranks[0], ranks[1], ranks[2], ranks[3], ranks[4]
        for x in range(width):
            r0[x + 2], r1[x + 2], r2[x + 2], r3[x + 2], r4[x + 2] = _sort5(
                a[x], b[x], c[x], d[x], e[x]
            )
        for rank in range(5):
            ranks[rank, 0] = ranks[rank, 1] = ranks[rank, 2]
            ranks[rank, width + 2] = ranks[rank, width + 3] = ranks[rank, width + 1]
        row = picture[y]
        for x in range(width):
            _, _, _, a3, a4 = _sort5(r0[x], r0[x + 1], r0[x + 2], r0[x + 3], r0[x + 4])
            _, _, b2, b3, b4 = _sort5(r1[x], r1[x + 1], r1[x + 2], r1[x + 3], r1[x + 4])
            _, c1, c2, c3, _ = _sort5(r2[x], r2[x + 1], r2[x + 2], r2[x + 3], r2[x + 4])
            d0, d1, d2, _, _ = _sort5(r3[x], r3[x + 1], r3[x + 2], r3[x + 3], r3[x + 4])
            e0, e1, _, _, _ = _sort5(r4[x], r4[x + 1], r4[x + 2], r4[x + 3], r4[x + 4])
            low = max(max(a3, b2), max(c1, d0))
            high = min(min(b4, c3), min(d2, e1))
            _, _, middle, _, _ = _sort5(a4, b3, c2, d1, e0)
            row[x] = max(min(low, high), min(max(low, high), middle))
