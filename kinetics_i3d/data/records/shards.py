"""The shards of prepared records: which videos they contain, how they are written and checked.

The fields of a record are those of MediaSequence, https://github.com/google-ai-edge/mediapipe
(`util/sequence`). Flow is stored in the format of its `FlowToImageCalculator`, but by default it is
rounded instead of truncated.
"""

import collections
import concurrent.futures
import contextlib
import functools
import hashlib
import os
import pathlib
import random
import threading

import numpy as np

from kinetics_i3d.core.errors import DatasetError, VideoError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.data.records import manifest as manifests
from kinetics_i3d.data.records.reader import DATA_PATH, LABEL_INDEX, LABEL_NAME, PREFIX
from kinetics_i3d.flow.compute import read_both
from kinetics_i3d.video.reader import read_frames

MICROSECONDS = 1_000_000
MAX_RECORD_BYTES = 2**31 - 2**20  # of the pictures of a record; protobuf is limited to 2 GiB


def plan_shards(dataset, *, size, seed=0):
    """Shuffles the videos of each split and distributes them over shards.

    Args:
        dataset: A `VideoDataset`. Missing videos are assigned too, so that the assignment does not
            depend on which videos have been downloaded.
        size: Number of videos per shard.
        seed: Seed of the shuffle.

    Returns:
        {split: list of (file name, list of (name, `Video`))}; the name of a video is its path
        relative to their common folder, followed by its span.

    Raises:
        DatasetError: If there are no videos, or the name of a split is not a valid file name.
    """
    every = dataset.videos + dataset.missing
    if not every:
        raise DatasetError(f"{dataset.name}: no videos")
    paths = [pathlib.Path(os.path.abspath(video.path)) for video in every]
    root = os.path.commonpath([path.parent for path in paths])
    by_split = collections.defaultdict(list)
    for path, video in zip(paths, every, strict=True):
        name = path.relative_to(root).as_posix()
        by_split[video.split].append(
            (name if video.span is None else video.span.located(name), video)
        )
    plan = {}
    for split, videos in sorted(by_split.items()):
        if pathlib.PurePath(split).name != split or split.startswith("."):
            raise DatasetError(f"{dataset.name}: the split {split!r} is not a valid file name")
        videos.sort(key=lambda pair: pair[0])
        random.Random(f"{seed} {split}").shuffle(videos)
        parts = [videos[first : first + size] for first in range(0, len(videos), size)]
        plan[split] = [
            (f"{split}-{index:05d}-of-{len(parts):05d}.tfrecord", part)
            for index, part in enumerate(parts)
        ]
    return plan


def write_shard(path, videos, labels, config, identity):
    """Writes one shard with one thread, unless it exists.

    Args:
        path: The file.
        videos: List of (name, `Video`).
        labels: Class names in order.
        config: A `PrepareConfig`.
        identity: The digest of the settings.

    Returns:
        The `Split` of this shard.

    Raises:
        DatasetError: If it cannot be written.
    """
    split = manifests.read_shard_manifest(path, identity, multi_label=has_several_labels(videos))
    if split is None:
        split = ShardWriter(labels, config, identity, 1, None).write({path: videos})[path]
    return split


def has_several_labels(videos):
    """Whether the videos of a shard, a list of (name, `Video`), may have several labels or none."""
    return any(video.labels is not None for _, video in videos)


