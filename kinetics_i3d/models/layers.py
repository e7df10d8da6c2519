"""Layers and blocks of 2D Inception-V1 and its 3D inflation, for any rank.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015; Ioffe & Szegedy, ICML 2015.
"""

import contextlib
from collections.abc import Iterator

import keras
from keras import layers, ops

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.types import check_fraction
from kinetics_i3d.models.corrected_gradients import Conv3D, MaxPooling3D

# Passed to every layer, since ~/.keras/keras.json may set another default.
CHANNELS_LAST = "channels_last"
CONV = {2: layers.Conv2D, 3: Conv3D}
MAX_POOL = {2: layers.MaxPooling2D, 3: MaxPooling3D}
BATCH_NORM_MOMENTUM = 0.999  # Sonnet's decay; Keras' default is 0.99


@keras.saving.register_keras_serializable("kinetics_i3d")
class LocalResponseNorm(layers.Layer):
    """Local response normalization across channels.

    Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks", 2012, with
    the constants of Google's 2014 network. The window sum is a product with a banded matrix, which
    is fast on every backend and for any rank.

    Args:
        radius: Neighboring channels on each side.
        bias, alpha, beta: `x / (bias + alpha * sum(x ** 2)) ** beta`.

    Returns:
        A tensor of the input's shape, (batch, ..., channels).
    """

    def __init__(self, radius=5, bias=2.0, alpha=1e-4, beta=0.5, **kwargs):
        super().__init__(**kwargs)
        self.radius, self.bias, self.alpha, self.beta = radius, bias, alpha, beta

    def call(self, inputs):
        channel = ops.arange(inputs.shape[-1])
        near = ops.abs(channel[:, None] - channel[None, :]) <= self.radius
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        if dtype == "float16":  # squares would overflow from 256 on
            inputs = ops.cast(inputs, "float32")
        energy = ops.matmul(ops.square(inputs), ops.cast(near, inputs.dtype))
        base = self.bias + self.alpha * energy
        if self.beta == 0.5:  # the default; on CPUs a root is far cheaper than a power
            return ops.cast(inputs * ops.rsqrt(base), dtype)
        return ops.cast(inputs / ops.power(base, self.beta), dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        constants = {key: getattr(self, key) for key in ("radius", "bias", "alpha", "beta")}
        return {**super().get_config(), **constants}


def check_backend(purpose, error=UserError, otherwise=""):
    """Raises an error unless TensorFlow is the backend of Keras.

    Args:
        purpose: What requires it, the first words of the message, such as `"training"`.
        error: The class of the error.
        otherwise: Further advice, the last words of the message.
    """
    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise error(
            f"{purpose} requires Keras' TensorFlow backend, but the backend is {backend}; "
            f"unset KERAS_BACKEND{otherwise}"
        )


@contextlib.contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Sets the dtype policy of the layers that are built in a `with` block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def batch_norm_of(name):
    """The batch norm of all systems, without scale, which the next kernel makes redundant."""
    return layers.BatchNormalization(
        scale=False,
        momentum=BATCH_NORM_MOMENTUM,
        epsilon=1e-3,
        name=name,
    )


def set_batch_norm_momentum(model, momentum):
    """Sets the decay of the moving statistics in a model and its nested networks."""
    check_fraction("batch_norm_momentum", momentum, with_1=False)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = momentum
        elif hasattr(layer, "layers"):
            set_batch_norm_momentum(layer, momentum)


def dropout_of(rate, *, name):
    """A dropout layer; `ValueError` for a rate outside 0 to 1."""
    return layers.Dropout(check_fraction("dropout", rate), name=name)


def conv_unit(
    x, name, filters, kernel, *, stride=1, rank, batch_norm, initializer="glorot_uniform"
):
    """Convolution, batch norm (or a bias) and a ReLU, which has the name of the unit."""
    x = CONV[rank](
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer=initializer,
        data_format=CHANNELS_LAST,
        name=f"{name}_conv",
    )(x)
    if batch_norm:
        x = batch_norm_of(f"{name}_bn")(x)
    return layers.ReLU(name=name)(x)


def mixed_module(x, name, filters, *, third_kernel, rank, batch_norm):
    """An Inception module: four branches, concatenated along the channels.

    Args:
        x: (batch, [frames,] height, width, channels).
        name: Name of the module, such as `"Mixed_3b"`.
        filters: Six numbers: 1x1 | reduce, 3x3 | reduce, third | pool projection.
        third_kernel: 3 in the released I3D, 5 in the network of 2014.
        rank: 2 or 3.
        batch_norm: Whether units have batch norm; otherwise they have biases.

    Returns:
        The concatenated activation, of the size of `x` in time and space.
    """
    reduce_1, reduce_3, three, reduce_5, third, projection = filters

    def unit(x, branch, letter, filters, kernel):
        # The release names this unit 0a; every other module has 0b.
        if (name, branch, rank, third_kernel, letter) == ("Mixed_5b", 2, 3, 3, "b"):
            letter = "a"
        unit_name = f"{name}_Branch_{branch}_Conv{rank}d_0{letter}_{kernel}x{kernel}"
        return conv_unit(x, unit_name, filters, kernel, rank=rank, batch_norm=batch_norm)

    pooled = MAX_POOL[rank](
        3,
        strides=1,
        padding="same",
        data_format=CHANNELS_LAST,
        name=f"{name}_Branch_3_MaxPool{rank}d_0a_3x3",
    )(x)
    branches = [
        unit(x, 0, "a", reduce_1, 1),
        unit(unit(x, 1, "a", reduce_3, 1), 1, "b", three, 3),
        unit(unit(x, 2, "a", reduce_5, 1), 2, "b", third, third_kernel),
        unit(pooled, 3, "b", projection, 1),
    ]
    return layers.Concatenate(name=name)(branches)


def pool_features(x, pooling):
    """The output of a model without a classifier: the grid, or its mean or maximum per channel."""
    rank = len(x.shape) - 2
    averages = (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)
    maxima = (layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D)
    pools = {
        None: lambda **_: lambda grid: grid,
        "avg": (*averages, layers.GlobalAveragePooling3D)[rank - 1],
        "max": (*maxima, layers.GlobalMaxPooling3D)[rank - 1],
    }
    if pooling not in pools:
        raise ValueError(f"`pooling` must be one of {tuple(pools)}. Received: pooling={pooling!r}")
    return pools[pooling](data_format=CHANNELS_LAST, name="features")(x)


@keras.saving.register_keras_serializable("kinetics_i3d")
class StackFrames(layers.Layer):
    """Cuts clips into stacks of frames, whose channels become those of one image.

    Args:
        frames: Frames of a stack. 2 channels in 10 frames become 20: x0, y0, x1, y1, ...

    Returns:
        (batch * stacks, height, width, frames * channels) of clips (batch, stacks * frames, height,
        width, channels).
    """

    def __init__(self, frames=1, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, clips):
        _, _, height, width, channels = ops.shape(clips)
        images = ops.reshape(clips, (-1, self.frames, height, width, channels))
        if self.frames > 1:
            images = ops.transpose(images, (0, 2, 3, 1, 4))
        return ops.reshape(images, (-1, height, width, self.frames * clips.shape[-1]))

    def compute_output_shape(self, input_shape):
        batch, frames, height, width, channels = input_shape
        is_fixed = batch is not None and frames is not None
        count = batch * frames // self.frames if is_fixed else None
        return count, height, width, self.frames * channels

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}


