"""The training pipeline: from videos or records to batches of augmented clips, with tf.data.

Carreira & Zisserman, CVPR 2017, section 2.5: random start among those early enough, short videos
looped, the same random crop and flip for the whole clip and both streams. `measure_input` measures
how many clips the pipeline yields per second, and what limits it.
"""

import dataclasses
import resource
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.threads import usable_processors
from kinetics_i3d.core.types import Streams, check_at_least, check_count, check_whole
from kinetics_i3d.data import transforms
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.video_clips import check_shard

IDLE = 0.75  # share of busy processors below which the pipeline waits for something else


def augmentation(
    spec: ClipSpec | str | Mapping[str, ClipSpec | str],
    *,
    area: tuple[float, float] = (0.3, 1.0),
    flip: bool = True,
    color: bool = True,
) -> Callable[[Any, Any], Any]:
    """The training augmentation: an op from decoded frames to clips of `spec.size`.

    Args:
        spec: A `ClipSpec` or its name, such as `"deepmind"`; or {stream: `ClipSpec`} of equal size
            for clips of several streams.
        area: Range of the random crop's area, 0 to 1, as a share of the largest centered square.
        flip: Whether half of the clips are mirrored.
        color: Whether the colors of rgb are changed.

    Returns:
        A function `(clip, seed) -> clip` of {stream: frames}, uint8 or float32 (frames, height,
        width, channels), that returns float32 in the spec's range; `seed` is two int32 numbers.

    Raises:
        ValueError: If `spec` is unknown, the specs do not fit together, or `area` is out of range.

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
    augment = transforms.compose(*ops, transforms.normalize(specs))
    augment.streams = specs.streams  # for the check of `training_clips`
    return augment


def training_clips(
    source: Dataset,
    *,
    streams: Streams = ("rgb",),
    spec: ClipSpec | str | Mapping[str, ClipSpec | str],
    frames: int,
    batch_size: int,
    augment: Callable[..., Any],
    mixup: float = 0.0,
    seed: int = 0,
    workers: int | None = None,
    shard: tuple[int, int] = (0, 1),
    start: tuple[int, int] = (0, 0),
    numbered: bool = False,
) -> tf.data.Dataset:
    """Endless shuffled batches of augmented clips.

    Flow of videos is read from the flow files beside them, which `kinetics-i3d flow` writes. If
    there is none, it is computed while reading, which is slow.

    Args:
        source: A split of a `Dataset`: videos or prepared records.
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`. With flow a clip ends a frame before the video
            does: the last frame has no flow.
        spec: The `ClipSpec` of the model to train, or its name, such as `"deepmind"`; or {stream:
            `ClipSpec`} of one that reads both.
        frames: Frames per clip, of each stream; if their rates differ, of the faster one, flow:
            with the specs of a `TwoStream`, 10 means 1 rgb frame and 10 flow frames.
        batch_size: Clips per batch.
        augment: A function `(clip, seed) -> clip` of {stream: tensor}, such as
            `augmentation(spec)`; flow is quantized to uint8.
        mixup: Alpha of `transforms.mixup`; 0 disables it.
        seed: A whole number; the same seed gives the same batches for any number of `workers`. The
            order of video files also depends on TensorFlow's global seed, see
            `keras.utils.set_random_seed`.
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
        ValueError: If the streams and specs do not fit together, or do not fit `augment`, `frames`
            is not a multiple of a stack, or another argument is out of range.

    Example:

    >>> spec = ki3d.ClipSpec("small", short_side=36, size=32)
    >>> clips = ki3d.training_clips(
    ...     ki3d.open_dataset(folder), spec=spec, frames=9, batch_size=2,
    ...     augment=ki3d.augmentation(spec)
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
    frames, batch_size = check_count("frames", frames), check_count("batch_size", batch_size)
    mixup = float(check_at_least("mixup", mixup, 0))
    workers = usable_processors() if workers is None else check_count("workers", workers)
    seed = _checked_seed(seed)
    shard, start = check_shard(shard), _checked_start(start)
    _check_augment(augment, specs)
    steps = specs.strides()
    if frames % max(steps.values()):
        raise ValueError(
            f"`frames` must be a multiple of {max(steps.values())}. Received: frames={frames!r}"
        )
    drawn = {"seed": seed, "workers": workers, "shard": shard, "start": start[0]}
    decoded = decoded_clips(source, specs=specs, frames=frames, **drawn)
    shapes = {
        name: (frames // steps[name], spec.size, spec.size, spec.channels)
        for name, spec in specs.items()
    }

    def finish(clip, clip_seed, label, number):
        # If videos may have several classes, the label is the multi-hot target already.
        target = label if label.shape.rank else tf.one_hot(label, len(source.labels))
        clip = augment(clip, clip_seed)
        clip = {name: tf.ensure_shape(clip[name], shape) for name, shape in shapes.items()}
        return clip, target, number

    batches = decoded.map(finish, num_parallel_calls=workers).batch(batch_size)
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


def _checked_seed(seed):
    if check_whole("seed", seed, least=-(2**63)) >= 2**63:  # an int64 of TensorFlow
        raise ValueError(f"`seed` must be below 2**63. Received: seed={seed!r}")
    return int(seed)


def _checked_start(start):
    """`start` of `training_clips` as a tuple; `ValueError` unless it is two counts to skip."""
    if isinstance(start, (list, tuple, np.ndarray)) and len(start) == 2:
        return tuple(check_whole("start", number) for number in start)
    raise ValueError(f"`start` must be (examples, batches) to skip. Received: start={start!r}")


def _check_augment(augment, specs):
    """Raises `ValueError` unless `augment` is a function, and fits the streams as far as known."""
    if not callable(augment):
        raise ValueError(
            f"`augment` must be a function, such as augmentation(spec). Received: {augment!r}"
        )
    streams = getattr(augment, "streams", specs.streams)
    if not set(specs) <= set(streams):
        raise ValueError(
            f"`spec` must be for the streams {specs.streams} in augmentation(spec) too. "
            f"Received: an augmentation of {streams}"
        )


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


@dataclasses.dataclass(frozen=True)
class InputBenchmark:
    """The result of `measure_input`.

    Args:
        clips: Clips per second.
        frames: Frames per second, of one stream.
        decode: Share of the processor time for reading and decoding; the rest is augmentation and
            batching.
        processors: Busy processors on average.
        available: Processors that the process may use.
        peak_mb: Peak memory of the process so far, in megabytes.
        seconds: Duration of the measurement of the whole pipeline.
    """

    clips: float
    frames: float
    decode: float
    processors: float
    available: int
    peak_mb: float
    seconds: float

    @property
    def limit(self):
        """What limits the pipeline: `"decoding"`, `"augmentation"` or `"waiting"`.

        `"waiting"` if processors are idle, waiting for files or for Python's lock, or if other
        programs use them.
        """
        if self.processors < IDLE * self.available:
            return "waiting"
        return "decoding" if self.decode >= 0.5 else "augmentation"

    def to_dict(self):
        """The fields and the limit as a JSON-ready dictionary."""
        return {**dataclasses.asdict(self), "limit": self.limit}


def measure_input(source, *, streams=("rgb",), spec, frames=64, batch_size=8, seconds=10.0):
    """Draws clips for some seconds, first only decoded, then as training reads them.

    Args:
        source: A `Dataset`, one split.
        streams: `"rgb"`, `"flow"` or both.
        spec: A `ClipSpec`, or {stream: `ClipSpec`}.
        frames: Frames of a clip.
        batch_size: Clips of a batch.
        seconds: Duration; half of it for decoding alone.

    Returns:
        An `InputBenchmark`.

    Raises:
        UserError: If the source does not fit, or none of it can be decoded.
        ValueError: If an argument is invalid.
    """
    if not seconds > 0:
        raise ValueError(f"`seconds` must be above 0. Received: seconds={seconds!r}")
    specs = StreamSpecs(spec, streams)
    decoded = decoded_clips(source, specs=specs, frames=frames).batch(1)
    alone = _drawn(decoded, 1, seconds / 2)
    batches = training_clips(
        source,
        streams=streams,
        spec=specs,
        frames=frames,
        batch_size=batch_size,
        augment=augmentation(specs),
    )
    clips, wall, processor = _drawn(batches, batch_size, seconds / 2)
    decode = (alone[2] / alone[0]) / (processor / clips)
    return InputBenchmark(
        clips=clips / wall,
        frames=clips * frames / wall,
        decode=min(1.0, decode),
        processors=processor / wall,
        available=usable_processors(),
        peak_mb=_peak_mb(),
        seconds=wall,
    )


def _drawn(batches, batch_size, seconds):
    """(clips, seconds, processor seconds) of drawing batches for `seconds`, after the first."""
    drawn = iter(batches)
    next(drawn)
    count, start, processor = 0, time.perf_counter(), time.process_time()
    while True:
        next(drawn)
        count += batch_size
        wall = time.perf_counter() - start
        if wall >= seconds:
            return count, wall, time.process_time() - processor


def _peak_mb():
    unit = 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
