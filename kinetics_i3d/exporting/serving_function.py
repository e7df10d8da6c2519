"""Raw frames to logits as one TensorFlow function, for formats without TensorFlow's resize.

It consists of basic operations: no assertions, no strings, no resize operation. Frames are resized
by matrix products; a row of a matrix contains the filter weights of an output pixel, with the
filters of `graph_preprocessing`. Clips that a model cannot read are refused by a reshape that
fails. Runtimes report the name of the failed operation, so its name is the message.
"""

import re

from kinetics_i3d.exporting.graph_preprocessing import resized_size, scale_pixels
from kinetics_i3d.inference.quantize import clips_function
from kinetics_i3d.models.clip_model import fixed_size


def serving_function(model):
    """The model as a function of raw frames, and its signature.

    Returns:
        (`tf.function`, list of `tf.TensorSpec`): uint8 (batch, frames, height, width, channels) of
        any size, one argument per stream and named by it, to {"logits", "probabilities"}.
    """
    import tensorflow as tf

    network, _ = clips_function(model)
    preprocessing, signature = pixels_function(model)

    def predict(*frames):
        clips = preprocessing.python_function(*frames)
        return network.python_function(*clips.values())

    return tf.function(predict, input_signature=signature, autograph=False), signature


def pixels_function(model):
    """The part of `serving_function` from frames to {"<stream>_clips": float32 clips}."""
    import tensorflow as tf

    def preprocess(*frames):
        clips = {}
        for stream, pixels in _guarded(dict(zip(specs, frames, strict=True)), model).items():
            to_clips = resize_matmul if stream == "rgb" else crop_quantized_flow
            clip = to_clips(pixels, specs[stream])
            shape = (None, fixed_size(model, stream)[0], *clip.shape[2:])
            clips[f"{stream}_clips"] = tf.ensure_shape(clip, shape)
        return clips

    specs, signature = model.clip_specs, []
    for stream, spec in specs.items():
        shape = (None, fixed_size(model, stream)[0], None, None, spec.channels)
        signature.append(tf.TensorSpec(shape, tf.uint8, name=stream))
    return tf.function(preprocess, input_signature=signature, autograph=False), signature


def _guarded(frames, model):
    """{stream: pixels}, each reshaped by an operation that fails for clips of a wrong size."""
    import tensorflow as tf

    sizes = {stream: tf.shape(pixels) for stream, pixels in frames.items()}
    guarded = {}
    for stream, pixels in frames.items():
        spec, size = model.clip_specs[stream], sizes[stream]
        checks = {}
        if fixed_size(model, stream)[0] is None:
            minimum = model.minimums[stream][0]
            checks[f"must have {minimum} frames or more"] = size[1] >= minimum
        if stream == "flow":
            # In pixels of the resized frames, which would be others in frames of another size.
            text = f"must be of frames resized to {spec.short_side} or their {spec.size} crop"
            whole = tf.reduce_all(resized_size(size[2], size[3], spec) == size[2:4])
            whole = tf.logical_and(whole, tf.reduce_all(size[2:4] >= spec.size))
            checks[text] = tf.logical_or(whole, tf.reduce_all(size[2:4] == spec.size))
        elif spec.resize == "height":  # resized by its short side, a picture is never too narrow
            after = resized_size(tf.maximum(size[2], 1), size[3], spec)
            text = f"must be {spec.size} pixels or wider when it is {spec.short_side} high"
            checks[text] = tf.reduce_all(after >= spec.size)
        if stream == "flow" and "rgb" in sizes:
            ratio = round(spec.fps / model.clip_specs["rgb"].fps)
            text = f"must have {ratio} times the frames of rgb"
            checks[text] = size[1] == ratio * sizes["rgb"][1]
            checks["must be of as many videos as rgb"] = size[0] == sizes["rgb"][0]
        # One reshape for all: optimizers merge reshapes that follow each other.
        text = f"{stream} {' and '.join(checks)}"
        holds = tf.reduce_all(tf.stack([*checks.values()])) if checks else None
        guarded[stream] = pixels if holds is None else _refuse_unless(holds, pixels, size, text)
    return guarded


