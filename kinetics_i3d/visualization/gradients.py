"""`probed_model`, `backward`: the gradient of a class at an activation, on every Keras backend."""

import contextvars
import weakref

import keras
import numpy as np
from keras import ops

from kinetics_i3d.models.corrected_gradients import MaxPooling3D
from kinetics_i3d.models.load import feature_model

# {model: {(stream, endpoint): its probed copy}}
_PROBED: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()

# What `_Probe` adds. A context of its own for each thread keeps callers apart.
_SHIFT: contextvars.ContextVar = contextvars.ContextVar("shift", default=None)


class _Probe(keras.layers.Layer):
    """Adds `_SHIFT`: the gradient with respect to it is that with respect to the activation."""

    def call(self, activation):
        shift = _SHIFT.get()
        return activation if shift is None else activation + shift


def probed_model(model, stream, endpoint):
    """A `keras.Model` of the same layers and a `_Probe`, from clips to [activation, logits]."""
    copies = _PROBED.setdefault(model, {})
    if (stream, endpoint) not in copies:
        network = model.streams[stream]
        _check_endpoint(network, endpoint)
        copy = _insert_probe(network, endpoint)
        copies[stream, endpoint] = copy if network is model else _replace(model, network, copy)
    return copies[stream, endpoint]


def _check_endpoint(network, endpoint):
    shape = feature_model(network, endpoint).output.shape
    if len(shape) != len(network.inputs[0].shape):
        raise ValueError(
            f"`endpoint` must be an activation with spatial axes. Received: endpoint={endpoint!r} "
            f"of shape={tuple(shape)}"
        )


def _insert_probe(network, endpoint):
    """A network with a `_Probe` after an activation, to [activation, output]."""
    activations: list = []

    def call(layer, *args, **kwargs):
        output = _corrected(layer)(*args, **kwargs)
        if layer.name == endpoint:
            activations.append(output)
            return _Probe()(output)
        return output

    copy = _copy_graph(network, call)
    return keras.Model(copy.input, [*activations, copy.output])


def _replace(model, network, copy):
    """A model whose nested `network` is replaced by its `copy`, to [activation, output]."""
    activations = []

    def call(layer, *args, **kwargs):
        if layer is not network:
            return _corrected(layer)(*args, **kwargs)
        activation, output = copy(*args, **kwargs)
        activations.append(activation)
        return output

    outer = _copy_graph(model, call)
    return keras.Model(outer.input, [*activations, outer.output])


def _corrected(layer):
    """The package's own pool for one of Keras, whose gradient is wrong on CPUs."""
    is_plain = type(layer) is keras.layers.MaxPooling3D
    return MaxPooling3D.from_config(layer.get_config()) if is_plain else layer


def _copy_graph(model, call):
    """A model of the same layers, each run by `call(layer, *args, **kwargs)`."""
    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def backward(probed, clips, index):
    """(activation, logits, gradient of a logit, by default the highest) as float32 arrays."""
    shapes = keras.tree.map_structure(np.shape, clips)
    shape, _ = probed.compute_output_shape(shapes)

    def run(shift):
        token = _SHIFT.set(shift)
        try:
            activation, logits = probed(clips, training=False)
        finally:
            _SHIFT.reset(token)
        score = ops.max(logits) if index is None else logits[0, index]
        return score, (activation, logits)

    shift = ops.zeros(shape, probed.output[0].dtype)
    arrays = _GRADIENTS[keras.backend.backend()](run, shift)
    activation, logits, gradient = (
        np.asarray(ops.convert_to_numpy(ops.cast(array, "float32"))) for array in arrays
    )
    return activation, logits[0], gradient


def _tensorflow_gradient(run, shift):
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(shift)
        score, outputs = run(shift)
    return *outputs, tape.gradient(score, shift)


def _jax_gradient(run, shift):
    import jax

    gradient, outputs = jax.grad(run, has_aux=True)(shift)
    return *outputs, gradient


def _torch_gradient(run, shift):
    import torch

    score, outputs = run(shift.requires_grad_())
    (gradient,) = torch.autograd.grad(score, shift)
    return *(output.detach() for output in outputs), gradient


_GRADIENTS = {
    "tensorflow": _tensorflow_gradient,
    "jax": _jax_gradient,
    "torch": _torch_gradient,
}
