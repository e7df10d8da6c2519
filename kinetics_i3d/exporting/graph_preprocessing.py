"""Preprocessing of raw frames and 8-bit flow by a `ClipSpec`, as TensorFlow operations.

`video.painter` does the same with swscale: the same size, the same crop, triangle filters that
widen as they shrink, and pixels that are rounded before they are scaled. `check_clips` adds
assertions on the inputs.
"""

from kinetics_i3d.models.clip_model import fixed_size

# Kernels of `ScaleAndTranslate` by interpolation: (to shrink, to enlarge).
_KERNELS = {"bilinear": ("triangle", "triangle"), "area_cubic": ("box", "keyscubic")}


def require(condition, message, received):
    """An assertion in a graph for `tf.control_dependencies`; the error shows `received`."""
    import tensorflow as tf

    return tf.debugging.Assert(condition, [f"{message} Received:", received], summarize=16)


def check_clips(clips, model):
    """{stream: clips} with assertions on rank, channels, and numbers of frames and videos.

    The clips (batch, frames, height, width, channels) contain pixels or scaled values. Evaluating
    an invalid clip fails with a one-line message.
    """
    import tensorflow as tf

    clips = {
        stream: _check_rank(clip, stream, model.clip_specs[stream])
        for stream, clip in clips.items()
    }
    shapes = {stream: tf.shape(clip) for stream, clip in clips.items()}
    checks = []
    for stream, shape in shapes.items():
        spec, minimum = model.clip_specs[stream], model.minimums[stream][0]
        layout = f"{stream} must be (batch, frames, height, width, {spec.channels})."
        checks.append(require(shape[4] == spec.channels, layout, shape))
        checks.append(require(tf.reduce_all(shape > 0), f"{stream} must not be empty.", shape))
        frames = fixed_size(model, stream)[0]
        if frames is None:
            text = f"{stream} must have {minimum} frames or more."
            checks.append(require(shape[1] >= minimum, text, shape))
        else:
            text = f"{stream} must have {frames} frames."
            checks.append(require(shape[1] == frames, text, shape))
    if len(clips) > 1:
        rgb, flow = shapes["rgb"], shapes["flow"]
        ratio = round(model.clip_specs["flow"].fps / model.clip_specs["rgb"].fps)
        both = tf.stack([rgb, flow])
        times = f"flow must have {ratio} times the frames of rgb."
        checks.append(require(flow[1] == ratio * rgb[1], times, both))
        checks.append(require(flow[0] == rgb[0], "flow and rgb must be of the same videos.", both))
    with tf.control_dependencies(checks):
        return {stream: tf.identity(clip) for stream, clip in clips.items()}


def _check_rank(clip, stream, spec):
    import tensorflow as tf

    # The shape of a signature is not enforced, but assertions that it implies are optimized away.
    # This check is not. Its error shows the shapes and the name of the operation, which is the
    # message.
    name = f"{stream}_must_be_batch_frames_height_width_{spec.channels}"
    return tf.ensure_shape(clip, [None] * 5, name=name)


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
    after = resized_size(before[0], before[1], spec)
    narrow = f"rgb must be {size} pixels or wider when it is {spec.short_side} high."
    with tf.control_dependencies([require(tf.reduce_all(after >= size), narrow, shape)]):
        images = tf.reshape(frames, tf.concat([[-1], before, [spec.channels]], axis=0))
    corner = (after - size) // 2

    def resize(kernel):
        # Only the crop is computed, not the rest of the picture.
        return tf.raw_ops.ScaleAndTranslate(
            images=images,
            size=[size, size],
            scale=tf.cast(after / before, tf.float32),
            translation=-tf.cast(corner, tf.float32),
            kernel_type=kernel,
            antialias=True,
        )

    shrink, enlarge = _KERNELS[spec.interpolation]
    if shrink == enlarge:
        pixels = resize(shrink)
    else:
        shrinks = tf.reduce_prod(after) < tf.reduce_prod(before)
        pixels = tf.cond(shrinks, lambda: resize(shrink), lambda: resize(enlarge))
    # Decoders return integers from 0 to 255, on which the network was trained.
    pixels = tf.clip_by_value(tf.round(pixels), 0.0, 255.0)
    return scale_pixels(tf.reshape(pixels, (-1, shape[1], size, size, spec.channels)), spec)


def quantized_flow_to_clips(flow, spec):
    """Crops and scales 8-bit optical flow, as returned by `quantize_flow`.

    Flow is in pixels of the resized frames, so it must not be resized: it has to be computed from
    frames resized by the spec, cropped or not.

    Args:
        flow: uint8 tensor (batch, frames, height, width, 2), x then y.
        spec: The `ClipSpec` of the flow stream.

    Returns:
        float32 tensor (batch, frames, spec.size, spec.size, 2).
    """
    import tensorflow as tf

    size, shape = spec.size, tf.shape(flow)
    before = shape[2:4]
    same = tf.reduce_all(resized_size(before[0], before[1], spec) == before)
    text = (
        f"flow must be computed between frames resized as {spec.name} says (short_side="
        f"{spec.short_side}, resize={spec.resize}), whole or cropped to {size} x {size}."
    )
    whole, crop = same & tf.reduce_all(before >= size), tf.reduce_all(before == size)
    with tf.control_dependencies([require(whole | crop, text, shape)]):
        top, left = tf.unstack((before - size) // 2)
    pixels = flow[:, :, top : top + size, left : left + size]
    pixels = tf.ensure_shape(tf.cast(pixels, tf.float32), (None, None, size, size, spec.channels))
    return scale_pixels(pixels, spec)


def resized_size(height, width, spec):
    """`core.clip_spec.resized` of scalar int32 tensors: an int32 tensor (2,)."""
    import tensorflow as tf

    short = spec.short_side
    if spec.resize == "stretch":
        return tf.constant([short, short])
    if spec.resize == "height":
        return tf.stack([short, tf.maximum(2, width * short // height // 2 * 2)])
    smaller = tf.minimum(height, width)
    return tf.stack([(2 * side * short + smaller) // (2 * smaller) for side in (height, width)])


def scale_pixels(pixels, spec):
    """Maps pixels from 0 to 255 to the range of a spec."""
    return pixels * ((spec.high - spec.low) / 255.0) + spec.low
