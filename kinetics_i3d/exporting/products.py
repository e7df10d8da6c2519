"""Raw frames to a model's clips by products with matrices, for formats without a resize of ours.

The same filters as in `exporting.graph_preprocessing`, which asks TensorFlow's `ScaleAndTranslate`
for them: a row of a matrix holds the weights of the pixels that one is made of.
"""

from kinetics_i3d.exporting.graph_preprocessing import resized_in_graph, scaled_in_graph


def frames_to_clips(frames, spec):
    """Resizes, crops and scales frames of any size.

    Args:
        frames: uint8 tensor (batch, frames, height, width, 3), RGB.
        spec: The `ClipSpec` of the model.

    Returns:
        float32 tensor (batch, frames, spec.size, spec.size, 3), `spec.low` to `spec.high`.
    """
    import tensorflow as tf

    size, shape = spec.size, tf.shape(frames)
    before = tf.unstack(shape[2:4])
    after = tf.unstack(resized_in_graph(before[0], before[1], spec))
    shrinks = after[0] * after[1] < before[0] * before[1]
    rows, columns = (
        filter_matrix(*sides, size, shrinks=shrinks, interpolation=spec.interpolation)
        for sides in zip(before, after, strict=True)
    )
    # Height first: (images, height, width * channels). Then width: (images * size * channels,
    # width), two large products in place of many small ones.
    pixels = tf.reshape(tf.cast(frames, tf.float32), (-1, before[0], before[1] * spec.channels))
    pixels = tf.reshape(tf.matmul(rows, pixels), (-1, before[1], spec.channels))
    pixels = tf.reshape(tf.transpose(pixels, (0, 2, 1)), (-1, before[1]))
    pixels = tf.matmul(pixels, columns, transpose_b=True)
    pixels = tf.transpose(tf.reshape(pixels, (-1, spec.channels, size)), (0, 2, 1))
    # Decoders give whole numbers, 0 to 255, and that is what the network has been shown.
    pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    return scaled_in_graph(tf.reshape(pixels, (-1, shape[1], size, size, spec.channels)), spec)


def codes_to_clips(codes, spec):
    """Crops and scales optical flow in 8 bits, of frames resized as the spec says.

    Args:
        codes: uint8 tensor (batch, frames, height, width, 2), x then y.
        spec: The `ClipSpec` of the flow stream.

    Returns:
        float32 tensor (batch, frames, spec.size, spec.size, 2).
    """
    import tensorflow as tf

    shape, size = tf.shape(codes), spec.size
    top, left = tf.unstack((shape[2:4] - size) // 2)
    crop = tf.cast(codes[:, :, top : top + size, left : left + size], tf.float32)
    return scaled_in_graph(tf.reshape(crop, (-1, shape[1], size, size, spec.channels)), spec)


def filter_matrix(before, after, size, *, shrinks, interpolation):
    """What the middle pixels of a resized row are made of.

    Args:
        before: Pixels of the row, a scalar int32 tensor.
        after: Pixels that it is resized to, likewise.
        size: How many of those are wanted, from the middle.
        shrinks: Scalar bool tensor: whether the picture becomes smaller.
        interpolation: That of a `ClipSpec`.

    Returns:
        float32 tensor (size, before), whose rows sum to 1.
    """
    import tensorflow as tf

    # Distances in whole numbers, a pixel of the frame being `2 * after` of them: bfloat16, which
    # runtimes may choose, knows no place such as 200.5.
    middles = (2 * (tf.range(size) + (after - size) // 2) + 1) * before
    places = (2 * tf.range(before) + 1) * after
    pixel, wider = 2 * after, 2 * tf.maximum(before, after)
    apart = tf.abs(places[None] - middles[:, None])
    away = tf.cast(apart, tf.float32) / tf.cast(wider, tf.float32)
    if interpolation == "bilinear":
        weights = tf.cast(tf.maximum(0, wider - apart), tf.float32)
    else:
        # How much of a pixel lies inside; all or nothing would hang on rounding at the edges.
        inside = tf.clip_by_value(wider + pixel - 2 * apart, 0, 2 * pixel)
        near = ((1.5 * away - 2.5) * away) * away + 1.0  # Keys' cubic, a = -0.5
        far = ((-0.5 * away + 2.5) * away - 4.0) * away + 2.0
        cubic = tf.where(away < 1.0, near, tf.where(away < 2.0, far, 0.0))
        weights = tf.where(shrinks, tf.cast(inside, tf.float32), cubic)
    return weights / tf.reduce_sum(weights, axis=1, keepdims=True)