class ShardWriter:
    """Encodes videos in threads, and writes them to their shards in the planned order.

    An instance can write only once.

    Args:
        labels: Class names in order.
        config: A `PrepareConfig`.
        identity: The digest of the settings.
        workers: Number of threads.
        progress: Called with the number of finished videos, or `None`.
    """

    def __init__(self, labels, config, identity, workers, progress):
        self.labels, self.config, self.identity = labels, config, identity
        self.workers, self.progress = workers, progress
        self.videos = 0
        self.stop = threading.Event()

    def write(self, shards):
        """Writes the shards of {path: videos}; returns {path: `Split`}."""
        # One queue over all shards, so that no thread waits at the end of each.
        queue = ((name, video) for videos in shards.values() for name, video in videos)
        with contextlib.closing(self._encoded(queue)) as encoded:
            return {
                path: self._write_shard(path, videos, encoded) for path, videos in shards.items()
            }

    def report(self, videos):
        """Reports videos as finished."""
        self.videos += videos
        if self.progress is not None and videos:
            self.progress(self.videos)

    def _write_shard(self, path, videos, encoded):
        import tensorflow as tf

        classes: collections.Counter = collections.Counter()
        records, failures = 0, []
        try:
            with atomic_path(path) as temporary:
                with tf.io.TFRecordWriter(os.fspath(temporary)) as file:
                    for name, video in videos:
                        try:
                            file.write(next(encoded).result())
                            classes.update(video.classes)
                            records += 1
                        except VideoError as error:
                            failures.append((name, str(error).removeprefix(f"{video.path}: ")))
                        self.report(1)
                size, checksum = temporary.stat().st_size, file_sha256(temporary)
        except tf.errors.OpError as error:
            raise DatasetError(f"{path}: cannot be written ({first_line(error)})") from error
        shard = manifests.Shard(path.name, records, size, checksum)
        split = manifests.Split((shard,), dict(sorted(classes.items())), tuple(failures))
        manifests.write_shard_manifest(path, split, self.identity)
        return split

    def _encoded(self, queue):
        """Yields a future per video, in order, with enough videos ahead for all threads."""
        pending: collections.deque = collections.deque()
        pool = concurrent.futures.ThreadPoolExecutor(self.workers, thread_name_prefix="prepare")
        try:
            for name, video in queue:
                pending.append(pool.submit(self._encode, name, video))
                if len(pending) == 2 * self.workers:
                    yield pending.popleft()
            while pending:
                yield pending.popleft()
        finally:
            self.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)

    def _encode(self, name, video):
        return encode_video(
            video, name=name, labels=self.labels, config=self.config, stop=self.stop
        )


