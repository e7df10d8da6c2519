"""Slow, plain NumPy versions of what the networks compute; they share no code with the package.

Everything is float64. Arrays are (batch, *space, channels), where space is (height, width) or
(frames, height, width).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def same_padding(size, kernel, stride):
    """TensorFlow's SAME: the odd line of the padding stands behind, so it is not symmetric."""
    steps = -(-size // stride)
    total = max(0, (steps - 1) * stride + kernel - size)
    return total // 2, total - total // 2


def windows(x, kernel, stride, *, fill=None):
    """(batch, *steps, channels, *kernel); SAME with padding of `fill`, VALID for None."""
    axes = tuple(range(1, x.ndim - 1))
    if fill is not None:
        sides = [same_padding(x.shape[a], kernel[a - 1], stride[a - 1]) for a in axes]
        x = np.pad(x, [(0, 0), *sides, (0, 0)], constant_values=fill)
    found = sliding_window_view(x, kernel, axis=axes)
    return found[(slice(None), *(slice(None, None, step) for step in stride))]


def conv(x, kernel, *, stride=1, valid=False):
    """Convolution with a kernel (*space, in, out)."""
    rank = x.ndim - 2
    seen = windows(x, kernel.shape[:rank], (stride,) * rank, fill=None if valid else 0.0)
    ahead = range(rank + 1, 2 * rank + 2)  # channels, then the kernel's space
    return np.tensordot(seen, np.moveaxis(kernel, rank, 0), axes=(ahead, range(rank + 1)))


def max_pool(x, window, stride):
    """Max pool, SAME: what is outside never wins."""
    rank = x.ndim - 2
    seen = windows(x, window, stride, fill=-np.inf)
    return seen.max(axis=tuple(range(rank + 2, 2 * rank + 2)))


def average_pool(x, window, stride):
    """Average pool, VALID."""
    rank = x.ndim - 2
    return windows(x, window, stride).mean(axis=tuple(range(rank + 2, 2 * rank + 2)))


def batch_norm(x, beta, mean, variance):
    """Normalization by given statistics, without a gain, epsilon 1e-3."""
    return (x - mean) / np.sqrt(variance + 1e-3) + beta


def relu(x):
    return np.maximum(x, 0.0)


def response_norm(x):
    """Across channels: radius 5, bias 2, alpha 1e-4, beta 0.5."""
    result = np.empty_like(x)
    for channel in range(x.shape[-1]):
        near = x[..., max(0, channel - 5) : channel + 6]
        result[..., channel] = x[..., channel] / np.sqrt(2.0 + 1e-4 * (near**2).sum(axis=-1))
    return result


def inception_v1(x, weights, *, of_2014=False):
    """The forward pass of Inception-V1, 2D or 3D by the rank of `x`.

    Args:
        x: (batch, *space, channels).
        weights: {name: array} by the names of the package's checkpoints.
        of_2014: Google's first network: biases, response norm, 5x5 branches, 3x3 last pool.

    Returns:
        {endpoint: activation}, with "logits" last where `weights` hold the classifier.
    """
    rank = x.ndim - 2
    seen = {}

    def unit(x, name, *, stride=1):
        x = conv(x, weights[f"{name}_conv/kernel"], stride=stride)
        if of_2014:
            x = x + weights[f"{name}_conv/bias"]
        else:
            x = batch_norm(
                x,
                *(
                    weights[f"{name}_bn/{part}"]
                    for part in ("beta", "moving_mean", "moving_variance")
                ),
            )
        seen[name] = relu(x)
        return seen[name]

    def pool(x, name, frames, side, steps, stride):
        window, stride = (frames, side, side), (steps, stride, stride)
        seen[name] = max_pool(x, window[-rank:], stride[-rank:])
        return seen[name]

    def module(x, name):
        third = "5x5" if of_2014 else "3x3"
        letter = "a" if name == "Mixed_5b" and rank == 3 and not of_2014 else "b"  # a typing error
        conv_name = f"{name}_Branch_{{}}_Conv{rank}d_0{{}}_{{}}".format
        seen[name] = np.concatenate(
            [
                unit(x, conv_name(0, "a", "1x1")),
                unit(unit(x, conv_name(1, "a", "1x1")), conv_name(1, "b", "3x3")),
                unit(unit(x, conv_name(2, "a", "1x1")), conv_name(2, letter, third)),
                unit(max_pool(x, (3,) * rank, (1,) * rank), conv_name(3, "b", "1x1")),
            ],
            axis=-1,
        )
        return seen[name]

    with np.errstate(all="raise"):
        x = np.asarray(x, np.float64)
        x = unit(x, f"Conv{rank}d_1a_7x7", stride=2)
        x = pool(x, f"MaxPool{rank}d_2a_3x3", 1, 3, 1, 2)
        x = response_norm(x) if of_2014 else x
        x = unit(x, f"Conv{rank}d_2b_1x1")
        x = unit(x, f"Conv{rank}d_2c_3x3")
        x = response_norm(x) if of_2014 else x
        x = pool(x, f"MaxPool{rank}d_3a_3x3", 1, 3, 1, 2)
        x = module(module(x, "Mixed_3b"), "Mixed_3c")
        x = pool(x, f"MaxPool{rank}d_4a_3x3", 3, 3, 2, 2)
        for letter in "bcdef":
            x = module(x, f"Mixed_4{letter}")
        last = 3 if of_2014 else 2
        x = pool(x, f"MaxPool{rank}d_5a_{last}x{last}", last, last, 2, 2)
        x = module(module(x, "Mixed_5b"), "Mixed_5c")
        head = f"Conv{rank}d_0c_1x1"
        if f"{head}/kernel" in weights:
            whole = (2, *x.shape[2:4])[-rank:] if rank == 3 else x.shape[1:3]  # 7x7 at 224 pixels
            x = average_pool(x, whole, (1,) * rank)
            seen[head] = conv(x, weights[f"{head}/kernel"]) + weights[f"{head}/bias"]
            seen["logits"] = seen[head].mean(axis=tuple(range(1, rank + 1)))
    return seen
