"""`fold`: a copy of a model for serving, its batch norms folded into the kernels before them.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, section 3.2: kernel times gamma over the deviation, what remains as a bias.
"""

import keras
import numpy as np
from keras import layers

from kinetics_i3d.models.clip_model import ClipModel

# What the builders, too, compute in float32 whatever the policy: sums over time and over streams.
EXACT = ("Snapshots", "Logits", "Predictions")
KERNELS = (layers.Conv2D, layers.Conv3D, layers.Dense)


def fold(model, policy="float32"):
    """Makes a copy of a model that answers alike and sooner, and is not for training.

    Args:
        model: A `ClipModel`; it stays as it is.
        policy: The name of a Keras dtype policy, `"float32"` or `"mixed_bfloat16"`.

    Returns:
        A `ClipModel` with the same layers' names, where folded batch norms do nothing. It is
        frozen, and its weights are of no architecture: save the model that it was made from.
    """
    copy = _copy(model, policy)
    copy.trainable = False
    return copy


@keras.saving.register_keras_serializable("kinetics_i3d")
class Folded(layers.Layer):
    """Stands where a batch norm was, under its name, and does nothing."""

    def call(self, inputs, training=None, mask=None):
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape


def _copy(model, policy):
    """The model over again, folded, in another policy; those inside likewise."""
    norms = foldable(model)
    into = {kernel.name: norm for norm, kernel in norms.values()}
    exact = {*EXACT, *late_layers(model)}

    def clone(layer):
        if isinstance(layer, ClipModel):
            return _copy(layer, policy)
        config = layer.get_config()
        if not isinstance(layer, layers.Layer):  # `ops.mean` and its like
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
    """The layers after the last one with a stride in space, but dense ones.

    They have 2 % of I3D's multiply-adds. No layer after them averages out their rounding errors, so
    a copy of low precision keeps them in float32.

    Args:
        model: A functional model.

    Returns:
        A list of names.
    """

    def strided(layer):
        strides = getattr(layer, "strides", 1)
        return max(strides[-2:] if isinstance(strides, tuple) else [strides]) > 1

    last = max((place for place, layer in enumerate(model.layers) if strided(layer)), default=None)
    late = [] if last is None else model.layers[last + 1 :]
    return [layer.name for layer in late if not isinstance(layer, layers.Dense)]


def foldable(model):
    """The batch norms that alone read a convolution or a dense layer without an activation.

    Args:
        model: A functional model.

    Returns:
        {name of the norm: (norm, the layer before it)}.
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


def folded(layer, norm):
    """[kernel, bias] that do what a layer and the batch norm after it do together.

    Args:
        layer: A convolution or a dense layer.
        norm: Its `BatchNormalization`.

    Returns:
        Two float32 arrays.
    """

    def value(variable, otherwise=0.0):
        return otherwise if variable is None else np.asarray(variable.numpy(), np.float64)

    scale = value(norm.gamma, 1.0) / np.sqrt(value(norm.moving_variance) + norm.epsilon)
    bias = value(norm.beta) + (value(layer.bias) - value(norm.moving_mean)) * scale
    return [(value(layer.kernel) * scale).astype(np.float32), bias.astype(np.float32)]
