"""Random and deterministic transforms of clips; each function returns an op `(clip, seed) -> clip`.

A clip is {stream: tensor}: `"rgb"` (frames, height, width, 3), `"flow"` (frames, height, width, 2)
or both, of equal size; all streams are cropped and flipped alike. Flow is quantized to uint8, or
float32, where 0 is no motion. An op draws its random numbers once per clip, only from `seed`, two
int32 numbers: the same seed gives the same clip on every machine. Flipping negates the x of flow:
Carreira & Zisserman, CVPR 2017, section 2.5.
"""

import tensorflow as tf

from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import check_area


def compose(*ops):
    """Composes ops; each gets its own seed."""

    def op(clip, seed):
        seeds = tf.random.split(seed, num=len(ops), alg="philox")
        for index, step in enumerate(ops):
            clip = step(clip, seeds[index])
        return clip

    return op


def flow_values(flow):
    """Quantized flow as float32, -1 to 1 times the bound; floats are unchanged.

    Example:

    >>> flow_values(np.array([[0, 255]], np.uint8)).numpy()
    array([[-1.,  1.]], dtype=float32)
    """
    flow = tf.convert_to_tensor(flow)
    # Odd numbers over 255, as `dequantize_flow`.
    return (2 * tf.cast(flow, tf.float32) - 255) / 255 if flow.dtype == tf.uint8 else flow


def resize(height, width):
    """An op that resizes, bilinear and antialiased; flow is scaled with the frame."""

    def on_rgb(rgb):
        return tf.image.resize(rgb, (height, width), antialias=True)

    def on_flow(flow):
        before = tf.cast(tf.shape(flow)[1:3], tf.float32)
        after = tf.cast(tf.stack([width, height]), tf.float32)
        stretch = after / before[::-1]  # of x, of y
        return on_rgb(flow_values(flow)) * stretch

    def op(clip, seed):
        del seed
        return _by_stream(clip, on_rgb, on_flow)

    return op


def random_crop(size):
    """An op that cuts a square of `size` pixels at a random position; the paper's training crop."""

    def op(clip, seed):
        spare = tf.cast(_size(clip) - size, tf.float32)
        drawn = tf.random.stateless_uniform((2,), seed)
        top, left = tf.unstack(tf.cast(tf.floor(drawn * (spare + 1)), tf.int32))

        def cut(part):
            part = part[:, top : top + size, left : left + size]
            return tf.ensure_shape(part, (None, size, size, None))

        return _by_stream(clip, cut, cut)

    return op


def random_resized_crop(size, *, area=(0.3, 1.0), aspect=(3 / 4, 4 / 3)):
    """An op that cuts a rectangle of random area, aspect and position and resizes it to a square.

    Szegedy et al., CVPR 2015, section 6. A side longer than the frame is clipped to it. Flow is
    multiplied by the scale of each side.

    Args:
        size: Side of the result in pixels.
        area: Range of the area, as a share of the largest centered square.
        aspect: Range of width / height.

    Returns:
        An op that returns float32 (frames, size, size, channels).

    Raises:
        ValueError: If `area` is out of range.
    """
    area = check_area(area)

    def op(clip, seed):
        shape = tf.cast(_size(clip), tf.float32)
        drawn = tf.random.stateless_uniform((4,), seed)
        side = tf.reduce_min(shape) * tf.sqrt(area[0] + drawn[0] * (area[1] - area[0]))
        stretch = tf.sqrt(aspect[0] * (aspect[1] / aspect[0]) ** drawn[1])
        wanted = tf.stack([side / stretch, side * stretch])
        box = tf.minimum(tf.round(wanted), shape)
        corner = tf.floor(drawn[2:] * (shape - box + 1))
        (top, left), (height, width) = (tf.unstack(tf.cast(x, tf.int32)) for x in (corner, box))

        def cut(part):
            return part[:, top : top + height, left : left + width]

        return resize(size, size)(_by_stream(clip, cut, cut), seed)

    return op


