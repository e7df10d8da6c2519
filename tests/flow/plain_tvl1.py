"""TV-L1 written from the papers in plain NumPy and float64: slow, and no line of the package's.

Zach, Pock and Bischof, DAGM 2007; Sánchez Pérez et al., IPOL 2013; with OpenCV's pyramid
(bilinear), warping (bicubic, A = -0.75, black outside), 5x5 median and end of the iterations.
"""

import numpy as np


def at(place, size):
    """Interpolation along one axis as a matrix row: bilinear, the edge goes on."""
    place = min(max(place, 0.0), size - 1.0)
    row = np.maximum(0, 1 - abs(np.arange(size) - place))
    return row / row.sum()


def resize(picture, shape, steps):
    rows, columns = (
        np.stack([at((i + 0.5) * step - 0.5, size) for i in range(new)])
        for new, step, size in zip(shape, steps, picture.shape, strict=True)
    )
    return rows @ picture @ columns.T


def bicubic(distance, a=-0.75):
    d = np.abs(distance)
    near = (a + 2) * d**3 - (a + 3) * d**2 + 1
    far = a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


def warp(picture, flow):
    height, width = picture.shape
    y, x = np.mgrid[:height, :width].astype(float)
    x, y = x + flow[0], y + flow[1]
    result = np.zeros(picture.shape)
    for j in range(-2, 4):
        for i in range(-2, 4):
            column, row = np.floor(x).astype(int) + i, np.floor(y).astype(int) + j
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            values = picture[row.clip(0, height - 1), column.clip(0, width - 1)] * inside
            result += bicubic(x - column) * bicubic(y - row) * values
    return result


def slopes(picture):
    wide = np.pad(picture, 1, mode="edge")
    return (wide[1:-1, 2:] - wide[1:-1, :-2]) / 2, (wide[2:, 1:-1] - wide[:-2, 1:-1]) / 2


def median(picture):
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(picture, 2, mode="edge"), (5, 5))
    return np.median(windows, axis=(2, 3))


def forward(u):
    return np.diff(u, axis=1, append=u[:, -1:]), np.diff(u, axis=0, append=u[-1:])


def divergence(p):
    return np.diff(p[0], axis=1, prepend=0) + np.diff(p[1], axis=0, prepend=0)


def one_scale(first, second, flow, p):
    dual = np.zeros((2, 2, *first.shape))
    for _ in range(p.warps):
        gradient = np.stack([warp(each, flow) for each in slopes(second)])
        steep = (gradient**2).sum(0)
        rest = warp(second, flow) - (gradient * flow).sum(0) - first
        change, rounds = np.inf, 0
        while change > p.epsilon**2 * first.size and rounds < p.outer:
            if p.median:
                flow = np.stack([median(u) for u in flow])
            count = 0
            while change > p.epsilon**2 * first.size and count < p.inner:
                rho = rest + (gradient * flow).sum(0)
                most = p.lam * p.theta
                # The three cases of the papers' thresholding.
                with np.errstate(divide="ignore", invalid="ignore"):
                    shrunk = np.where(steep > 1.2e-7, -rho / steep, 0.0)
                shrunk = np.where(rho < -most * steep, most, shrunk)
                shrunk = np.where(rho > most * steep, -most, shrunk)
                shrunk = np.where(steep > 1.2e-7, shrunk, 0.0)
                new = flow + shrunk * gradient
                new = np.stack(
                    [v + p.theta * divergence(d) for v, d in zip(new, dual, strict=True)]
                )
                change = ((new - flow) ** 2).sum()
                flow = new
                for part in range(2):
                    up = np.stack(forward(flow[part]))
                    length = np.sqrt((up**2).sum(0))
                    dual[part] = (dual[part] + p.tau / p.theta * up) / (
                        1 + p.tau / p.theta * length
                    )
                count += 1
            rounds += 1
    return flow


def tvl1(first, second, p):
    pyramid = [(np.asarray(first, float), np.asarray(second, float))]
    for _ in range(p.scales - 1):
        shape = tuple(round(size * p.scale_step) for size in pyramid[-1][0].shape)
        if min(shape) < 16:
            break
        steps = (1 / p.scale_step,) * 2
        pyramid.append(tuple(resize(each, shape, steps) for each in pyramid[-1]))
    flow = np.zeros((2, *pyramid[-1][0].shape))
    for first, second in reversed(pyramid):
        if flow.shape[1:] != first.shape:
            steps = [a / b for a, b in zip(flow.shape[1:], first.shape, strict=True)]
            flow = np.stack([resize(u, first.shape, steps) for u in flow]) / p.scale_step
        flow = one_scale(first, second, flow, p)
    return flow.transpose(1, 2, 0)
