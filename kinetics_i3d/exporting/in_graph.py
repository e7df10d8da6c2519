"""Raw frames to a model's clips as TensorFlow operations, the way a `ClipSpec` says.

What `video.picture` does with swscale, an exported graph has to do by itself: the same size, the
same crop, triangle filters that widen as they shrink, pixels rounded before they are scaled.
"""

# Of `ScaleAndTranslate`: (to shrink, to enlarge), by a spec's interpolation.
KERNELS = {"bilinear": ("triangle", "triangle"), "area_cubic": ("box", "keyscubic")}


def require(condition, text, value):
    """An assertion inside a graph: `text` says what would be right, `value` is what arrived.

    Args:
        condition: Scalar bool tensor.
        text: One line.
        value: A tensor that the error shows.

    Returns:
        The operation, for `tf.control_dependencies`.
    """
    import tensorflow as tf

    return tf.debugging.Assert(condition, [f"{text} Received:", value], summarize=16)


def check_clips(clips, model):
    """The clips behind assertions on their channels, their lengths and their number.

    Args:
        clips: {stream: tensor (batch, frames, height, width, channels)} of pixels or of values.
        model: The `ClipModel` that shall read them.

    Returns:
        The same tensors; where one is wrong, computing them fails in one readable line.
    """
    import tensorflow as tf

    clips = {
        stream: _of_rank_5(clip, stream, model.clip_specs[stream]) for stream, clip in clips.items()
    }
    shapes = {stream: tf.shape(clip) for stream, clip in clips.items()}
    checks = []
    for stream, shape in shapes.items():
        spec, least = model.clip_specs[stream], model.minimums[stream][0]
        layout = f"{stream} must be (batch, frames, height, width, {spec.channels})."
        checks.append(require(shape[4] == spec.channels, layout, shape))
        checks.append(require(tf.reduce_all(shape > 0), f"{stream} must not be empty.", shape))
        fixed = fixed_shape(model, stream)[0]
        if fixed is None:
            text = f"{stream} must have {least} frames or more."
            checks.append(require(shape[1] >= least, text, shape))
        else:
            checks.append(require(shape[1] == fixed, f"{stream} must have {fixed} frames.", shape))
    if len(clips) > 1:
        rgb, flow = shapes["rgb"], shapes["flow"]
        ratio = round(model.clip_specs["flow"].fps / model.clip_specs["rgb"].fps)
        both = tf.stack([rgb, flow])
        times = f"flow must have {ratio} times the frames of rgb."
        checks.append(require(flow[1] == ratio * rgb[1], times, both))
        checks.append(require(flow[0] == rgb[0], "flow and rgb must be of the same videos.", both))
    with tf.control_dependencies(checks):
        return {stream: tf.identity(clip) for stream, clip in clips.items()}


def _of_rank_5(clip, stream, spec):
    """The clips, refused where they have another number of axes; the batch is what is forgotten.

    A signature's shape is not enforced, yet assertions on what it promises are optimized away. This
    check remains; its error shows the shapes and, for words, the name of the operation.
    """
    import tensorflow as tf

    name = f"{stream}_must_be_batch_frames_height_width_{spec.channels}"
    return tf.ensure_shape(clip, [None] * 5, name=name)


def fixed_shape(model, stream):
    """The (frames, height, width) that a stream's input is fixed to, None where it is not."""
    given = model.input[stream] if isinstance(model.input, dict) else model.input
    return tuple(given.shape[1:4])


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
    before = shape[2:4]
    after = resized_in_graph(before[0], before[1], spec)
    narrow = f"rgb must be {size} pixels or wider when it is {spec.short_side} high."
    with tf.control_dependencies([require(tf.reduce_all(after >= size), narrow, shape)]):
        images = tf.reshape(frames, tf.concat([[-1], before, [spec.channels]], axis=0))
    corner = (after - size) // 2

    def draw(kernel):
        # Only the crop is computed, not the picture around it.
        return tf.raw_ops.ScaleAndTranslate(
            images=images,
            size=[size, size],
            scale=tf.cast(after / before, tf.float32),
            translation=-tf.cast(corner, tf.float32),
            kernel_type=kernel,
            antialias=True,
        )

    shrink, enlarge = KERNELS[spec.interpolation]
    if shrink == enlarge:
        pixels = draw(shrink)
    else:
        shrinks = tf.reduce_prod(after) < tf.reduce_prod(before)
        pixels = tf.cond(shrinks, lambda: draw(shrink), lambda: draw(enlarge))
    # Decoders give whole numbers, 0 to 255, and that is what the network has been shown.
    pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    return scaled_in_graph(tf.reshape(pixels, (-1, shape[1], size, size, spec.channels)), spec)


def codes_to_clips(codes, spec):
    """Crops and scales optical flow in 8 bits, as `quantize_flow` and flow files store it.

    Flow is counted in pixels of the resized frames. It cannot be resized, or it would be wrong.

    Args:
        codes: uint8 tensor (batch, frames, height, width, 2), x then y.
        spec: The `ClipSpec` of the flow stream.

    Returns:
        float32 tensor (batch, frames, spec.size, spec.size, 2).
    """
    import tensorflow as tf

    size, shape = spec.size, tf.shape(codes)
    before = shape[2:4]
    same = tf.reduce_all(resized_in_graph(before[0], before[1], spec) == before)
    text = (
        f"flow must be computed between frames resized as {spec.name} says (short_side="
        f"{spec.short_side}, resize={spec.resize}), whole or cropped to {size} x {size}."
    )
    whole, crop = same & tf.reduce_all(before >= size), tf.reduce_all(before == size)
    with tf.control_dependencies([require(whole | crop, text, shape)]):
        top, left = tf.unstack((before - size) // 2)
    pixels = codes[:, :, top : top + size, left : left + size]
    pixels = tf.ensure_shape(tf.cast(pixels, tf.float32), (None, None, size, size, spec.channels))
    return scaled_in_graph(pixels, spec)


def resized_in_graph(height, width, spec):
    """`core.clip_spec.resized` for sizes that only the request knows: an int32 tensor (2,)."""
    import tensorflow as tf

    short = spec.short_side
    if spec.resize == "stretch":
        return tf.constant([short, short])
    if spec.resize == "height":
        return tf.stack([short, tf.maximum(2, width * short // height // 2 * 2)])
    smaller = tf.minimum(height, width)
    return tf.stack([(2 * side * short + smaller) // (2 * smaller) for side in (height, width)])


def scaled_in_graph(pixels, spec):
    """Pixels, 0 to 255, in the range of a spec."""
    return pixels * ((spec.high - spec.low) / 255.0) + spec.low
