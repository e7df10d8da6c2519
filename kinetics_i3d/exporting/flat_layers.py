"""Layers of clips as 2D operations on frames: each function gives the form of a kind of layer.

A 3D convolution is a 2D one over frames whose neighbours in time lie beside them as channels; a 3D
maximum is one over pictures and then one over time, and so is a mean without padding. All are
exact, as sums in another order are. Clips are (frames, height, width, channels) here.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
from keras import ops

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.models.layers import CHANNELS_LAST

conv = functools.partial(ops.conv, data_format=CHANNELS_LAST)


def unchanged(x):
    """What is given."""
    return x


@dataclasses.dataclass
class Unit:
    """What belongs to a layer.

    Args:
        norm: The `BatchNormalization` after it, or `None`.
        relu: The `ReLU` after that, or what else ends it, or `None`.
        entrance: What passes on its input, such as `EightBits.place` gives.
        place: What passes on its output.
        rounded: What is made of its kernel.
        prepared: What is made of its kernel (..., channels, filters) before that, once.
        exact: Whether it keeps its precision, a function of the frames that it reads.
    """

    norm: Callable | None = None
    relu: Callable | None = None
    entrance: Callable = unchanged
    place: Callable = unchanged
    rounded: Callable = unchanged
    prepared: Callable = unchanged
    exact: Callable = lambda frames: False

    def finished(self, x):
        """The output of the unit, of the sum that its layer has made."""
        return self.place(x if self.relu is None else self.relu(x))


def convolution(layer, unit):
    """A 3D or 2D convolution, its batch norm and its ReLU as one 2D convolution.

    Args:
        layer: The layer, of rank 2 or 3.
        unit: The `Unit` that it belongs to.

    Returns:
        A function of frames (frames, height, width, channels).
    """
    kernel, bias = folded_weights(layer, unit.norm)
    in_time = kernel.ndim == 5
    window, stride = (kernel.shape[0], layer.strides[0]) if in_time else (1, 1)
    kernels = [kernel, unit.prepared(kernel)]
    if in_time:
        # The order in which `concatenate` puts channels: all of a frame, then all of the next.
        kernels = [
            each.transpose(1, 2, 0, 3, 4).reshape(*each.shape[1:3], -1, each.shape[-1])
            for each in kernels
        ]
    plain = Unit(unit.norm, unit.relu)

    def function(frames):
        chosen, kernel = (plain, kernels[0]) if unit.exact(frames) else (unit, kernels[1])
        if window > 1 or stride > 1:
            frames = neighbours(frames, window, stride, layer.padding)
        frames, strides = chosen.entrance(frames), layer.strides[-2:]
        output = conv(frames, chosen.rounded(kernel), strides=strides, padding=layer.padding)
        return chosen.finished(output + bias)

    return function


def dense(layer, unit):
    """A dense layer, its batch norm and its ReLU as a 1x1 convolution, a function of any tensor.

    The converter rounds kernels of convolutions filter by filter, those of products as a whole.
    """
    kernel, bias = folded_weights(layer, unit.norm)
    kernel = kernel[np.newaxis, np.newaxis]

    def function(x):
        pictures = ops.reshape(x, (-1, 1, 1, x.shape[-1]))
        output = unit.finished(conv(pictures, unit.rounded(kernel)) + bias)
        return ops.reshape(output, (*x.shape[:-1], -1))

    return function


def normalization(layer, unit):
    """A batch norm that follows no convolution, a function of any tensor."""
    scale, offset = (np.asarray(part, np.float32) for part in scale_and_offset(layer))
    return lambda x: unit.finished(x * scale + offset)


def max_pool(layer, unit):
    """A 3D maximum as one over pictures and then one over time, a function of frames."""
    return _pool(layer, functools.partial(ops.max_pool, data_format=CHANNELS_LAST))


def average_pool(layer, unit):
    """A 3D mean as one over pictures and then one over time, a function of frames.

    Raises:
        ExportError: If it pads: over how many numbers it is taken then depends on the place.
    """
    if layer.padding != "valid":
        raise ExportError(f"{layer.name}: a mean with padding has no form in 2D")
    return _pool(layer, functools.partial(ops.average_pool, data_format=CHANNELS_LAST))


def _pool(layer, pool):
    window, stride = layer.pool_size, layer.strides

    def function(frames):
        if window[1:] != (1, 1) or stride[1:] != (1, 1):
            frames = pool(frames, window[1:], strides=stride[1:], padding=layer.padding)
        if window[0] == stride[0] == 1:
            return frames
        # One picture, as high as the clip is long and as wide as a frame has pixels.
        count, height, width, channels = frames.shape
        picture = ops.reshape(frames, (1, count, height * width, channels))
        picture = pool(picture, (window[0], 1), strides=(stride[0], 1), padding=layer.padding)
        return ops.reshape(picture, (picture.shape[1], height, width, channels))

    return function


def concatenation(layer, unit):
    """Channels of clips joined as those of pictures, a function of a list."""
    return lambda parts: ops.concatenate(parts, axis=-1)


def response_norm(layer, unit):
    """The sum over neighbouring channels as a 1x1 convolution with a banded kernel."""

    def function(frames):
        channel = np.arange(frames.shape[-1])
        near = np.abs(channel[:, None] - channel) <= layer.radius
        energy = conv(ops.square(frames), (layer.alpha * near[None, None]).astype(np.float32))
        base = energy + layer.bias
        factor = ops.rsqrt(base) if layer.beta == 0.5 else ops.power(base, -layer.beta)
        return unit.place(frames * factor)

    return function


def global_mean(layer, unit):
    """The mean of all places as a product, a function of frames to (channels,).

    A mean, or a sum, would be taken in 8 bits where its terms have 8; of a product, whose factors
    nobody has rounded, the converter makes one of floats.
    """

    def function(frames):
        count = int(np.prod(frames.shape[:3]))
        places = ops.transpose(ops.reshape(frames, (count, frames.shape[-1])))
        return ops.reshape(ops.matmul(places, np.full((count, 1), 1 / count, np.float32)), (-1,))

    return function


def recurrence(layer, unit):
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


def neighbours(frames, window, stride, padding):
    """The frames under each place of a window that moves through time, beside each other.

    Strided slices in time would do it too, but few runtimes have fast ones. So each `stride` frames
    are made one of more channels first, and then windows overlap by whole frames.

    Args:
        frames: Keras tensor (frames, height, width, channels).
        window: Frames of a window.
        stride: Frames that it moves by.
        padding: `"same"` puts black frames around, as TensorFlow does, or `"valid"`.

    Returns:
        Keras tensor (places, height, width, window * channels).
    """
    count, height, width, channels = frames.shape
    places = -(-count // stride) if padding == "same" else (count - window) // stride + 1
    groups = places - 1 + -(-window // stride)
    missing = max((places - 1) * stride + window - count, 0) if padding == "same" else 0
    before = missing // 2
    after = groups * stride - before - count
    if before > 0 or after > 0:
        frames = ops.pad(frames, ((before, max(after, 0)), (0, 0), (0, 0), (0, 0)))
    if after < 0:
        frames = frames[: groups * stride]
    if stride > 1:  # frames of a group lie above each other, where slices without strides reach
        towers = ops.reshape(frames, (groups, stride * height, width, channels))
        parts = [towers[:, place * height : (place + 1) * height] for place in range(stride)]
    else:
        parts = [frames]
    found = []
    for first in range(0, window, stride):
        inside = parts[: window - first]
        group = inside[0] if len(inside) == 1 else ops.concatenate(inside, axis=-1)
        found.append(group[first // stride : first // stride + places])
    return found[0] if len(found) == 1 else ops.concatenate(found, axis=-1)
