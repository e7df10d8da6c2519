"""The released network in TensorFlow's own operations, reading arrays under their stored names.

An independent check of name maps and converters: shares no code with the package.
"""

import numpy as np
import tensorflow as tf

# Channels come from the arrays; what stands here is the order of things.
MODULES = ("3b", "3c", "pool", "4b", "4c", "4d", "4e", "4f", "pool", "5b", "5c")


def logits(clips, parameters):
    """The forward pass.

    Args:
        clips: (batch, frames, height, width, channels), float32.
        parameters: A function from the place of a unit to its (kernel (time, height, width, in,
            out), scale, offset, mean, variance), or, for the place "logits", (kernel, bias).
            Places are "1a", "2b", "2c" and (module, "0"), (module, "1a"), (module, "1b") and so on.

    Returns:
        float32 array (batch, classes).
    """

    def unit(x, place, stride=1):
        kernel, scale, offset, mean, variance = parameters(place)
        x = tf.nn.conv3d(x, kernel, [1, stride, stride, stride, 1], "SAME")
        return tf.nn.relu(tf.nn.batch_normalization(x, mean, variance, offset, scale, 1e-3))

    def pool(x, window, stride):
        return tf.nn.max_pool3d(x, [1, *window, 1], [1, *stride, 1], "SAME")

    x = unit(tf.constant(clips), "1a", stride=2)
    x = pool(x, (1, 3, 3), (1, 2, 2))
    x = unit(unit(x, "2b"), "2c")
    x = pool(x, (1, 3, 3), (1, 2, 2))
    pools = iter(((3, 3, 3), (2, 2, 2)))
    for module in MODULES:
        if module == "pool":
            x = pool(x, next(pools), (2, 2, 2))
            continue
        branches = (
            unit(x, (module, "0")),
            unit(unit(x, (module, "1a")), (module, "1b")),
            unit(unit(x, (module, "2a")), (module, "2b")),
            unit(pool(x, (3, 3, 3), (1, 1, 1)), (module, "3b")),
        )
        x = tf.concat(branches, axis=-1)
    kernel, bias = parameters("logits")
    x = tf.nn.avg_pool3d(x, [1, 2, *x.shape[2:4], 1], 1, "VALID")
    x = tf.nn.conv3d(x, kernel, [1] * 5, "VALID") + bias
    return tf.reduce_mean(x, axis=(1, 2, 3)).numpy()


def of_release(arrays, prefix):
    """`parameters` of a checkpoint of the release."""
    units = {"1a": "1a_7x7", "2b": "2b_1x1", "2c": "2c_3x3"}
    kernels = {"0": "0/Conv3d_0a_1x1", "1a": "1/Conv3d_0a_1x1", "1b": "1/Conv3d_0b_3x3"}
    kernels |= {"2a": "2/Conv3d_0a_1x1", "2b": "2/Conv3d_0b_3x3", "3b": "3/Conv3d_0b_1x1"}

    def parameters(place):
        if place == "logits":
            head = f"{prefix}Logits/Conv3d_0c_1x1/conv_3d"
            return arrays[f"{head}/w"], arrays[f"{head}/b"]
        if isinstance(place, str):
            name = f"{prefix}Conv3d_{units[place]}"
        elif place == ("5b", "2b"):
            name = f"{prefix}Mixed_5b/Branch_2/Conv3d_0a_3x3"  # so the file has it
        else:
            name = f"{prefix}Mixed_{place[0]}/Branch_{kernels[place[1]]}"
        norm = f"{name}/batch_norm"
        statistics = (arrays[f"{norm}/{part}"] for part in ("beta", "moving_mean"))
        flat = [np.ravel(array) for array in statistics]
        variance = np.ravel(arrays[f"{norm}/moving_variance"])
        return arrays[f"{name}/conv_3d/w"], None, *flat, variance

    return parameters


def of_torch(arrays):
    """`parameters` of a PyTorch state dict."""
    units = {"1a": "Conv3d_1a_7x7", "2b": "Conv3d_2b_1x1", "2c": "Conv3d_2c_3x3"}

    def kernel_of(name):
        return np.moveaxis(arrays[f"{name}.conv3d.weight"], (0, 1), (4, 3))

    def parameters(place):
        if place == "logits":
            return kernel_of("logits"), arrays["logits.conv3d.bias"]
        name = units[place] if isinstance(place, str) else f"Mixed_{place[0]}.b{place[1]}"
        norm = (arrays[f"{name}.bn.{part}"] for part in ("weight", "bias"))
        moving = (arrays[f"{name}.bn.running_{part}"] for part in ("mean", "var"))
        return kernel_of(name), *norm, *moving

    return parameters
