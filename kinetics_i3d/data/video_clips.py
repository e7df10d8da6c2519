"""`video_clips`: random clips straight from video files, as pixels and codes of flow.

Carreira & Zisserman, CVPR 2017, section 2.5: random start among those early enough, short videos
looped.
"""

import itertools

import numpy as np
import tensorflow as tf
from absl import logging

from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.data.stream_specs import fastest, strides
from kinetics_i3d.data.streams import duration, joint_window
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.stored import has_flow_pictures, open_stored, stored_paths
from kinetics_i3d.video import painter as pictures
from kinetics_i3d.video.clip import loop_frames
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.span import split_span


def decode_window(path, *, spec, frames, position):
    """Reads a window of a video, looping one that is too short.

    Args:
        path: The file.
        spec: A `ClipSpec`; its rate and resize are used, its crop and range are not.
        frames: Length of the window.
        position: 0 takes the earliest window, 1 the latest.

    Returns:
        uint8 array (frames, height, width, 3), as high and wide as `spec.resized` says.

    Raises:
        VideoError: If the file cannot be decoded.
    """
    spare = duration(path) - frames / spec.fps
    start = max(0.0, spare) * position
    stream = read_frames(path, start=start, **spec.reading)
    try:
        clip = np.stack(list(itertools.islice(stream, frames)))
    finally:
        stream.close()
    return loop_frames(clip, frames)


def video_clips(dataset, *, specs, frames, seed=0, workers, shard=(0, 1), start=0):
    """Endless random clips of a table's videos: each comes once a pass, in another order.

    Args:
        dataset: A `VideoDataset`.
        specs: {stream: `ClipSpec`}, as `stream_specs` gives.
        frames: Frames a clip, of the fastest stream.
        seed: Of the order and of the starts.
        workers: Videos decoded at a time.
        shard: (index, count): every count-th video from index on.
        start: Examples to leave out, none of which is decoded.

    Returns:
        A `tf.data.Dataset` of (clip, seed, label, number): {stream: uint8 (frames, height, width,
        channels)}, of a slower stream every so manieth frame; int32 (2,); the label's number,
        int64, or float32 (classes,) where videos may have several labels; the example's number,
        int64. A video that cannot be decoded is logged and skipped, and its number
        with it.

    Raises:
        FlowFileError: If flow is asked for and the first flow file is of another rate or size.
        ValueError: If there are fewer videos than shards.
    """
    streams = (*specs,)
    spec, steps = fastest(specs), strides(specs)
    videos = share_of(dataset.videos, shard)
    paths = [str(video.location) for video in videos]
    labels = targets_of(dataset, videos)
    settings = _flow_settings(paths, spec) if "flow" in streams else None
    failed = set()
    pictures.compile_shortcut()

    def read(path, position):
        window = {"spec": spec, "frames": frames, "position": float(position)}
        if "flow" not in streams:
            return [decode_window(path, **window)]
        clip = joint_window(path, streams=streams, settings=settings, **window)
        return [clip[stream][:: steps[stream]] for stream in streams]

    def decode(path, position):
        try:
            return read(path.decode(), position)
        except (VideoError, FlowFileError) as error:
            warn_about(split_span(path.decode())[0], "skipped: %s", error)
            failed.add(path)
            if len(failed) == len(paths):  # else an endless search for one that can be decoded
                raise DatasetError(f"{dataset.name}: no video can be decoded") from error
            return [np.zeros((0, 1, 1, each.channels), np.uint8) for each in specs.values()]

    def load(number, video):
        path, label = video
        seeds = clip_seeds(seed, number, shard)
        position = tf.random.stateless_uniform((), seeds[0])
        parts = tf.numpy_function(decode, (path, position), [tf.uint8] * len(streams))
        for part, each in zip(parts, specs.values(), strict=True):
            part.set_shape((None, None, None, each.channels))
        return dict(zip(streams, parts, strict=True)), seeds[1], label, number

    return (
        tf.data.Dataset.from_tensor_slices((paths, labels))
        .shuffle(len(paths), seed=seed)
        .repeat()
        .enumerate()
        .skip(start)
        .map(load, num_parallel_calls=workers)
        .filter(lambda clip, *_: tf.shape(clip[streams[0]])[0] > 0)
    )


def targets_of(dataset, videos):
    """The number of each video's class, or the rows of 0.0 and 1.0 of those of several classes.

    Args:
        dataset: A `VideoDataset`.
        videos: Some of its videos.

    Returns:
        A list of whole numbers; or, of a dataset whose videos may have several labels, a float32
        array (videos, classes).
    """
    numbers = {label: number for number, label in enumerate(dataset.labels)}
    if not dataset.multi_label:
        return [numbers[video.label] for video in videos]
    targets: np.ndarray = np.zeros((len(videos), len(dataset.labels)), np.float32)
    for row, video in enumerate(videos):
        targets[row, [numbers[label] for label in video.classes]] = 1.0
    return targets


def clip_seeds(seed, number, shard):
    """int32 (2, 2): the seeds of an example's start and of its augmentation, of no other's."""
    index, count = shard
    number = tf.cast(number, tf.int32) * count + index
    return tf.random.split((seed, number), num=2, alg="philox")


def share_of(examples, shard):
    """One of several equal parts of a sequence, which together are all of it.

    Args:
        examples: A sequence.
        shard: (index, count).

    Returns:
        Every count-th example from index on.

    Raises:
        ValueError: If `shard` is wrong, or leaves a part empty.

    Example:

    >>> [share_of("abcde", (index, 2)) for index in range(2)]
    ['ace', 'bd']
    """
    index, count = shard
    if not 0 <= index < count:
        raise ValueError(
            f"`shard` must be (index, count), 0 <= index < count. Received: shard={shard!r}"
        )
    if len(examples) < count:
        raise ValueError(
            f"`shard` must be one of at most {len(examples)}, an example each. "
            f"Received: shard={shard!r}"
        )
    return examples[index::count]


def _flow_settings(paths, spec):
    """The settings of the flow files that lie beside videos, None where there are none."""
    stored = [path for path in paths if stored_paths(path, spec) or has_flow_pictures(path)]
    if len(stored) < len(paths):
        logging.warning(
            "%d of %d videos have no flow file: their flow is computed while training, which is "
            "slow; kinetics-i3d flow makes the files",
            len(paths) - len(stored),
            len(paths),
        )
    settings = None
    if stored:
        # Strictly: computing all flow anew would take days.
        with open_stored(stored[0], spec=spec, strict=True) as file:
            settings = file.info.settings
    if len(stored) < len(paths):
        chosen = settings or FlowSettings()
        pair_function(chosen.method, chosen.backend)  # what is missing is said here, once
    return settings
