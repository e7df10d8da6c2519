"""The training pipeline: from a table of videos to batches of clips, by tf.data.

Carreira & Zisserman, CVPR 2017, section 2.5: random start among those early enough, short videos
looped, random crop and flip the same for the whole clip.
"""

import itertools

import numpy as np
import tensorflow as tf
from absl import logging

from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.data import transforms
from kinetics_i3d.video.clip import loop_frames
from kinetics_i3d.video.reader import probe, read_frames


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
    spare = (probe(path).duration or 0) - frames / spec.fps
    start = max(0.0, spare) * position
    stream = read_frames(path, start=start, **spec.reading)
    try:
        clip = np.stack(list(itertools.islice(stream, frames)))
    finally:
        stream.close()
    return loop_frames(clip, frames)


def augmentation(spec, *, area=(0.3, 1.0), flip=True, color=True):
    """The training augmentation: (clip of pixels, seed) to a normalised clip of `spec.size`."""
    ops = [transforms.random_resized_crop(spec.size, area=area)]
    if flip:
        ops.append(transforms.random_flip())
    if color:
        ops.append(transforms.color_jitter())
    return transforms.compose(*ops, transforms.normalize(spec))


def training_clips(
    dataset, *, spec, frames, batch, augment, mixup=0.0, seed=0, workers=tf.data.AUTOTUNE
):
    """Endless shuffled batches of augmented clips.

    Args:
        dataset: A `VideoDataset`.
        spec: The `ClipSpec` of the model to train.
        frames: Frames a clip.
        batch: Clips a batch.
        augment: An op `(clip, seed) -> clip`, such as `augmentation(spec)`.
        mixup: Alpha of `transforms.mixup`; 0 leaves it out.
        seed: The same seed gives the same batches whatever `workers` is.
        workers: Videos decoded at a time.

    Returns:
        A `tf.data.Dataset` of (clips, targets): float32 (batch, frames, spec.size, spec.size,
        channels) in the spec's range, and one-hot float32 (batch, classes). A video that cannot be
        decoded is logged and skipped.
    """
    paths = [str(video.path) for video in dataset.videos]
    labels = [dataset.labels.index(video.label) for video in dataset.videos]
    shape = (frames, spec.size, spec.size, spec.channels)
    failed = set()

    def decode(path, position):
        try:
            return decode_window(path.decode(), spec=spec, frames=frames, position=float(position))
        except VideoError as error:
            logging.warning("skipped: %s", error)
            failed.add(path)
            if len(failed) == len(paths):  # else an endless search for one that can be decoded
                raise DatasetError(f"{dataset.name}: no video can be decoded") from error
            return np.zeros((0, 1, 1, 3), np.uint8)

    def load(number, video):
        path, label = video
        seeds = tf.random.split((seed, tf.cast(number, tf.int32)), num=2, alg="philox")
        position = tf.random.stateless_uniform((), seeds[0])
        clip = tf.numpy_function(decode, (path, position), tf.uint8)
        clip.set_shape((None, None, None, 3))
        return clip, seeds[1], label

    def finish(clip, clip_seed, label):
        target = tf.one_hot(label, len(dataset.labels))
        return tf.ensure_shape(augment(clip, clip_seed), shape), target

    batches = (
        tf.data.Dataset.from_tensor_slices((paths, labels))
        .shuffle(len(paths), seed=seed)
        .repeat()
        .enumerate()
        .map(load, num_parallel_calls=workers)
        .filter(lambda clip, *_: tf.shape(clip)[0] > 0)
        .map(finish, num_parallel_calls=workers)
        .batch(batch)
    )
    if mixup:
        blend = transforms.mixup(mixup)
        batches = batches.enumerate().map(
            lambda number, pair: blend(*pair, (seed + 1, tf.cast(number, tf.int32)))
        )
    return batches.prefetch(2)
