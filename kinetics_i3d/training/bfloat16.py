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
        clip: (frames, height, width) of the clips that it will be trained on, of a model of two
            streams {stream: ...}.

    Returns:
        The names of the layers that were changed.
    """
    changed: list = []
    clips = clip if isinstance(clip, dict) else {None: clip}
    inputs = model.input if isinstance(model.input, dict) else {None: model.input}
    for layer in model.layers:
        # A stream of clips inside; those of images have no time.
        if hasattr(layer, "layers") and len(layer.input_shape) == 5:
            changed += keep_gradients_right(layer, clips[layer.name.removesuffix("_stream")])
    shapes = {stream: (1, *clips[stream], given.shape[-1]) for stream, given in inputs.items()}
    convolutions = [
        layer
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv3D) and layer.compute_dtype == "bfloat16"
    ]
    if not convolutions or _on_accelerator():
        return changed
    reading = keras.Model(model.input, [layer.input for layer in convolutions])
    found = reading.compute_output_shape(shapes.get(None, shapes))
    short = [
        layer
        for layer, each in zip(convolutions, found, strict=True)
        if 1 < each[1] < layer.kernel_size[0]
    ]
    for layer in short:
        layer.dtype_policy = "float32"
    return [*changed, *(layer.name for layer in short)]


def _on_accelerator():
    import tensorflow as tf

    return keras.backend.backend() != "tensorflow" or bool(tf.config.list_physical_devices("GPU"))