def _refuse_unless(holds, pixels, size, text):
    """The pixels, reshaped by an operation named `text` that fails if the condition is false."""
    import tensorflow as tf

    # All runtimes refuse negative sizes other than -1.
    shape = tf.where(holds, size, tf.fill([len(pixels.shape)], -2))
    guarded = tf.reshape(pixels, shape, name=re.sub(r"\W+", "_", text))
    guarded.set_shape(pixels.shape)
    return guarded


def resize_matmul(frames, spec):
    """Resizes, crops and scales frames of any size by matrix products.

    Args:
        frames: uint8 tensor (batch, frames, height, width, 3), RGB.
        spec: The `ClipSpec` of the model.

    Returns:
        float32 tensor (batch, frames, spec.size, spec.size, 3), `spec.low` to `spec.high`.
    """
    import tensorflow as tf

    size, shape = spec.size, tf.shape(frames)
    before = tf.unstack(shape[2:4])
    after = tf.unstack(resized_size(before[0], before[1], spec))
    shrinks = after[0] * after[1] < before[0] * before[1]
    rows, columns = (
        _filter_matrix(*sides, size, shrinks=shrinks, interpolation=spec.interpolation)
        for sides in zip(before, after, strict=True)
    )
    # Height first: (images, height, width * channels). Then width: (images * size * channels,
    # width). These are two large products instead of many small ones.
    pixels = tf.reshape(tf.cast(frames, tf.float32), (-1, before[0], before[1] * spec.channels))
    pixels = tf.reshape(tf.matmul(rows, pixels), (-1, before[1], spec.channels))
    pixels = tf.reshape(tf.transpose(pixels, (0, 2, 1)), (-1, before[1]))
    pixels = tf.matmul(pixels, columns, transpose_b=True)
    pixels = tf.transpose(tf.reshape(pixels, (-1, spec.channels, size)), (0, 2, 1))
    # Decoders return integers from 0 to 255, on which the network was trained.
    pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    return scale_pixels(tf.reshape(pixels, (-1, shape[1], size, size, spec.channels)), spec)


def crop_quantized_flow(flow, spec):
    """Crops and scales 8-bit flow (batch, frames, height, width, 2) of resized frames."""
    import tensorflow as tf

    shape, size = tf.shape(flow), spec.size
    top, left = tf.unstack((shape[2:4] - size) // 2)
    crop = tf.cast(flow[:, :, top : top + size, left : left + size], tf.float32)
    return scale_pixels(tf.reshape(crop, (-1, shape[1], size, size, spec.channels)), spec)


def _filter_matrix(before, after, size, *, shrinks, interpolation):
    """The middle `size` rows of the (after, before) matrix that resizes a row of pixels.

    `before`, `after` and `shrinks` (whether the picture becomes smaller) are scalar tensors. The
    rows of the float32 result (size, before) sum to 1.
    """
    import tensorflow as tf

    # Distances are in whole numbers, where a pixel of the frame is `2 * after` wide: bfloat16,
    # which runtimes may choose, cannot represent a position such as 200.5.
    centers = (2 * (tf.range(size) + (after - size) // 2) + 1) * before
    positions = (2 * tf.range(before) + 1) * after
    pixel, wider = 2 * after, 2 * tf.maximum(before, after)
    distance = tf.abs(positions[None] - centers[:, None])
    if interpolation == "bilinear":
        weights = tf.cast(tf.maximum(0, wider - distance), tf.float32)
    else:
        # The overlap of the pixels; a binary test would depend on rounding at the edges.
        overlap = tf.clip_by_value(wider + pixel - 2 * distance, 0, 2 * pixel)
        x = tf.cast(distance, tf.float32) / tf.cast(wider, tf.float32)
        near = ((1.5 * x - 2.5) * x) * x + 1.0  # Keys' cubic, a = -0.5
        far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
        cubic = tf.where(x < 1.0, near, tf.where(x < 2.0, far, 0.0))
        weights = tf.where(shrinks, tf.cast(overlap, tf.float32), cubic)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
