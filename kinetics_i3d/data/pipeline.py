"""The training pipeline: from videos or records to batches of augmented clips, with tf.data.

Carreira & Zisserman, CVPR 2017, section 2.5: random start among those early enough, short videos
looped, random crop and flip the same for the whole clip, of both streams.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.processors import usable_processors
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data import transforms
from kinetics_i3d.data.dataset import Dataset


def augmentation(
    spec: ClipSpec | Mapping[str, ClipSpec],
    *,
    area: tuple[float, float] = (0.3, 1.0),
    flip: bool = True,
    color: bool = True,
) -> Callable[[Any, Any], Any]:
    """The training augmentation: an op from decoded frames to clips of `spec.size`.

    Args:
        spec: A `ClipSpec`, or {stream: `ClipSpec`} of equal size for clips of several streams.
        area: Range of the random crop's area, 0 to 1, as a share of the largest centered square.
        flip: Whether half of the clips are mirrored.
        color: Whether the colors of rgb are changed.

    Returns:
        A function `(clip, seed) -> clip` of {stream: frames}, uint8 or float32 (frames, height,
        width, channels), that returns float32 in the spec's range; `seed` is two int32 numbers.

    Example:

    >>> augment = ki3d.augmentation(ki3d.ClipSpec("small", size=32), color=False)
    >>> augment({"rgb": np.zeros((9, 48, 64, 3), np.float32)}, (0, 0))["rgb"].shape
    TensorShape([9, 32, 32, 3])
    """
    specs = StreamSpecs(spec)
    size = specs.fastest.size
    ops = [transforms.random_resized_crop(size, area=area)]
    if flip:
        ops.append(transforms.random_flip())
    if color:
        ops.append(transforms.color_jitter())
    return transforms.compose(*ops, transforms.normalize(specs))


def training_clips(
    source: Dataset,
    *,
    streams: Sequence[str] = ("rgb",),
    spec: ClipSpec | Mapping[str, ClipSpec],
    frames: int,
    batch: int,
    augment: Callable[..., Any],
    mixup: float = 0.0,
    seed: int = 0,
    workers: int | None = None,
    shard: tuple[int, int] = (0, 1),
    start: tuple[int, int] = (0, 0),
    numbered: bool = False,
) -> tf.data.Dataset:
    """Endless shuffled batches of augmented clips.

    Flow of videos is read from the flow files beside them, as `kinetics-i3d flow` makes them; where
    there is none it is computed while reading, which is slow.

    Args:
        source: A split of a `Dataset`: videos or prepared records.
        streams: `"rgb"`, `"flow"` or both. With flow a clip ends a frame before the video does: the
            last frame has no flow.
        spec: The `ClipSpec` of the model to train, or {stream: `ClipSpec`} of one that reads both.
        frames: Frames per clip, of each stream; if their rates differ, of the faster one, flow:
            with the specs of a `TwoStream`, 10 are 1 rgb frame and 10 flow frames.
        batch: Clips per batch.
        augment: A function `(clip, seed) -> clip` of {stream: tensor}, such as
            `augmentation(spec)`; flow is quantized to uint8.
        mixup: Alpha of `transforms.mixup`; 0 leaves it out.
        seed: The same seed gives the same batches, whatever `workers` is.
        workers: Videos decoded at the same time; None is one per processor.
        shard: (index, count) of one of several processes that share the source; each example is
            seen by exactly one of them.
        start: (examples, batches) to skip; the remaining batches are the same as without skipping.
        numbered: Whether batches contain the numbers of their examples. To continue after a batch,
            start at its last number plus one.

    Returns:
        A `tf.data.Dataset` of (clips, targets), or (clips, targets, numbers): float32 (batch,
        frames, spec.size, spec.size, channels) in the spec's range, of several streams {stream:
        clips}; float32 (batch, classes), one-hot, or 1.0 for each class of a video that may have
        several; int64 (batch,). A video that cannot be decoded is logged and skipped.

    Raises:
        UserError: If the flow or the records of the source do not fit the spec.
        ValueError: If the streams and specs do not fit together, `frames` is not a multiple of a
            stack, or `shard` is invalid.

    Example:

    >>> spec = ki3d.ClipSpec("small", short_side=36, size=32)
    >>> clips = ki3d.training_clips(
    ...     ki3d.open_dataset(folder), spec=spec, frames=9, batch=2, augment=ki3d.augmentation(spec)
    ... )
    >>> videos, targets = next(iter(clips))
    >>> videos.shape, targets.shape
    (TensorShape([2, 9, 32, 32, 3]), TensorShape([2, 2]))
    """
    if not isinstance(source, Dataset):
        raise ValueError(
            '`source` must be a Dataset, such as open_dataset(path).split("train"). '
            f"Received: source={source!r}"
        )
    specs = StreamSpecs(spec, streams)
    steps = specs.strides()
    if frames % max(steps.values()):
        raise ValueError(
            f"`frames` must be a multiple of {max(steps.values())}. Received: frames={frames!r}"
        )
    workers = workers or usable_processors()
    drawn = {"seed": seed, "workers": workers, "shard": shard, "start": start[0]}
    decoded = decoded_clips(source, specs=specs, frames=frames, **drawn)
    shapes = {
        name: (frames // steps[name], spec.size, spec.size, spec.channels)
        for name, spec in specs.items()
    }

    def finish(clip, clip_seed, label, number):
        # Videos of several classes bring their targets.
        target = label if label.shape.rank else tf.one_hot(label, len(source.labels))
        clip = augment(clip, clip_seed)
        clip = {name: tf.ensure_shape(clip[name], shape) for name, shape in shapes.items()}
        return clip, target, number

    batches = decoded.map(finish, num_parallel_calls=workers).batch(batch)
    if mixup:
        index, count = shard
        blend = transforms.mixup(mixup)

        def mix(number, parts):
            clips, targets, numbers = parts
            number = tf.cast(number, tf.int32) * count + index
            return *blend(clips, targets, (seed + 1, number)), numbers

        batches = batches.enumerate(start[1]).map(mix)

    def unwrap(clips, targets, numbers):
        clips = specs.unwrap(clips)
        return (clips, targets, numbers) if numbered else (clips, targets)

    return batches.map(unwrap).prefetch(2)


def decoded_clips(source, *, specs, frames, seed=0, workers=None, shard=(0, 1), start=0):
    """The decoded clips that `training_clips` augments.

    Returns:
        A `tf.data.Dataset` of ({stream: clip}, seed, label, number), as `video_clips` describes.
    """
    workers = workers or usable_processors()
    drawn = {"seed": seed, "workers": workers, "shard": shard, "start": start}
    # The autotuner sleeps for up to a minute, and the destructor of an iterator waits until it
    # wakes up (TensorFlow 2.21): a short run would hang for as long after its last step.
    options = tf.data.Options()
    options.autotune.enabled = False
    return source.random_clips(specs=specs, frames=frames, **drawn).with_options(options)
