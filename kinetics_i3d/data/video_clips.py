"""`video_clips`: random clips decoded from video files, as pixels and quantized flow.

Carreira & Zisserman, CVPR 2017, section 2.5: random start among those early enough, short videos
looped.
"""

import numbers

import numpy as np
import tensorflow as tf

from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.core.types import is_number
from kinetics_i3d.data.streams import read_window, shared_flow_settings
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.video import painter
from kinetics_i3d.video.span import split_span


def video_clips(dataset, *, specs, frames, seed=0, workers, shard=(0, 1), start=0):
    """Endless random clips of videos: each video once per pass, in a new order.

    Args:
        dataset: A `VideoDataset`.
        specs: `StreamSpecs`.
        frames: Frames of a clip, of the fastest stream.
        seed: Seed of the order and of the start frames.
        workers: Number of videos decoded at the same time.
        shard: (index, count): every count-th video from index on.
        start: Number of examples to skip, without decoding them.

    Returns:
        A `tf.data.Dataset` of (clip, seed, label, number): {stream: uint8 (frames, height, width,
        channels)}, one frame per stride for a slower stream; int32 (2,); the class number, int64,
        or float32 (classes,) if videos may have several labels; the number of the example, int64. A
        video that cannot be decoded is logged, and its number is skipped.

    Raises:
        FlowFileError: If flow is read and the first stored flow has another rate or size.
        ValueError: If there are fewer videos than shards.
    """
    videos = share_of(dataset.videos, shard)
    paths = [str(video.location) for video in videos]
    labels = targets_of(dataset, videos)
    settings = shared_flow_settings(paths, specs) if "flow" in specs else None
    failed, different = set(), len({*paths})
    painter.compile_shortcut()

    def decode(path, position):
        try:
            clip = read_window(
                path.decode(), specs, frames=frames, position=float(position), settings=settings
            )
            return [clip[stream] for stream in specs]
        except (VideoError, FlowFileError) as error:
            warn_about(split_span(path.decode())[0], "skipped: %s", error)
            failed.add(path)
            if len(failed) == different:  # or else the search would never end
                raise DatasetError(f"{dataset.name}: no video can be decoded") from error
            # An exception would end the pass; empty clips are filtered out below.
            return [np.zeros((0, 1, 1, spec.channels), np.uint8) for spec in specs.values()]
        except Exception as error:
            error.add_note(f"while reading {path.decode()}")  # tf.data does not name it
            raise

    def load(number, video):
        path, label = video
        seeds = clip_seeds(seed, number, shard)
        position = tf.random.stateless_uniform((), seeds[0])
        parts = tf.numpy_function(decode, (path, position), [tf.uint8] * len(specs))
        for part, spec in zip(parts, specs.values(), strict=True):
            part.set_shape((None, None, None, spec.channels))
        return dict(zip(specs, parts, strict=True)), seeds[1], label, number

    return (
        tf.data.Dataset.from_tensor_slices((paths, labels))
        .shuffle(len(paths), seed=seed)
        .repeat()
        .enumerate()
        .skip(start)
        .map(load, num_parallel_calls=workers)
        .filter(lambda clip, *_: tf.shape(clip[specs.streams[0]])[0] > 0)
    )


def targets_of(dataset, videos):
    """The class numbers of videos, or their multi-hot targets.

    Returns:
        A list of integers; with several labels per video a float32 array (videos, classes).
    """
    numbers = {label: number for number, label in enumerate(dataset.labels)}
    if not dataset.multi_label:
        return [numbers[video.label] for video in videos]
    targets: np.ndarray = np.zeros((len(videos), len(dataset.labels)), np.float32)
    for row, video in enumerate(videos):
        targets[row, [numbers[label] for label in video.classes]] = 1.0
    return targets


def clip_seeds(seed, number, shard):
    """int32 (2, 2): the seeds of the start and of the augmentation of one example."""
    index, count = shard
    number = tf.cast(number, tf.int32) * count + index
    return tf.random.split((seed, number), num=2, alg="philox")


def check_shard(shard):
    """`shard` as a tuple; `ValueError` unless it is (index, count), 0 <= index < count.

    Example:

    >>> check_shard([1, 2])
    (1, 2)
    """
    if isinstance(shard, (list, tuple, np.ndarray)) and len(shard) == 2:
        is_whole = all(is_number(n) and isinstance(n, numbers.Integral) for n in shard)
        if is_whole and 0 <= shard[0] < shard[1]:
            return int(shard[0]), int(shard[1])
    raise ValueError(
        f"`shard` must be (index, count) with 0 <= index < count. Received: shard={shard!r}"
    )


def share_of(examples, shard):
    """Every count-th example from index on, of a shard (index, count).

    Raises:
        ValueError: If `shard` is invalid, or a share would be empty.

    Example:

    >>> [share_of("abcde", (index, 2)) for index in range(2)]
    ['ace', 'bd']
    """
    index, count = check_shard(shard)
    if len(examples) < count:
        raise ValueError(
            f"`shard` must have a count of at most {len(examples)}, the number of examples. "
            f"Received: shard={shard!r}"
        )
    return examples[index::count]
