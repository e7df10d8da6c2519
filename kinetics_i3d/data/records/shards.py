"""The shards of prepared records: the assignment of videos to shards, and their writer."""

import collections
import concurrent.futures
import contextlib
import hashlib
import os
import pathlib
import random
import threading

from kinetics_i3d.core.errors import DatasetError, VideoError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.data.records import manifest as manifests
from kinetics_i3d.data.records.writer import encode_video


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
    split = manifests.read_shard_manifest(path, identity)
    if split is None:
        split = ShardWriter(labels, config, identity, 1, None).write({path: videos})[path]
    return split


class ShardWriter:
    """Encodes videos in threads, and writes them to their shards in the planned order."""

    def __init__(self, labels, config, settings, workers, progress):
        self.labels, self.config, self.settings = labels, config, settings
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
        manifests.write_shard_manifest(path, split, self.settings)
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


def file_sha256(path):
    """The checksum, hexadecimal, of a `pathlib.Path` or an `Address`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