@keras.saving.register_keras_serializable("kinetics_i3d")
class UnstackFrames(layers.Layer):
    """Restores the time axis of the outputs of an image network on stacks of frames.

    Args:
        frames: Frames of a stack, as in the `StackFrames` before the network.

    Returns:
        (batch, stacks, ...) from `[images, clips]`: outputs (batch * stacks, ...) and the clips
        that the stacks were cut from.
    """

    def __init__(self, frames=1, **kwargs):
        super().__init__(**kwargs)
        self.frames = frames

    def call(self, inputs):
        images, clips = inputs
        stacks = ops.shape(clips)[1] // self.frames
        return ops.reshape(images, (-1, stacks, *ops.shape(images)[1:]))

    def compute_output_shape(self, input_shape):
        images, clips = input_shape
        stacks = None if clips[1] is None else clips[1] // self.frames
        return clips[0], stacks, *images[1:]

    def get_config(self):
        return {**super().get_config(), "frames": self.frames}


def per_stack(network, clips, *, stream, frames=1):
    """Runs an image network on every stack of frames of clips.

    Args:
        network: A network of images with `frames * channels` channels.
        clips: Keras tensor (batch, stacks * frames, height, width, channels).
        stream: `"rgb"` or `"flow"`, for the layers' names.
        frames: Frames of a stack.

    Returns:
        Keras tensor (batch, stacks, ...).
    """
    images = StackFrames(frames, name=f"{stream}_stacks")(clips)
    return UnstackFrames(frames, name=f"{stream}_steps")([network(images), clips])
