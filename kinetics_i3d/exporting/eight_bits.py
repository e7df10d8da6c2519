"""`EightBits`: measures a flat model's activations, and then rounds them and its kernels to 8 bits.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018: ranges found by running real clips; kernels rounded per filter.
"""

import numpy as np

# Of the widest range: runtimes refuse a convolution whose output has far smaller steps than its
# input, as that of filters which no clip excites would have.
LEAST = 1e-3


class EightBits:
    """The places in a flat model where numbers have 8 bits.

    It measures while the model is called with clips, one by one and outside of any graph. Every
    graph that is made of the model after that has the roundings inside, as the pairs of a
    `FakeQuant` by which TensorFlow's converter knows what to quantise. What has no place, such as
    the classifier, keeps its precision.
    """

    def __init__(self):
        self._highest: dict = {}
        self._lowest: dict = {}

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
            widest = max(map(max, self._highest.values()))
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
