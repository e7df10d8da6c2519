"""TV-L1 optical flow of one pair of pictures in TensorFlow, compiled by XLA for each size.

Zach et al., DAGM 2007, and Sánchez Pérez et al., IPOL 2013, as in `tvl1_numba`. The flow is the
same without Numba, wherever XLA runs, but slower, and each process compiles for seconds.
"""

import functools
import math

import numpy as np

_FRAME = 3  # zeros around the warped picture: the 4x4 kernel reaches 2 beyond it, plus 1
_CUBIC = -0.75  # OpenCV's bicubic
_FLAT = 1.1920929e-07  # squared slopes below float32's epsilon carry no information
# A sorting network of five numbers: the pairs to put in order.
_SORT5 = ((0, 1), (3, 4), (2, 4), (2, 3), (1, 4), (0, 3), (0, 2), (1, 3), (1, 2))


def tvl1(first, second, parameters):
    """Flow of two gray pictures (height, width), 0 to 255: float32 (height, width, 2), pixels."""
    run = _compiled(*first.shape, parameters)
    return run(np.asarray(first, np.float32), np.asarray(second, np.float32)).numpy()


@functools.lru_cache(maxsize=4)
def _compiled(height, width, parameters):
    import tensorflow as tf

    picture = tf.TensorSpec((height, width), tf.float32)
    return tf.function(
        lambda first, second: _tvl1(first, second, parameters),
        input_signature=(picture, picture),
        jit_compile=True,
        autograph=False,
    )


def _tvl1(first, second, parameters):
    """From coarse to fine: each scale starts from the flow of the coarser one."""
    import tensorflow as tf

    step = parameters.scale_step
    firsts, seconds = (_pyramid(picture, parameters.scales, step) for picture in (first, second))
    coarsest = len(firsts) - 1
    flow = tf.zeros((2, *firsts[coarsest].shape))
    for scale in range(coarsest, -1, -1):
        height, width = firsts[scale].shape
        if scale < coarsest:
            steps = (flow.shape[1] / height, flow.shape[2] / width)
            flow = _resize(flow, (height, width), steps) / step
        flow = _one_scale(firsts[scale], seconds[scale], flow, parameters)
    return tf.transpose(flow, (1, 2, 0))


def _pyramid(picture, scales, step):
    """The picture and successively smaller ones, none with a side below 16."""
    levels = [picture]
    for _ in range(1, scales):
        shape = tuple(round(side * step) for side in levels[-1].shape)
        if min(shape) < 16:
            break
        # Exactly 1 / step apart for any rounded size, as in OpenCV: some right pixels are lost.
        levels.append(_resize(levels[-1], shape, (1 / step, 1 / step)))
    return levels


def _resize(pictures, shape, steps):
    """Bilinear along the last two axes, `steps` source pixels apart; the edge is repeated."""
    import tensorflow as tf

    for axis, size, step in zip((-2, -1), shape, steps, strict=True):
        last = pictures.shape[axis] - 1
        positions = np.clip((np.arange(size) + 0.5) * step - 0.5, 0, last)
        before = np.floor(positions).astype(np.int32)
        share = (positions - before).astype(np.float32).reshape((-1, 1) if axis == -2 else -1)
        low = tf.gather(pictures, before, axis=axis)
        high = tf.gather(pictures, np.minimum(before + 1, last), axis=axis)
        pictures = low + (high - low) * share
    return pictures


def _one_scale(first, second, flow, parameters):
    """Improves the flow: linearize around it, iterate, repeat."""
    import tensorflow as tf

    source = _with_slopes(second)
    duals = (tf.zeros_like(flow), tf.zeros_like(flow))  # along x and y; kept from warp to warp

    def warp_once(count, flow, *duals):
        rest, slopes, inverse = _linearize(source, first, flow)
        return (count + 1, *_solve(rest, slopes, inverse, flow, duals, parameters))

    _, flow, *_ = tf.while_loop(
        lambda count, *_: count < parameters.warps, warp_once, (tf.constant(0), flow, *duals)
    )
    return flow


def _with_slopes(picture):
    """[picture, d/dx, d/dy] of each pixel, in a frame of zeros; pixels in one row, (pixels, 3)."""
    import tensorflow as tf

    wide = tf.concat([picture[:, :1], picture, picture[:, -1:]], 1)
    high = tf.concat([picture[:1], picture, picture[-1:]], 0)
    slopes = 0.5 * (wide[:, 2:] - wide[:, :-2]), 0.5 * (high[2:] - high[:-2])
    frame = (_FRAME, _FRAME + 2)
    return tf.reshape(tf.pad(tf.stack([picture, *slopes], -1), (frame, frame, (0, 0))), (-1, 3))


def _cubic(t):
    """Bicubic weights of the four pixels around a position, `t` after the second of them."""
    a, s, q = _CUBIC, 1 - t, t + 1
    w0 = ((a * q - 5 * a) * q + 8 * a) * q - 4 * a
    w1 = ((a + 2) * t - (a + 3)) * t * t + 1
    w2 = ((a + 2) * s - (a + 3)) * s * s + 1
    return w0, w1, w2, 1 - w0 - w1 - w2