def random_flip():
    """An op that flips a clip horizontally with probability 1/2; the x of flow changes its sign."""

    def op(clip, seed):
        flip = tf.random.stateless_uniform((), seed) < 0.5
        return tf.cond(flip, lambda: mirror(clip), lambda: clip)

    return op


def mirror(clip):
    """A clip flipped horizontally: quantized x of flow becomes 255 - x, float x becomes -x.

    Example:

    >>> mirror({"flow": np.array([[[[10, 7], [20, 8]]]], np.uint8)})["flow"].numpy().tolist()
    [[[[235, 8], [245, 7]]]]
    """

    def mirror_flow(flow):
        x, y = tf.unstack(tf.reverse(flow, axis=[2]), axis=-1)
        return tf.stack([255 - x if flow.dtype == tf.uint8 else -x, y], axis=-1)

    return _by_stream(clip, lambda rgb: tf.reverse(rgb, axis=[2]), mirror_flow)


def color_jitter(*, brightness=0.2, contrast=0.3, saturation=0.4):
    """An op that changes brightness, contrast and saturation of rgb, equally in all frames.

    Args:
        brightness: Maximum shift, as a fraction of 255.
        contrast: Maximum deviation of the contrast factor from 1.
        saturation: Maximum deviation of the saturation factor from 1.

    Returns:
        An op that takes pixels 0 to 255 and returns float32 0 to 255; flow is unchanged.
    """

    def jitter(clip, seed):
        clip = tf.cast(clip, tf.float32)
        drawn = tf.random.stateless_uniform((3,), seed, -1.0, 1.0)
        gray = tf.reduce_mean(clip, axis=-1, keepdims=True)
        clip = gray + (clip - gray) * (1 + drawn[0] * saturation)
        mean = tf.reduce_mean(clip)
        clip = mean + (clip - mean) * (1 + drawn[1] * contrast) + drawn[2] * brightness * 255
        return tf.clip_by_value(clip, 0.0, 255.0)

    def op(clip, seed):
        return _by_stream(clip, lambda rgb: jitter(rgb, seed), lambda flow: flow)

    return op


def normalize(spec):
    """An op that scales pixels and flow to the range of a `ClipSpec` or `StreamSpecs`, float32."""
    specs = StreamSpecs(spec, apart=True)

    def rgb_range(rgb):
        low, high = specs["rgb"].low, specs["rgb"].high
        return tf.cast(rgb, tf.float32) * ((high - low) / 255) + low

    def flow_range(flow):
        low, high = specs["flow"].low, specs["flow"].high
        share = (tf.clip_by_value(flow_values(flow), -1.0, 1.0) + 1) / 2
        return share * (high - low) + low

    def op(clip, seed):
        del seed
        if not set(clip) <= set(specs):
            raise ValueError(
                f"`spec` must have a spec for each of the streams {(*clip,)}. Received: "
                f"spec={spec!r}"
            )
        return _by_stream(clip, rgb_range, flow_range)

    return op


def mixup(alpha):
    """A function (clips, targets, seed) -> (clips, targets) that blends each clip with another.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Args:
        alpha: Parameter of the Beta(alpha, alpha) distribution of the mixing weight, which is drawn
            once per batch for all streams.
    """

    def blend(clips, targets, seed):
        # Beta(a, a) is g / (g + h) of two Gamma(a) numbers.
        first, second = tf.unstack(tf.random.stateless_gamma((2,), seed, alpha) + 1e-6)
        share = first / (first + second)

        def mix(part):
            return share * part + (1 - share) * tf.roll(part, 1, axis=0)

        return _by_stream(clips, mix, mix), mix(targets)

    return blend


def _by_stream(clip, on_rgb, on_flow):
    """Applies a function to each stream of a clip."""
    ways = {"rgb": on_rgb, "flow": on_flow}
    return {stream: ways[stream](tf.convert_to_tensor(part)) for stream, part in clip.items()}


def _size(clip):
    """int32 (2,): the height and width of all streams."""
    return tf.shape(next(iter(clip.values())))[1:3]
