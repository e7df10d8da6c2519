"""The clips of a run: endless for training, from any example on; once over for validation.

Carreira & Zisserman, CVPR 2017, section 2.5, for what is random; the draws themselves, each from
(seed, number of the example), are those of `data.pipeline`.
"""

import tensorflow as tf

from kinetics_i3d.data import transforms
from kinetics_i3d.data.pipeline import augmentation, training_clips


def training_batches(
    source, config, streams, *, batch, seed, mixup=0.0, shard=(0, 1), start=(0, 0)
):
    """Endless augmented batches.

    Args:
        source: A `VideoDataset` or a `RecordSplit`.
        config: A `TrainConfig`.
        streams: `"rgb"`, `"flow"` or both.
        batch: Clips a batch.
        seed: Of the draws.
        mixup: Alpha of the blending.
        shard: (index, count) of this process.
        start: (examples, batches) to leave out; the rest is what it would be after them.

    Returns:
        A `tf.data.Dataset` of (clips, targets, numbers): clips as the model reads them, one-hot
        targets, and int64 (batch,), the number of each example.
    """
    specs = config.specs(streams)
    return training_clips(
        source,
        streams=streams,
        spec=specs,
        frames=config.frames,
        batch=batch,
        augment=augment_of(config, specs),
        mixup=mixup,
        seed=seed,
        shard=shard,
        start=start,
        numbered=True,
    )


def validation_batches(source, config, streams, *, batch, seed, shard=(0, 1)):
    """One pass over videos: the middle of each, from a start that is the same each time.

    Args:
        source: As for `training_batches`.
        config: Likewise.
        streams: Likewise.
        batch: Clips a batch.
        seed: Of the starts.
        shard: (index, count) of this process. Records are not parted: each process sees them all.

    Yields:
        (clips, targets, counts): float32 (batch,) of 1.0, and 0.0 for the clips of the last batch
        that stand there twice.
    """
    index, count = shard
    source = source.for_process(index, count)
    specs = config.specs(streams)
    middle = transforms.compose(centre_crop(config.size), transforms.normalize(specs))
    batches = training_clips(
        source,
        streams=streams,
        spec=specs,
        frames=config.frames,
        batch=batch,
        augment=middle,
        seed=seed,
        numbered=True,
    )
    yield from once(batches, len(source))


def once(batches, limit):
    """The first examples of endless batches.

    Args:
        batches: Iterable of (clips, targets, numbers).
        limit: The number of the first example that no longer counts.

    Yields:
        (clips, targets, counts), as `validation_batches`.
    """
    for clips, targets, numbers in batches:
        counts = tf.cast(numbers < limit, tf.float32)
        if not tf.reduce_any(counts > 0):
            return
        yield clips, targets, counts
        if numbers[-1] >= limit - 1:
            return


def augment_of(config, specs):
    """The augmentation of a config: the resized crop of most networks, or the paper's plain one.

    Args:
        config: A `TrainConfig`.
        specs: {stream: `ClipSpec`}.

    Returns:
        An op `(clip, seed) -> clip`, as in `data.transforms`.
    """
    if config.crop == "resized":
        return augmentation(specs, area=config.area, flip=config.flip, color=config.color)
    ops = [transforms.random_crop(config.size)]
    if config.flip:
        ops.append(transforms.random_flip())
    if config.color:
        ops.append(transforms.color_jitter())
    return transforms.compose(*ops, transforms.normalize(specs))


def centre_crop(size):
    """Cuts the square in the middle.

    Args:
        size: Pixels of its side.

    Returns:
        An op to (frames, size, size, channels).
    """

    def cut(part):
        shape = tf.shape(part)
        top, left = (shape[1] - size) // 2, (shape[2] - size) // 2
        return tf.ensure_shape(
            part[:, top : top + size, left : left + size], (None, size, size, None)
        )

    def op(clip, seed):
        del seed
        return tf.nest.map_structure(cut, clip)

    return op
