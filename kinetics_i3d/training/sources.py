"""`ClipSource`: the training and validation clips of a run.

Training clips are endless, and can start at any example; validation clips come once. The random
augmentation is that of Carreira & Zisserman, CVPR 2017, section 2.5. `data.pipeline` draws it, from
(seed, number of the example).
"""

import math
import re
import typing

import tensorflow as tf

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data import transforms
from kinetics_i3d.data.pipeline import augmentation, training_clips


class ClipSource:
    """Batches of clips, decoded as they are needed.

    Args:
        config: A `TrainConfig`.
        streams: Streams of its network.
        training: A `VideoDataset` or a `RecordSplit`.
        held_out: The same to validate on, or `None`.
        process_rank, world_size: Index of this process, and number of processes.
    """

    def __init__(self, config, streams, training, held_out, *, process_rank=0, world_size=1):
        self.config, self.streams = config, streams
        self.process_rank, self.world_size = process_rank, world_size
        self.videos, self.held_out = training, held_out
        self.stop_request: typing.Any = None  # a `StopRequest` while the run can be stopped
        self.steps_per_epoch = math.ceil(len(training) / config.batch_size)

    def training(self, seed, *, mixup=0.0, start=(0, 0)):
        """Endless batches, as from `training_batches`."""
        batches = training_batches(
            self.videos,
            self.config,
            self.streams,
            batch_size=self.config.batch_size // self.world_size,
            seed=seed,
            mixup=mixup,
            shard=(self.process_rank, self.world_size),
            start=start,
        )
        return read_batches(batches, self.videos)

    def validation(self):
        """One pass, as from `validation_batches`."""
        config = self.config
        return validation_batches(
            self.held_out,
            config,
            self.streams,
            # A batch that has to be trained in parts would not fit at validation either.
            batch_size=config.batch_size // (self.world_size * config.accumulate),
            seed=config.seed + 3,
            shard=(self.process_rank, self.world_size),
        )


def training_batches(
    source, config, streams, *, batch_size, seed, mixup=0.0, shard=(0, 1), start=(0, 0)
):
    """Endless augmented batches.

    Args:
        source: A `VideoDataset` or a `RecordSplit`.
        config: A `TrainConfig`.
        streams: `("rgb",)`, `("flow",)` or both.
        batch_size: Clips per batch.
        seed: Seed of all draws.
        mixup: Alpha of mixup; 0 for none.
        shard: (process_rank, world_size).
        start: (examples, batches) to skip; the batches are those that would follow them.

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
        batch_size=batch_size,
        augment=_augmentation_of(config, specs),
        mixup=mixup,
        seed=seed,
        shard=shard,
        start=start,
        numbered=True,
    )


def validation_batches(source, config, streams, *, batch_size, seed, shard=(0, 1)):
    """One pass over videos: a center crop of each, at a time that is the same in each pass.

    Videos are divided among the processes. Records are read completely by each process.

    Yields:
        (clips, targets, counts): `counts` is float32 (batch,), 1.0, or 0.0 for the clips that only
        fill up the last batch.
    """
    rank, size = shard
    source = source.for_process(rank, size)
    specs = config.specs(streams)
    batches = training_clips(
        source,
        streams=streams,
        spec=specs,
        frames=config.frames,
        batch_size=batch_size,
        augment=transforms.compose(_center_crop(config.size), transforms.normalize(specs)),
        seed=seed,
        numbered=True,
    )
    yield from one_pass(read_batches(batches, source), len(source))


def read_batches(batches, source):
    """Yields the batches of a `tf.data.Dataset`.

    Args:
        batches: The dataset.
        source: The `VideoDataset` or `RecordSplit` that it reads, for the error.

    Raises:
        DatasetError: If a thread of the dataset fails, for example on a damaged record.
    """
    iterator = iter(batches)
    try:
        yield from iterator
    except tf.errors.OpError as error:
        name = getattr(source, "records", source).name
        # The frames of its traceback would keep the iterator.
        raise DatasetError(f"{name}: cannot be read ({_reason(error)})") from (
            error.with_traceback(None)
        )
    finally:
        # An iterator that exists until the interpreter exits never ends: it waits for its threads,
        # which wait for the interpreter.
        del iterator


_PYTHON_ERROR = re.compile(r"^(?:\w+\.)*\w+(?:Error|Exception|Interrupt|Exit): .+", re.MULTILINE)
_NODES = re.compile(r"\{\{.*?\}\} *| *\[Op:.*")
_NOTE = "while reading "  # of `video_clips`


def _reason(error):
    """The Python error within an error of tf.data, with its note, or else its first line."""
    message = error.message or ""
    raised = _PYTHON_ERROR.findall(message)
    if not raised:
        hint = "; `kinetics-i3d prepare --check` finds the file"
        # Not truncated: the reason follows the names of the pipeline's operations.
        line, *_ = message.splitlines() or [type(error).__name__]
        text = _NODES.sub("", line)
        return text + hint if isinstance(error, tf.errors.DataLossError) else text
    notes = [line for line in message.splitlines() if line.startswith(_NOTE)]
    return ", ".join([raised[-1], *notes[:1]])


def one_pass(batches, limit):
    """The batches of endless data up to the example number `limit`.

    Args:
        batches: Iterable of (clips, targets, numbers).
        limit: Number of the first example that no longer counts.

    Yields:
        (clips, targets, counts), as `validation_batches`.
    """
    for clips, targets, numbers in batches:
        counts = tf.cast(numbers < limit, tf.float32)
        # Broken videos leave gaps in the numbers, so that a whole batch may be beyond the limit.
        if tf.reduce_any(counts > 0):
            yield clips, targets, counts
        if numbers[-1] >= limit - 1:
            return


def _augmentation_of(config, specs):
    """The augmentation of a config: a function from (clip, seed) to a clip."""
    if config.crop == "resized":
        return augmentation(specs, area=config.area, flip=config.flip, color=config.color)
    ops = [transforms.random_crop(config.size)]
    if config.flip:
        ops.append(transforms.random_flip())
    if config.color:
        ops.append(transforms.color_jitter())
    return transforms.compose(*ops, transforms.normalize(specs))


def _center_crop(size):
    """An op that crops the square of `size` pixels in the middle."""

    def crop(clip):
        shape = tf.shape(clip)
        top, left = (shape[1] - size) // 2, (shape[2] - size) // 2
        square = clip[:, top : top + size, left : left + size]
        return tf.ensure_shape(square, (None, size, size, None))

    def op(clip, seed):
        del seed
        return tf.nest.map_structure(crop, clip)

    return op
