"""Random and fixed changes of clips: each is a factory of a small op `(clip, seed) -> clip`.

A clip is a tensor (frames, height, width, channels). What an op draws, it draws once for the whole
clip, and only from `seed`, two int32 numbers: the same seed gives the same clip on every machine.
"""

import tensorflow as tf


def compose(*ops):
    """One op of several, each with a seed of its own."""

    def op(clip, seed):
        seeds = tf.random.split(seed, num=len(ops), alg="philox")
        for index, one in enumerate(ops):
            clip = one(clip, seeds[index])
        return clip

    return op


def random_crop(size):
    """Cuts a square at a random place; the paper's training crop.

    Args:
        size: Pixels of its side, no more than the clip's sides.

    Returns:
        An op to (frames, size, size, channels).
    """

    def op(clip, seed):
        shape = tf.shape(clip)
        spare = tf.cast(shape[1:3] - size, tf.float32)
        drawn = tf.random.stateless_uniform((2,), seed)
        top, left = tf.unstack(tf.cast(tf.floor(drawn * (spare + 1)), tf.int32))
        clip = clip[:, top : top + size, left : left + size]
        return tf.ensure_shape(clip, (None, size, size, None))

    return op


def random_resized_crop(size, *, area=(0.3, 1.0), aspect=(3 / 4, 4 / 3)):
    """Cuts a rectangle of random area, aspect and place, and resizes it to a square.

    Szegedy et al., CVPR 2015, section 6. A side longer than the picture is cut to it.

    Args:
        size: Pixels of the result's side.
        area: Range of its area as a share of the largest centred square.
        aspect: Range of its width by its height.

    Returns:
        An op to float32 (frames, size, size, channels).
    """

    def op(clip, seed):
        shape = tf.cast(tf.shape(clip)[1:3], tf.float32)
        drawn = tf.random.stateless_uniform((4,), seed)
        side = tf.reduce_min(shape) * tf.sqrt(area[0] + drawn[0] * (area[1] - area[0]))
        stretch = tf.sqrt(aspect[0] * (aspect[1] / aspect[0]) ** drawn[1])
        wanted = tf.stack([side / stretch, side * stretch])
        box = tf.minimum(tf.round(wanted), shape)
        corner = tf.floor(drawn[2:] * (shape - box + 1))
        (top, left), (height, width) = (tf.unstack(tf.cast(x, tf.int32)) for x in (corner, box))
        clip = clip[:, top : top + height, left : left + width]
        return tf.image.resize(clip, (size, size), antialias=True)

    return op


def random_flip():
    """Mirrors left and right, the whole clip or none of it."""

    def op(clip, seed):
        flip = tf.random.stateless_uniform((), seed) < 0.5
        return tf.cond(flip, lambda: tf.reverse(clip, axis=[2]), lambda: clip)

    return op


def color_jitter(*, brightness=0.2, contrast=0.3, saturation=0.4):
    """Changes brightness, contrast and saturation by random amounts, the same in every frame.

    Args:
        brightness: Largest shift, as a share of 255.
        contrast: Largest change of the factor 1.
        saturation: Likewise.

    Returns:
        An op on pixels 0 to 255 to float32 0 to 255.
    """

    def op(clip, seed):
        clip = tf.cast(clip, tf.float32)
        drawn = tf.random.stateless_uniform((3,), seed, -1.0, 1.0)
        grey = tf.reduce_mean(clip, axis=-1, keepdims=True)
        clip = grey + (clip - grey) * (1 + drawn[0] * saturation)
        mean = tf.reduce_mean(clip)
        clip = mean + (clip - mean) * (1 + drawn[1] * contrast) + drawn[2] * brightness * 255
        return tf.clip_by_value(clip, 0.0, 255.0)

    return op


def normalize(spec):
    """Scales pixels 0 to 255 to the range of a `ClipSpec`, float32."""

    def op(clip, seed):
        del seed
        return tf.cast(clip, tf.float32) * ((spec.high - spec.low) / 255) + spec.low

    return op


def mixup(alpha):
    """Blends each clip of a batch, and its target, with another of the batch.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Args:
        alpha: Of the Beta(alpha, alpha) distribution of the blend; one blend a batch.

    Returns:
        A function (clips, targets, seed) -> (clips, targets), float32 of the same shapes.
    """

    def blend(clips, targets, seed):
        # Beta(a, a) is g / (g + h) of two Gamma(a) numbers.
        first, second = tf.unstack(tf.random.stateless_gamma((2,), seed, alpha) + 1e-6)
        share = first / (first + second)
        clips = share * clips + (1 - share) * tf.roll(clips, 1, axis=0)
        return clips, share * targets + (1 - share) * tf.roll(targets, 1, axis=0)

    return blend