def file_sha256(path):
    """The checksum, hexadecimal, of a `pathlib.Path` or an `Address`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def encode_video(video, *, name, labels, config, stop=None):
    """Encodes a video as the bytes of its record, see `make_record`; None if stopped.

    Args:
        video: A `Video`.
        name: Its name in the record.
        labels: Class names in order.
        config: A `PrepareConfig`.
        stop: A `threading.Event` that stops the encoding.

    Raises:
        VideoError: If it cannot be decoded, has a single frame although flow is needed, or is too
            long for a record.
    """
    spec, flow = config.spec, config.flow
    if "flow" in config.streams:
        pairs = read_both(video.location, spec=spec, settings=flow, workers=1)
    else:
        pairs = ((frame, None) for frame in read_frames(video.location, **spec.reading))
    jpegs: dict = {stream: [] for stream in config.streams}
    size, total = None, 0
    with contextlib.closing(pairs):
        for frame, motion in pairs:
            if stop is not None and stop.is_set():
                return None
            size = frame.shape[:2]
            if "rgb" in jpegs:
                jpegs["rgb"].append(encode_frame(frame, quality=config.quality))
                total += len(jpegs["rgb"][-1])
            if motion is not None:
                quantized = flow.quantize(motion)
                jpegs["flow"].append(encode_flow_frame(quantized, quality=config.flow_quality))
                total += len(jpegs["flow"][-1])
            if total > MAX_RECORD_BYTES:
                raise VideoError(f"{video.path}: too long for a record (more than 2 GiB)")
    if "flow" in jpegs and not jpegs["flow"]:
        raise VideoError(f"{video.path}: has only one frame; optical flow needs two")
    return make_record(
        jpegs,
        size=size,
        fps=spec.fps,
        classes=video.classes,
        name=name,
        labels=labels,
        bound=flow.bound,
    )


def encode_frame(frame, *, quality):
    """Encodes a uint8 RGB picture (height, width, 3) as JPEG, with colors at half resolution."""
    import tensorflow as tf

    with tf.device("/CPU:0"):
        return tf.io.encode_jpeg(frame, "rgb", quality=quality).numpy()


def encode_flow_frame(quantized, *, quality):
    """Encodes quantized flow (height, width, 2) as JPEG: x is red, y green, as in MediaPipe.

    Colors have full resolution: at half resolution, edges of moving objects would be off by up to
    3 pixels. On real videos, with a bound of 20, JPEG adds 0.05 pixels on average at any quality
    from 95, since its color conversion changes a value by up to one. The worst error is 2 pixels
    at 95, 1 at 98, and 0.7 at 100, for almost twice the bytes.
    """
    import tensorflow as tf

    picture = np.concatenate([quantized, np.zeros_like(quantized[..., :1])], axis=-1)
    with tf.device("/CPU:0"):
        jpeg = tf.io.encode_jpeg(picture, "rgb", quality=quality, chroma_downsampling=False)
        return jpeg.numpy()


def make_record(jpegs, *, size, fps, classes, name, labels, bound=None):
    """The bytes of a `tf.train.SequenceExample`, which depend only on the arguments.

    Args:
        jpegs: {stream: list of JPEG bytes}.
        size: (height, width) of every picture.
        fps: Frames per second.
        classes: The video's classes, some of `labels`.
        name: The video's path in the dataset.
        labels: Class names in order.
        bound: Pixels of flow that 255 stands for, and 0 for its negative, if there is flow.
    """
    import tensorflow as tf

    example = tf.train.SequenceExample()
    context, lists = example.context.feature, example.feature_lists.feature_list
    context[LABEL_INDEX].int64_list.value.extend(labels.index(label) for label in classes)
    context[LABEL_NAME].bytes_list.value.extend(label.encode() for label in classes)
    context[DATA_PATH].bytes_list.value.append(name.encode(errors="surrogateescape"))
    for stream, pictures in jpegs.items():
        prefix = PREFIX[stream]
        context[f"{prefix}format"].bytes_list.value.append(b"JPEG")
        context[f"{prefix}height"].int64_list.value.append(size[0])
        context[f"{prefix}width"].int64_list.value.append(size[1])
        context[f"{prefix}channels"].int64_list.value.append(3)  # of the JPEG, for flow too
        context[f"{prefix}frame_rate"].float_list.value.append(fps)
        if stream == "flow":
            context[f"{prefix}saturation"].float_list.value.append(bound)
        encoded, stamps = lists[f"{prefix}encoded"], lists[f"{prefix}timestamp"]
        for index, jpeg in enumerate(pictures):
            encoded.feature.add().bytes_list.value.append(jpeg)
            time = round(index * MICROSECONDS / fps)
            stamps.feature.add().int64_list.value.append(time)
    # Protobuf maps have no defined order.
    return example.SerializeToString(deterministic=True)


_HEAD, _TAIL = 12, 4  # bytes before and after the data of a record


def check_framing(path):
    """Raises `DatasetError` unless the records of a shard end where the file does.

    A record of a TFRecord file consists of its length (8 bytes), a checksum of the length (4), the
    data, and a checksum of the data (4). TensorFlow allocates the length that a file declares,
    which can crash the process.
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

    Only the lengths are read, and once per file and process.
    """
    state = os.stat(path)
    _check_lengths(os.fspath(path), state.st_size, state.st_mtime_ns)


@functools.cache
def _check_lengths(path, size, _time):
    offset = 0
    with open(path, "rb", buffering=0) as file:
        while offset < size:
            file.seek(offset)
            head = file.read(_HEAD)
            offset += _HEAD + int.from_bytes(head[:8], "little") + _TAIL
            if len(head) < _HEAD or offset > size:
                raise DatasetError(
                    f"{path}: a record extends beyond the end of the file; delete the file, "
                    "and repeat the `prepare` that wrote it"
                )
