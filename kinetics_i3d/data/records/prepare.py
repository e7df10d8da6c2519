"""`prepare`: a dataset's videos decoded once and for all, as TFRecords that training reads quickly.

What one record holds: `kinetics_i3d.data.records`. Flow: that of the I3D release, in 8 bits.
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import hashlib
import importlib.metadata
import json
import os
import re
import threading

from kinetics_i3d.core.errors import DatasetError, VideoError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.locks import locked
from kinetics_i3d.core.processors import usable_processors
from kinetics_i3d.data.records import manifest as manifests
from kinetics_i3d.data.records.addresses import Address, path_or_address
from kinetics_i3d.data.records.config import PrepareConfig
from kinetics_i3d.data.records.reader import Records
from kinetics_i3d.data.records.shard_plan import plan_shards, summarize
from kinetics_i3d.data.records.writer import encode_video

LEFT_OVER = re.compile(r"\.(manifest|.+-\d{5}-of-\d{5})-[^-.]+\.(json|tfrecord)")


def prepare(dataset, folder, config=None, *, workers=None, progress=None):
    """Writes a dataset as shards of records, and `manifest.json` when all are done.

    A call that was stopped is finished by repeating it: shards that are done stay. So does, by
    repeating the call, a shard that was deleted come back. A shard's bytes depend on the videos and
    on `config` alone. A video that is missing or cannot be read is passed over and noted in the
    manifest.

    Args:
        dataset: A `VideoDataset`; every split of it is written.
        folder: Where to; made if missing.
        config: A `PrepareConfig`; None is the default one.
        workers: Videos worked on at once, a thread each; None is one for each processor. At most
            twice as many are in memory, coded.
        progress: Called with the number of videos done after each.

    Returns:
        `Records(folder)`.

    Raises:
        DatasetError: If the folder holds records of other settings, of which it names what differs,
            or another process is writing there, or a file cannot be written.
        UserError: If a package is missing that flow needs.
        ValueError: If `workers` is below 1.

    Example:

    >>> from kinetics_i3d.data.datasets import open_dataset
    >>> config = PrepareConfig(streams=("rgb",), quality=90)
    >>> records = prepare(open_dataset(folder), folder / "out", config)
    >>> records.count("train"), records.failures("train")
    (1, [])
    """
    config = PrepareConfig() if config is None else config
    workers = usable_processors() if workers is None else workers
    if workers < 1:
        raise ValueError(f"`workers` must be 1 or more. Received: workers={workers!r}")
    folder = path_or_address(folder)
    if isinstance(folder, Address):
        raise DatasetError(f"{folder}: records are written to a folder here, and then copied there")
    plan = plan_shards(dataset, size=config.shard_size, seed=config.seed)
    settings = {
        "labels": list(dataset.labels),
        **config.to_dict(),
        "videos": {name: summarize(shards) for name, shards in plan.items()},
    }
    settings = json.loads(json.dumps(settings))  # as it will be read: tuples are lists there
    shards = {folder / file: videos for split in plan.values() for file, videos in split}
    with _exclusive(folder):
        begun = _claim(folder, settings)
        known = manifests.digest(begun.settings)  # 25 frames a second are 25.0, written otherwise
        done = {path: manifests.noted_shard(path, known) for path in shards}
        missing = {path: videos for path, videos in shards.items() if done[path] is None}
        if missing:  # not complete any more, should it have been so
            manifests.write_manifest(folder, begun)
        writer = _Writer(dataset.labels, config, known, workers, progress)
        writer.report(sum(len(shards[path]) for path in shards if path not in missing))
        done |= writer.write(missing)
        splits = {
            name: manifests.Split.merge([done[folder / file] for file, _ in split])
            for name, split in plan.items()
        }
        manifests.write_manifest(folder, dataclasses.replace(begun, splits=splits))
    return Records(folder)


class _Writer:
    """Encodes videos in threads, and writes each shard in the order of its plan."""

    def __init__(self, labels, config, settings, workers, progress):
        self.labels, self.config, self.settings = labels, config, settings
        self.workers, self.progress = workers, progress
        self.videos = 0
        self.stop = threading.Event()

    def write(self, shards):
        """Writes the shards of {path: videos}; gives {path: `Split`}."""
        # One queue over all shards, so that no thread waits at the end of each.
        queue = ((name, video) for videos in shards.values() for name, video in videos)
        with contextlib.closing(self._encoded(queue)) as encoded:
            return {
                path: self._write_shard(path, videos, encoded) for path, videos in shards.items()
            }

    def report(self, videos):
        """Counts videos as done."""
        self.videos += videos
        if self.progress is not None and videos:
            self.progress(self.videos)

    def _write_shard(self, path, videos, encoded):
        import tensorflow as tf

        classes: collections.Counter = collections.Counter()
        failures = []
        try:
            with atomic_path(path) as temporary:
                with tf.io.TFRecordWriter(os.fspath(temporary)) as file:
                    for name, video in videos:
                        try:
                            file.write(next(encoded).result())
                            classes[video.label] += 1
                        except VideoError as error:
                            failures.append((name, str(error).removeprefix(f"{video.path}: ")))
                        self.report(1)
                size, checksum = temporary.stat().st_size, file_sha256(temporary)
        except tf.errors.OpError as error:
            raise DatasetError(f"{path}: cannot be written ({first_line(error)})") from error
        shard = manifests.Shard(path.name, sum(classes.values()), size, checksum)
        split = manifests.Split((shard,), dict(sorted(classes.items())), tuple(failures))
        manifests.note_shard(path, split, self.settings)
        return split

    def _encoded(self, queue):
        """A future for each video, in their order; some are ahead, so that all threads work."""
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
    """The checksum of a file, hexadecimal.

    Args:
        path: A `pathlib.Path` or an `Address`.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _claim(folder, settings):
    """The manifest of records that are begun here, without splits; refuses other settings."""
    if (folder / manifests.NAME).exists():
        found = manifests.read_manifest(folder, complete=False)
        other = manifests.differences(found.settings, settings)
        if other:
            raise DatasetError(
                f"{folder}: holds records of other settings: {'; '.join(other)}. Choose another "
                "folder or the same settings"
            )
        begun = dataclasses.replace(found, splits=None)
    else:
        begun = manifests.Manifest(settings, importlib.metadata.version("kinetics-i3d"))
    for path in folder.iterdir():
        if LEFT_OVER.fullmatch(path.name):  # a killed process had no time to clear up
            path.unlink()
    return begun


@contextlib.contextmanager
def _exclusive(folder):
    """Makes a folder, and refuses it while another process prepares records there."""
    with locked(folder / ".lock", wait=False) as is_free:
        if not is_free:
            raise DatasetError(f"{folder}: another process is preparing records there")
        yield
