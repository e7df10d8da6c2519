"""`lower_3d_to_2d`: a model of clips as 2D operations on frames, for runtimes made for images.

A 3D convolution becomes a 2D one over frames that are stacked with their neighbors in time as
channels. A 3D max pool becomes one over frames followed by one over time, and so does an average
pool without padding. All forms are exact up to the order of sums. Internally, clips are (frames,
height, width, channels).
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.inference.quantize import round_kernel
from kinetics_i3d.models.folding import folded, scale_and_offset
from kinetics_i3d.models.layers import CHANNELS_LAST, LocalResponseNorm

_conv = functools.partial(ops.conv, data_format=CHANNELS_LAST)


def lower_3d_to_2d(model, sizes, quantizer=None):
    """Builds a 2D model that computes the same outputs as a model of clips at test.

    Weights become constants, and batch norms become part of kernels.

    Args:
        model: A `ClipModel` of any system.
        sizes: {stream: (1, frames, height, width, channels)}.
        quantizer: The `litert.FakeQuantizer` that rounds activations and kernels, or `None`.

    Returns:
        A functional `keras.Model` of clips of these sizes, a dictionary if there are several.

    Raises:
        ExportError: If a layer has no 2D form.
    """
    inputs = {stream: keras.Input(batch_shape=size, name=stream) for stream, size in sizes.items()}
    units, absorbed = _find_units(model, quantizer)

    def lower(layer):
        if id(layer) in absorbed or isinstance(layer, layers.Dropout):
            return _Lowered(layer, _identity)
        for kind, form in _FORMS.items():
            if isinstance(layer, kind):
                return _Lowered(layer, form(layer, units.get(id(layer)) or _Unit()))
        if getattr(layer, "weights", ()):
            raise ExportError(
                f"{model.name}: {layer.name} ({type(layer).__name__}) cannot be rewritten in 2D"
            )
        return type(layer).from_config(layer.get_config())

    return keras.models.clone_model(
        model,
        input_tensors=inputs if isinstance(model.input, dict) else next(iter(inputs.values())),
        clone_function=lower,
        recursive=True,
    )


class _Lowered(layers.Layer):
    """Computes the same as `layer`, without variables, for one clip of a fixed size.

    `function` takes and returns clips of rank 5 without their batch axis.
    """

    def __init__(self, layer, function):
        super().__init__(name=layer.name, dtype="float32")
        # In a tuple, because Keras would track the layer as a part of this one, with its variables.
        self._shape_of = (layer.compute_output_shape,)
        self._function = function

    def call(self, inputs, training=None, mask=None):  # arguments that some of the layers take
        clips = any(len(x.shape) == 5 for x in keras.tree.flatten(inputs))
        # Reshapes, unlike indexing, cancel out between two layers.
        outputs = self._function(keras.tree.map_structure(_drop_batch, inputs) if clips else inputs)
        return ops.reshape(outputs, (1, *outputs.shape)) if clips else outputs

    def compute_output_shape(self, input_shape):
        return self._shape_of[0](input_shape)


def _drop_batch(clips):
    return ops.reshape(clips, clips.shape[1:])


def _identity(x):
    return x


@dataclasses.dataclass
class _Unit:
    """The layers that are lowered together with one that has a kernel, and their quantization.

    Args:
        norm: The `BatchNormalization` after it, or `None`.
        relu: The `ReLU` after that, or another layer that ends the unit, or `None`.
        quantize_input, quantize_output: Functions of activations.
        quantize_kernel: A function of its 2D kernel.
        round_kernel: A function of its kernel (..., channels, filters), applied once before that.
        keeps_float32: A function of the frames that the layer reads: whether none of the quantizing
            functions is applied.
    """

    norm: Callable | None = None
    relu: Callable | None = None
    quantize_input: Callable = _identity
    quantize_output: Callable = _identity
    quantize_kernel: Callable = _identity
    round_kernel: Callable = _identity
    keeps_float32: Callable = lambda frames: False

    def finish(self, x):
        """The output of the unit, from the output of its kernel and bias."""
        return self.quantize_output(x if self.relu is None else self.relu(x))


def _find_units(model, quantizer=None):
    """({id of a layer: its `_Unit`}, ids of the norms and ReLUs that belong to one)."""
    units: dict = {}
    absorbed: set = set()
    by_name = {layer.name: layer for layer in model.layers}
    joins = [layer for layer in model.layers if isinstance(layer, layers.Concatenate)]
    joined = {id(tensor): layer for layer in joins for tensor in layer.input}
    for name, layer in by_name.items():
        if hasattr(layer, "layers"):
            inner_units, inner_absorbed = _find_units(layer, quantizer)
            units |= inner_units
            absorbed |= inner_absorbed
        # The layers of a unit share a name: `X_conv`, `X_bn` and `X`.
        stem, _, kind = name.rpartition("_")
        if kind in ("conv", "dense"):
            norm, relu = by_name.get(f"{stem}_bn"), by_name.get(stem)
        elif isinstance(layer, LocalResponseNorm):
            norm, relu = None, layer
        elif isinstance(layer, (layers.Conv2D, layers.Conv3D)):
            norm = relu = None  # a classifier, whose outputs are averaged
        else:
            continue
        units[id(layer)] = unit = _Unit(norm, relu)
        absorbed |= {id(member) for member in (norm, relu) if member not in (None, layer)}
        if quantizer is not None:
            unit.quantize_kernel = quantizer.kernel
            unit.round_kernel, unit.keeps_float32 = round_kernel, quantizer.is_late
            # Tensors that are concatenated share a range.
            key = id(joined.get(id((relu or layer).output), layer))
            unit.quantize_output = quantizer.activation(key)
            if relu is None:  # its inputs are means, which are not rounded yet
                unit.quantize_input = quantizer.activation(("before", id(layer)))
    return units, absorbed


def _convolution(layer, unit):
    """A 3D or 2D convolution, its batch norm and its ReLU, as one 2D convolution."""
    kernel, bias = folded(layer, unit.norm)
    in_time = kernel.ndim == 5
    window, stride = (kernel.shape[0], layer.strides[0]) if in_time else (1, 1)
    kernels = [kernel, unit.round_kernel(kernel)]
    if in_time:
        # The order of channels is that of `_stack_neighbors`: all of a frame, then the next.
        kernels = [
            kernel.transpose(1, 2, 0, 3, 4).reshape(*kernel.shape[1:3], -1, kernel.shape[-1])
            for kernel in kernels
        ]
    exact_kernel, rounded_kernel = kernels
    exact_unit = _Unit(unit.norm, unit.relu)

    def function(frames):
        exact = unit.keeps_float32(frames)
        kernel, active = (exact_kernel, exact_unit) if exact else (rounded_kernel, unit)
        if window > 1 or stride > 1:
            frames = _stack_neighbors(frames, window, stride, layer.padding)
        frames, kernel = active.quantize_input(frames), active.quantize_kernel(kernel)
        output = _conv(frames, kernel, strides=layer.strides[-2:], padding=layer.padding)
        return active.finish(output + bias)

    return function


def _dense(layer, unit):
    """A dense layer, its batch norm and its ReLU, as a 1x1 convolution.

    The converter rounds kernels of convolutions per filter, those of dense layers per tensor.
    """
    kernel, bias = folded(layer, unit.norm)
    kernel = kernel[np.newaxis, np.newaxis]

    def function(x):
        pictures = ops.reshape(x, (-1, 1, 1, x.shape[-1]))
        output = unit.finish(_conv(pictures, unit.quantize_kernel(kernel)) + bias)
        return ops.reshape(output, (*x.shape[:-1], -1))

    return function


def _normalization(layer, unit):
    """A batch norm that follows no convolution."""
    scale, offset = (part.astype(np.float32) for part in scale_and_offset(layer))
    return lambda x: unit.finish(x * scale + offset)


def _max_pool(layer, unit):
    return _pool(layer, functools.partial(ops.max_pool, data_format=CHANNELS_LAST))


def _average_pool(layer, unit):
    # With padding, the number of values in a mean depends on the position.
    if layer.padding != "valid":
        raise ExportError(f"{layer.name}: a mean with padding cannot be rewritten in 2D")
    return _pool(layer, functools.partial(ops.average_pool, data_format=CHANNELS_LAST))


def _pool(layer, pool):
    """A 3D pool as one over frames, followed by one over time."""
    window, stride = layer.pool_size, layer.strides

    def function(frames):
        if window[1:] != (1, 1) or stride[1:] != (1, 1):
            frames = pool(frames, window[1:], strides=stride[1:], padding=layer.padding)
        if window[0] == stride[0] == 1:
            return frames
        # One picture whose height is the number of frames and whose width is the pixels of a frame.
        count, height, width, channels = frames.shape
        picture = ops.reshape(frames, (1, count, height * width, channels))
        picture = pool(picture, (window[0], 1), strides=(stride[0], 1), padding=layer.padding)
        return ops.reshape(picture, (picture.shape[1], height, width, channels))

    return function


def _concatenation(layer, unit):
    return lambda inputs: ops.concatenate(inputs, axis=-1)


def _response_norm(layer, unit):
    """The sum over neighboring channels as a 1x1 convolution with a banded kernel."""

    def function(frames):
        channel = np.arange(frames.shape[-1])
        near = np.abs(channel[:, None] - channel) <= layer.radius
        energy = _conv(ops.square(frames), (layer.alpha * near[None, None]).astype(np.float32))
        base = energy + layer.bias
        factor = ops.rsqrt(base) if layer.beta == 0.5 else ops.power(base, -layer.beta)
        return unit.quantize_output(frames * factor)

    return function


def _global_mean(layer, unit):
    """The mean over all positions as a matrix product.

    The converter would compute a mean or a sum of 8-bit terms in 8 bits. A product of factors that
    are not rounded stays in float32.
    """

    def function(frames):
        count = int(np.prod(frames.shape[:3]))
        positions = ops.transpose(ops.reshape(frames, (count, frames.shape[-1])))
        return ops.reshape(ops.matmul(positions, np.full((count, 1), 1 / count, np.float32)), (-1,))

    return function


def _recurrence(layer, unit):
    """An LSTM unrolled over the steps of (1, steps, channels)."""
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


# The 2D form of each type of layer; the first match is used. A form is a function of a layer and
# its `_Unit` that returns a function of frames.
_FORMS = {
    layers.Conv3D: _convolution,
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.BatchNormalization: _normalization,
    layers.MaxPooling3D: _max_pool,
    layers.AveragePooling3D: _average_pool,
    layers.Concatenate: _concatenation,
    layers.GlobalAveragePooling3D: _global_mean,
    layers.LSTM: _recurrence,
    LocalResponseNorm: _response_norm,
}


def _stack_neighbors(frames, window, stride, padding):
    """The frames under each position of a window in time, stacked as channels.

    `"same"` padding adds black frames at both ends, as TensorFlow does. The result is
    (positions, height, width, window * channels).
    """
    # Slices with a stride in time would be simpler, but are slow in most runtimes. So `stride`
    # frames are grouped first, and windows consist of groups.
    count, height, width, channels = frames.shape
    positions = -(-count // stride) if padding == "same" else (count - window) // stride + 1
    groups = positions - 1 + -(-window // stride)
    missing = max((positions - 1) * stride + window - count, 0) if padding == "same" else 0
    before = missing // 2
    after = groups * stride - before - count
    if before > 0 or after > 0:
        frames = ops.pad(frames, ((before, max(after, 0)), (0, 0), (0, 0), (0, 0)))
    if after < 0:
        frames = frames[: groups * stride]
    if stride > 1:  # the frames of a group are stacked vertically, so that slices need no stride
        towers = ops.reshape(frames, (groups, stride * height, width, channels))
        phases = [towers[:, phase * height : (phase + 1) * height] for phase in range(stride)]
    else:
        phases = [frames]
    stacked = []
    for first in range(0, window, stride):
        members = phases[: window - first]
        group = members[0] if len(members) == 1 else ops.concatenate(members, axis=-1)
        stacked.append(group[first // stride : first // stride + positions])
    return stacked[0] if len(stacked) == 1 else ops.concatenate(stacked, axis=-1)
