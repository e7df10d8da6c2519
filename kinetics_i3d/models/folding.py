"""`fold`: a copy of a model for inference, with batch norm folded into the preceding kernels.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, section 3.2: gamma over the standard deviation scales the kernel; the rest is
a bias.
"""

import keras
import numpy as np
from keras import layers

from kinetics_i3d.models.clip_model import ClipModel

# Layers that the builders keep in float32 under every policy: sums over time and over streams.
EXACT = ("Snapshots", "Logits", "Predictions")
KERNELS = (layers.Conv2D, layers.Conv3D, layers.Dense)


def fold(model, policy="float32"):
    """Makes a faster copy of a model for inference.

    Args:
        model: A `ClipModel`; not changed.
        policy: The name of a Keras dtype policy, `"float32"` or `"mixed_bfloat16"`.

    Returns:
        A frozen `ClipModel` with the same layer names, in which folded batch norms are identities.
        Its weights match no architecture and cannot be saved: save `model` instead.
    """
    copy = _copy(model, policy)
    copy.trainable = False
    return copy


@keras.saving.register_keras_serializable("kinetics_i3d")
class Folded(layers.Layer):
    """Identity that replaces a folded batch norm under its name."""

    def call(self, inputs, training=None, mask=None):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def _copy(model, policy):
    """A folded copy of a model, and of its nested models, with another dtype policy."""
    norms = foldable(model)
    into = {kernel.name: norm for norm, kernel in norms.values()}
    exact = {*EXACT, *late_layers(model)}

    def clone(layer):
        if isinstance(layer, ClipModel):
            return _copy(layer, policy)
        config = layer.get_config()
        if not isinstance(layer, layers.Layer):  # an operation such as `ops.mean`
            return type(layer).from_config(config)
        dtype = "float32" if layer.name in exact else policy
        if layer.name in norms:
            return Folded(name=layer.name, dtype=dtype)
        if layer.name in into:
            config["use_bias"] = True
        return type(layer).from_config({**config, "dtype": dtype})

    graph = keras.models.clone_model(model, clone_function=clone)
    name = f"{model.architecture}, optimized"
    copy = model.copy_with(graph.input, graph.output, architecture=name)
    for layer in model.layers:
        if layer.name in into:
            copy.get_layer(layer.name).set_weights(folded(layer, into[layer.name]))
        elif layer.name not in norms and not isinstance(layer, ClipModel):
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def late_layers(model):
    """Names of the layers after the last spatial stride, except dense ones.

    They have 2 % of I3D's multiply-adds, and no later layer averages out their rounding errors, so
    a low-precision copy keeps them in float32.
    """

    def strided(layer):
        strides = getattr(layer, "strides", 1)
        return max(strides[-2:] if isinstance(strides, tuple) else [strides]) > 1

    last = max((index for index, layer in enumerate(model.layers) if strided(layer)), default=None)
    late = [] if last is None else model.layers[last + 1 :]
    return [layer.name for layer in late if not isinstance(layer, layers.Dense)]


def foldable(model):
    """The batch norms that can be folded: the only readers of a layer without an activation.

    Returns:
        {name of the batch norm: (batch norm, the convolution or dense layer before it)}.
    """
    plain = [layer for layer in model.layers if not hasattr(layer, "layers")]
    makers = {
        id(layer.output): layer
        for layer in plain
        if isinstance(layer, KERNELS) and layer.activation is keras.activations.linear
    }
    read = [id(tensor) for tensor in keras.tree.flatten(model.output)]
    for operation in model.operations:
        if not hasattr(operation, "layers"):
            read += {id(tensor) for tensor in keras.tree.flatten(operation.input)}
    return {
        layer.name: (layer, makers[id(layer.input)])
        for layer in plain
        if isinstance(layer, layers.BatchNormalization)
        and id(layer.input) in makers
        and read.count(id(layer.input)) == 1
        and layer.axis in (-1, len(layer.input.shape) - 1)
    }


def folded(layer, norm=None):
    """[kernel, bias], float32, equivalent to a layer followed by a batch norm, if there is one."""
    kernel, bias = _value(layer.kernel), _value(layer.bias)
    if norm is not None:
        scale, offset = scale_and_offset(norm)
        kernel, bias = kernel * scale, bias * scale + offset
    elif layer.bias is None:
        bias = np.zeros(kernel.shape[-1])
    return [kernel.astype(np.float32), bias.astype(np.float32)]


def scale_and_offset(norm):
    """The factor and the summand, float64 (channels,), that a batch norm is at inference."""
    scale = _value(norm.gamma, 1.0) / np.sqrt(_value(norm.moving_variance) + norm.epsilon)
    return scale, _value(norm.beta) - _value(norm.moving_mean) * scale


def _value(variable, default=0.0):
    return default if variable is None else np.asarray(variable.numpy(), np.float64)
