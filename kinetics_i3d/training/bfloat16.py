"""A workaround for wrong gradients of bfloat16 convolutions on CPUs.

TensorFlow 2.21 computes the filter gradient of a 3D convolution in bfloat16 with oneDNN. Where the
clip is shorter than the kernel at that layer, and longer than one step, the result is read from
uninitialized memory: the values are often finite, differ between calls, and destroy the network
within a few steps. Measured: kernel 3 at 2 steps, kernel 5 at 2 to 4, kernel 7 at 2 and 3; correct
from there on.
"""

import keras


def use_float32_where_bfloat16_is_wrong(model, clip_shape):
    """Makes the affected convolutions of a model compute in float32.

    Models of another precision, or on an accelerator, are unchanged.

    Args:
        model: A functional model of clips.
        clip_shape: (frames, height, width) of the training clips, or {stream: shape}.

    Returns:
        The names of the changed layers.
    """
    changed: list[str] = []
    shapes = clip_shape if isinstance(clip_shape, dict) else {None: clip_shape}
    inputs = model.input if isinstance(model.input, dict) else {None: model.input}
    for layer in model.layers:
        # The networks of single streams. Those of images have rank 4 and no time axis.
        if hasattr(layer, "layers") and len(layer.input_shape) == 5:
            stream = layer.name.removesuffix("_stream")
            changed += use_float32_where_bfloat16_is_wrong(layer, shapes[stream])
    input_shapes = {
        stream: (1, *shapes[stream], tensor.shape[-1]) for stream, tensor in inputs.items()
    }
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv3D) and layer.compute_dtype == "bfloat16"
    ]
    if not convolutions or _is_on_accelerator():
        return changed
    # The number of steps at a layer depends on all layers before it; Keras knows the rules.
    to_inputs = keras.Model(model.input, [layer.input for layer in convolutions])
    layer_shapes = to_inputs.compute_output_shape(input_shapes.get(None, input_shapes))
    for layer, shape in zip(convolutions, layer_shapes, strict=True):
        # At one step oneDNN takes another path, which is correct.
        if 1 < shape[1] < layer.kernel_size[0]:
            layer.dtype_policy = "float32"
            changed.append(layer.name)
    return changed


def _is_on_accelerator():
    import tensorflow as tf

    # GPUs use cuDNN, and other backends do not use oneDNN's filter gradient.
    return keras.backend.backend() != "tensorflow" or bool(tf.config.list_physical_devices("GPU"))
