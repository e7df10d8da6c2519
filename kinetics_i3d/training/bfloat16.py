"""Keeps training in bfloat16 right on CPUs: some convolutions have to run in float32 there.

oneDNN's filter gradient of a 3D convolution in bfloat16, as TensorFlow 2.21 has it, is read from
memory that nobody wrote wherever the clip is shorter than the kernel at that layer, and longer than
one step. The values are often finite, differ from call to call, and destroy the network within some
steps. Measured: kernel 3 at 2 steps, kernel 5 at 2 to 4, kernel 7 at 2 and 3; right from there on.
"""

import keras


def keep_gradients_right(model, clip):
    """Lets the convolutions whose gradients would be wrong compute in float32.

    Does nothing to models of another precision, or where an accelerator trains.

    Args:
        model: A functional model of clips; changed.
        clip: (frames, height, width) of the clips that it will be trained on.

    Returns:
        The names of the layers that were changed.
    """
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv3D) and layer.compute_dtype == "bfloat16"
    ]
    if not convolutions or _on_accelerator():
        return []
    inputs = keras.Model(model.input, [layer.input for layer in convolutions])
    shapes = inputs.compute_output_shape((1, *clip, model.input_shape[-1]))
    short = [
        layer
        for layer, shape in zip(convolutions, shapes, strict=True)
        if 1 < shape[1] < layer.kernel_size[0]
    ]
    for layer in short:
        layer.dtype_policy = "float32"
    return [layer.name for layer in short]


def _on_accelerator():
    import tensorflow as tf

    return keras.backend.backend() != "tensorflow" or bool(tf.config.list_physical_devices("GPU"))
