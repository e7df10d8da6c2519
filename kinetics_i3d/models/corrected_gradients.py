"""Layers of Keras whose gradients TensorFlow computes wrongly on CPUs, with the correct ones."""

import sys

import keras
from keras import layers


@keras.saving.register_keras_serializable("kinetics_i3d")
class Conv3D(layers.Conv3D):
    """`keras.layers.Conv3D` with the correct kernel gradient in bfloat16 on CPUs.

    TensorFlow 2.21 computes the filter gradient of a 3D convolution in bfloat16 with oneDNN, which
    reads uninitialized memory if the input has more than one frame but fewer than the kernel: the
    values are often finite, differ between calls, and destroy a network within a few steps. Such
    layers compute that gradient in float32; everything else, including the outputs, is unchanged.
    """

    def convolution_op(self, inputs, kernel):
        if not self._gradient_is_wrong(inputs):
            return super().convolution_op(inputs, kernel)
        tf = sys.modules["tensorflow"]  # `models` imports no backend; Keras has loaded it
        shared = {"strides": (1, *self.strides, 1), "padding": self.padding.upper()}

        @tf.custom_gradient
        def convolve(x, filters):
            def gradient(upstream):
                of_inputs = tf.raw_ops.Conv3DBackpropInputV2(
                    input_sizes=tf.shape(x), filter=filters, out_backprop=upstream, **shared
                )
                of_filters = tf.raw_ops.Conv3DBackpropFilterV2(
                    input=tf.cast(x, tf.float32),
                    filter_sizes=tf.shape(filters),
                    out_backprop=tf.cast(upstream, tf.float32),
                    **shared,
                )
                return of_inputs, tf.cast(of_filters, filters.dtype)

            return tf.nn.conv3d(x, filters, **shared), gradient

        # `custom_gradient` needs a tensor, not a Keras variable.
        return convolve(inputs, tf.cast(tf.convert_to_tensor(kernel), inputs.dtype))

    def _gradient_is_wrong(self, inputs):
        if self.compute_dtype != "bfloat16" or keras.backend.backend() != "tensorflow":
            return False
        plain = self.data_format == "channels_last" and self.groups == 1
        frames, length = inputs.shape[1], self.kernel_size[0]
        short = length > 1 if frames is None else 1 < frames < length
        tf = sys.modules["tensorflow"]
        return (
            plain
            and short
            and set(self.dilation_rate) == {1}
            and not tf.config.get_visible_devices("GPU")
        )


@keras.saving.register_keras_serializable("kinetics_i3d")
class MaxPooling3D(layers.MaxPooling3D):
    """`keras.layers.MaxPooling3D` whose gradient goes to one maximum of each window on CPUs too.

    TensorFlow 2.21 passes the gradient of a window on CPUs to each of several equal maxima. An
    overlapping pool repeats its maxima, so that a pool after it, as in `Mixed_4b`, would multiply
    gradients. The outputs are unchanged; the gradient is that of 2D pools over space and over time,
    which pass it to one maximum.
    """

    def call(self, inputs):
        if not self._gradient_is_wrong():
            return super().call(inputs)
        tf = sys.modules["tensorflow"]
        (frames, *size), (stride, *strides) = self.pool_size, self.strides
        padding = self.padding.upper()

        def pool_by_axes(clips):
            batch, length, height, width, channels = tf.unstack(tf.shape(clips))
            images = tf.reshape(clips, (batch * length, height, width, channels))
            images = tf.nn.max_pool2d(images, size, strides, padding)
            height, width = tf.unstack(tf.shape(images)[1:3])
            grid = tf.reshape(images, (batch, length, height * width, channels))
            grid = tf.nn.max_pool2d(grid, (frames, 1), (stride, 1), padding)
            return tf.reshape(grid, (batch, -1, height, width, channels))

        @tf.custom_gradient
        def pool(clips):
            def gradient(upstream):
                with tf.GradientTape() as tape:
                    tape.watch(clips)
                    pooled = pool_by_axes(clips)
                return tape.gradient(pooled, clips, upstream)

            return super(MaxPooling3D, self).call(clips), gradient

        return pool(inputs)

    def _gradient_is_wrong(self):
        if keras.backend.backend() != "tensorflow" or self.data_format != "channels_last":
            return False
        return not sys.modules["tensorflow"].config.get_visible_devices("GPU")


# Layers of Keras whose gradients this package corrects; files of earlier versions name Keras' own.
_CORRECTED = {layer.__name__: layer for layer in (Conv3D, MaxPooling3D)}


def with_corrected_layers(config):
    """The configuration with the layers of `_CORRECTED` instead of those of Keras."""
    if isinstance(config, dict):
        config = {key: with_corrected_layers(value) for key, value in config.items()}
        own = _CORRECTED.get(str(config.get("class_name")))
        if own is not None and config.get("module") == "keras.layers":
            name = keras.saving.get_registered_name(own)
            config |= {"module": own.__module__, "registered_name": name}
    elif isinstance(config, list):
        config = [with_corrected_layers(value) for value in config]
    return config
