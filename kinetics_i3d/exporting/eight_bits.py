"""`EightBits`: measures a flat model's activations, and then rounds them and its kernels to 8 bits.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018: ranges found by running real clips; kernels rounded per filter.
"""

import numpy as np

# Of the widest range: runtimes refuse a convolution whose output has far smaller steps than its
# input, as that of filters which no clip excites would have.
LEAST = 1e-3
HIGHEST = 127  # of a weight; the range is symmetric


# Layers of which `is_late` holds: in I3D all after the last pool.
LATE = 32


def is_late(side, whole):
    """Whether a convolution keeps float32 in a network of 8 bits.

    The layers after the last pool have 2 % of I3D's multiply-adds, and no layer after them averages
    out their rounding errors: in 8 bits they make a third of the squared error of the logits.

    Args:
        side: Height of the pictures that it reads.
        whole: Height of the clips.
    """
    return side * LATE <= whole


def round_kernel(kernel):
    """Rounds a kernel to 8 bits, one step per filter, and preserves the sums over its taps.

    Rounding each weight to the nearest step leaves an error in the sum over the taps of an input
    channel. Frames are smooth in space and time, so that sum decides most of the error of the
    output. Here the weights that are nearest to the middle between two steps are rounded the other
    way until the sum is off by at most half a step.

    Args:
        kernel: float32 array (..., channels, filters).

    Returns:
        float32 array of the same shape, whose values are steps of 1/127 of the largest absolute
        value of their filter.

    Example:

    >>> round_kernel(np.array([127.0, 0.4, 0.4, 0.4])[:, None, None]).ravel().tolist()
    [127.0, 1.0, 0.0, 0.0]
    """
    axes = tuple(range(kernel.ndim - 1))
    step = np.maximum(np.abs(kernel).max(axes), 1e-9) / HIGHEST
    exact = (kernel / step).reshape(-1, *kernel.shape[-2:])
    rounded = np.round(exact)
    error = exact - rounded
    missing = np.round(error.sum(0))
    rank = np.argsort(np.argsort(-error, axis=0, kind="stable"), axis=0, kind="stable")
    up = (rank < missing) & (rounded < HIGHEST)
    down = (rank >= len(rank) + missing) & (rounded > -HIGHEST)
    return ((rounded + up - down) * step).reshape(kernel.shape).astype(np.float32)


class EightBits:
    """The places in a flat model where numbers have 8 bits.

    It measures while the model is called with clips, one by one and outside of any graph. Every
    graph that is made of the model after that has the roundings inside, as the pairs of a
    `FakeQuant` by which TensorFlow's converter knows what to quantise. What has no place, such as
    the classifier, keeps its precision.

    Args:
        side: Height of the clips. Layers that read pictures of at most a 32nd of it keep their
            precision, see `is_late`.
    """

    def __init__(self, side):
        self._highest: dict = {}
        self._lowest: dict = {}
        self._side = side

    def is_late(self, frames):
        """Whether a layer that reads these frames keeps its precision, see `is_late`."""
        return is_late(frames.shape[1], self._side)

    def place(self, key):
        """A function that passes on an activation, and measures or rounds it.

        Args:
            key: Activations of the same key have one range: those that are joined later, which
                would have to be rounded once more otherwise.
        """
        lowest = self._lowest.setdefault(key, [])
        highest = self._highest.setdefault(key, [])

        def passed(x):
            import tensorflow as tf

            if tf.executing_eagerly():
                lowest.append(float(tf.reduce_min(x)))
                highest.append(float(tf.reduce_max(x)))
                return x
            widest = max(max(values) for values in self._highest.values() if values)
            low, high = min(0.0, *lowest), max(LEAST * widest, *highest)
            return tf.quantization.fake_quant_with_min_max_args(x, low, high)

        return passed

    def kernel(self, kernel):
        """The rounded values of a kernel (..., filters): a number per filter is one step.

        Args:
            kernel: Array.

        Returns:
            A tensor; in a graph one that the converter quantises.
        """
        import tensorflow as tf

        if tf.executing_eagerly():
            return kernel
        top = np.maximum(np.abs(kernel).max(tuple(range(kernel.ndim - 1))), 1e-9)
        return tf.quantization.fake_quant_with_min_max_vars_per_channel(
            kernel, -top, top, narrow_range=True
        )