def _linearize(source, first, flow):
    """Fetches the second picture and its slopes from where the flow points.

    Returns:
        (rest, slopes, inverse): rho(u) = rest + slopes . u, and 1 / |slopes|^2.
    """
    import tensorflow as tf

    height, width = first.shape
    # Two pixels outside the picture all is black already, and the frame ends soon after.
    x = tf.clip_by_value(np.arange(width, dtype=np.float32) + flow[0], -2.0, width + 1.0)
    y = tf.clip_by_value(np.arange(height, dtype=np.float32)[:, None] + flow[1], -2.0, height + 1.0)
    left, top = tf.floor(x), tf.floor(y)
    across, down = _cubic(x - left), _cubic(y - top)
    row = width + 2 * _FRAME + 2
    start = (tf.cast(top, tf.int32) + _FRAME - 1) * row + tf.cast(left, tf.int32) + _FRAME - 1
    taps = tf.zeros((height, width, 3))
    for j in range(4):
        line = sum(tf.gather(source, start + j * row + i) * across[i][..., None] for i in range(4))
        taps += line * down[j][..., None]
    warped, *slopes = tf.unstack(taps, axis=-1)
    slopes = tf.stack(slopes)
    steep = tf.reduce_sum(slopes * slopes, 0)
    inverse = tf.where(steep > _FLAT, 1 / tf.maximum(steep, _FLAT), 0.0)
    return warped - tf.reduce_sum(slopes * flow, 0) - first, slopes, inverse


def _solve(rest, slopes, inverse, flow, duals, parameters):
    """Iterates until the flow hardly changes; returns (flow, dual along x, dual along y)."""
    import tensorflow as tf

    _, height, width = flow.shape
    enough = parameters.epsilon**2 * height * width

    def unfinished(count, change, *_):
        return (count < parameters.inner * parameters.outer) & (change > enough)

    def iterate(count, _, flow, *duals):
        if parameters.median:
            again = tf.equal(count % parameters.inner, 0)
            flow = tf.cond(again, lambda: _median(flow), lambda: flow)
        flow, change, *duals = _iterate(rest, slopes, inverse, flow, duals, parameters)
        return (count + 1, change, flow, *duals)

    begin = (tf.constant(0), tf.constant(math.inf), flow, *duals)
    _, _, *solved = tf.while_loop(unfinished, iterate, begin)
    return solved


def _iterate(rest, slopes, inverse, flow, duals, parameters):
    """One iteration: (flow, sum of its squared changes, dual along x, dual along y)."""
    import tensorflow as tf

    bound, step = parameters.lam * parameters.theta, parameters.tau / parameters.theta
    # The solution of the data term, pixel by pixel.
    rho = rest + tf.reduce_sum(slopes * flow, 0)
    shrunk = tf.clip_by_value(-rho * inverse, -bound, bound)
    along_x, along_y = duals
    divergence = (along_x - _moved(along_x, 2)) + (along_y - _moved(along_y, 1))
    delta = shrunk * slopes + parameters.theta * divergence
    flow = flow + delta
    # No difference across the edge.
    ux = tf.pad(flow[:, :, 1:] - flow[:, :, :-1], ((0, 0), (0, 0), (0, 1)))
    uy = tf.pad(flow[:, 1:] - flow[:, :-1], ((0, 0), (0, 1), (0, 0)))
    shrink = 1 / (1 + step * tf.sqrt(ux * ux + uy * uy))
    moved = (along_x + step * ux) * shrink, (along_y + step * uy) * shrink
    return flow, tf.reduce_sum(delta * delta), *moved


def _moved(dual, axis):
    """The dual shifted by one pixel along an axis, with zeros at the beginning."""
    import tensorflow as tf

    before = [(1, 0) if number == axis else (0, 0) for number in range(3)]
    rows = dual[:, :-1] if axis == 1 else dual[:, :, :-1]
    return tf.pad(rows, before)


def _median(flow):
    """The 5x5 median of each component, its edge repeated, as in `tvl1_numba._median`."""
    import tensorflow as tf

    _, height, width = flow.shape
    for _ in range(2):  # repeats the edge twice
        flow = tf.pad(flow, ((0, 0), (1, 1), (1, 1)), "SYMMETRIC")
    columns = _sorted5([flow[:, j : j + height] for j in range(5)])
    a, b, c, d, e = (_sorted5([rank[:, :, i : i + width] for i in range(5)]) for rank in columns)
    low = functools.reduce(tf.maximum, (a[3], b[2], c[1], d[0]))
    high = functools.reduce(tf.minimum, (b[4], c[3], d[2], e[1]))
    middle = _sorted5([a[4], b[3], c[2], d[1], e[0]])[2]
    return tf.maximum(tf.minimum(low, high), tf.minimum(tf.maximum(low, high), middle))


def _sorted5(values):
    import tensorflow as tf

    values = list(values)
    for i, j in _SORT5:
        values[i], values[j] = (
            tf.minimum(values[i], values[j]),
            tf.maximum(values[i], values[j]),
        )
    return values
