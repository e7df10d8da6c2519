"""Layers of clips as 2D operations on frames: each function gives the form of a kind of layer.

A 3D convolution is a 2D one over frames whose neighbours in time lie beside them as channels; a 3D
maximum is one over pictures and then one over time, and so is a mean without padding. All are
exact, as sums in another order are. Clips are (frames, height, width, channels) here.
"""

import functools

import numpy as np
from keras import ops

from kinetics_i3d.core.errors import ExportError


def convolution(layer, norm, relu):
    """A 3D or 2D convolution, its batch norm and its ReLU as one 2D convolution.

    Args:
        layer: The layer, of rank 2 or 3.
        norm: The `BatchNormalization` after it, or `None`.
        relu: The `ReLU` after that, or `None`.

    Returns:
        A function of frames (frames, height, width, channels).
    """
    kernel, bias = folded_weights(layer, norm)
    in_time = kernel.ndim == 5
    window, stride = (kernel.shape[0], layer.strides[0]) if in_time else (1, 1)
    if in_time:
        # The order in which `concatenate` puts channels: all of a frame, then all of the next.
        kernel = kernel.transpose(1, 2, 0, 3, 4).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])

    def function(frames):
        if window > 1 or stride > 1:
            around = around_time(frames, window, stride, layer.padding)
            if any(around):
                frames = ops.pad(frames, (around, (0, 0), (0, 0), (0, 0)))
            frames = ops.concatenate(steps(frames, window, stride), axis=-1)
        found = ops.conv(frames, kernel, strides=layer.strides[-2:], padding=layer.padding) + bias
        return found if relu is None else ops.relu(found)

    return function


def dense(layer, norm, relu):
    """A dense layer, its batch norm and its ReLU as one product, a function of any tensor."""
    kernel, bias = folded_weights(layer, norm)

    def function(x):
        found = ops.matmul(x, kernel) + bias
        return found if relu is None else ops.relu(found)

    return function


def normalization(layer, *_):
    """A batch norm that follows no convolution, a function of any tensor."""
    scale, offset = (np.asarray(part, np.float32) for part in scale_and_offset(layer))
    return lambda x: x * scale + offset


def max_pool(layer, *_):
    """A 3D maximum as one over pictures and then one over time, a function of frames."""
    window, stride = layer.pool_size, layer.strides

    def function(frames):
        if window[1:] != (1, 1) or stride[1:] != (1, 1):
            frames = ops.max_pool(frames, window[1:], strides=stride[1:], padding=layer.padding)
        before, after = around_time(frames, window[0], stride[0], layer.padding)
        # Frames that are in the window anyway, in place of minus infinity, which 8 bits lack.
        frames = ops.concatenate([frames[:1]] * before + [frames] + [frames[-1:]] * after, axis=0)
        return functools.reduce(ops.maximum, steps(frames, window[0], stride[0]))

    return function


def average_pool(layer, *_):
    """A 3D mean as one over pictures and then one over time, a function of frames.

    Raises:
        ExportError: If it pads: how many frames count then depends on the place.
    """
    window, stride = layer.pool_size, layer.strides
    if layer.padding != "valid":
        raise ExportError(f"{layer.name}: a mean with padding has no form in 2D")

    def function(frames):
        if window[1:] != (1, 1) or stride[1:] != (1, 1):
            frames = ops.average_pool(frames, window[1:], strides=stride[1:], padding="valid")
        return functools.reduce(ops.add, steps(frames, window[0], stride[0])) / window[0]

    return function


def concatenation(layer, *_):
    """Channels of clips joined as those of pictures, a function of a list."""
    return lambda parts: ops.concatenate(parts, axis=-1)


def response_norm(layer, *_):
    """The sum over neighbouring channels as a 1x1 convolution with a banded kernel."""

    def function(frames):
        channel = np.arange(frames.shape[-1])
        near = np.abs(channel[:, None] - channel) <= layer.radius
        energy = ops.conv(ops.square(frames), (layer.alpha * near[None, None]).astype(np.float32))
        base = energy + layer.bias
        return frames * (ops.rsqrt(base) if layer.beta == 0.5 else ops.power(base, -layer.beta))

    return function


def recurrence(layer, *_):
    """An LSTM step by step, a function of (1, steps, channels)."""
    kernel, recurrent, bias = (ops.convert_to_numpy(weight) for weight in layer.weights)

    def function(x):
        state = carry = ops.zeros((1, layer.units))
        outputs = []
        for step in range(x.shape[1]):
            gates = ops.matmul(x[:, step], kernel) + ops.matmul(state, recurrent) + bias
            enter, keep, new, out = ops.split(gates, 4, axis=-1)
            carry = ops.sigmoid(keep) * carry + ops.sigmoid(enter) * ops.tanh(new)
            state = ops.sigmoid(out) * ops.tanh(carry)
            outputs.append(state)
        return ops.stack(outputs, axis=1) if layer.return_sequences else state

    return function


def scale_and_offset(norm):
    """What a batch norm multiplies by and adds at test, arrays (channels,)."""
    gamma, beta, mean, variance = (
        default if part is None else ops.convert_to_numpy(part)
        for part, default in (
            (norm.gamma, 1.0),
            (norm.beta, 0.0),
            (norm.moving_mean, None),
            (norm.moving_variance, None),
        )
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


def folded_weights(layer, norm):
    """(kernel, bias) of a layer with its batch norm folded in, float32."""
    kernel = ops.convert_to_numpy(layer.kernel)
    bias = ops.convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    if norm is not None:
        scale, offset = scale_and_offset(norm)
        kernel, bias = kernel * scale, bias * scale + offset
    return kernel.astype(np.float32), bias.astype(np.float32)


def around_time(frames, window, stride, padding):
    """Frames that a window needs before the first and after the last, as TensorFlow's SAME has."""
    if padding == "valid":
        return 0, 0
    count = frames.shape[0]
    missing = max((-(-count // stride) - 1) * stride + window - count, 0)
    return missing // 2, missing - missing // 2


def steps(frames, window, stride):
    """`window` tensors: the frames at each place of a window that moves through time."""
    last = (frames.shape[0] - window) // stride * stride
    return [frames[place : place + last + 1 : stride] for place in range(window)]
