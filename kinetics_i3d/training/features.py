"""Features of a frozen backbone: computed once, kept on disk, and read in batches.

Carreira & Zisserman, CVPR 2017, section 5.1 and table 4 ("fixed"): only the classifier is trained,
so the backbone runs once over each clip.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import itertools
import json
import math
import os
import pathlib
import shutil

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import parse_object
from kinetics_i3d.core.progress import track
from kinetics_i3d.training.config import RENAMED_FIELDS
from kinetics_i3d.training.errors import reporting_write_errors, until_stopped

_ONLY = "clips"  # the name in files of the features of a network with a single classifier
_TARGETS = "targets"
_FINISHED, _UNFINISHED = "about.json", "begun.json"

# Fields of a config that do not change the features of a frozen backbone: those of the classifier's
# training, and those that the checksums of the weights and of the videos cover.
_NOT_OF_FEATURES = frozenset(
    [
        *("optimizer", "learning_rate", "schedule", "warmup", "patience", "weight_decay"),
        *(
            "global_clipnorm",
            "label_smoothing",
            "dropout",
            "ema",
            "epochs",
            "steps",
            "mixup",
            "keep",
        ),
        *("accumulate", "validate_every", "linear_probe", "weights", "inflate", "split"),
        *("validation", "loss", "class_weight"),
    ]
)


class FeatureSource:
    """Batches of features instead of the clips of a `ClipSource`.

    Features are computed again only for other clips or another backbone: a run with another
    learning rate reuses those of a run in a neighboring folder.

    Args:
        clips: A `ClipSource` of a single process.
        backbone: A functional model, as returned by `split_head`.
        folder: The folder in which the features are kept.
    """

    def __init__(self, clips, backbone, folder):
        self.clips, self.backbone, self.folder = clips, backbone, folder
        self.steps_per_epoch = clips.steps_per_epoch

    def training(self, seed, *, mixup=0.0, start=(0, 0)):
        """Endless batches, as from `Features.training`; there is no mixup."""
        del mixup
        return self._training.training(
            batch_size=self.clips.config.batch_size, seed=seed, start=start[0]
        )

    def validation(self):
        """One pass, as from `Features.validation`."""
        return self._validation.validation(batch_size=self.clips.config.batch_size)

    @functools.cached_property
    def _training(self):
        config = self.clips.config
        limit = config.feature_passes * len(self.clips.videos)

        def batches(start=(0, 0)):
            logging.info("%s: computing the features of %d clips", self.folder, limit - start[0])
            done = start[1]
            for clips, targets, numbers in self.clips.training(config.seed, start=tuple(start)):
                done += 1
                counts = tf.cast(numbers < limit, tf.float32)
                if tf.reduce_any(counts > 0):
                    yield clips, targets, counts, [int(numbers[-1]) + 1, done]
                if numbers[-1] >= limit - 1:
                    return

        with reporting_write_errors(self.folder, "nothing is trained yet"):
            return make_features(
                self.folder / "training",
                self.backbone,
                lambda *start: self._until_stopped(batches(*start)),
                key=self._key(self.clips.videos),
                total=limit,
            )

    @functools.cached_property
    def _validation(self):
        def batches(start=0):
            rest = itertools.islice(self.clips.validation(), start, None)
            return ((*batch, start + done) for done, batch in enumerate(rest, 1))

        with reporting_write_errors(self.folder):
            return make_features(
                self.folder / "validation",
                self.backbone,
                lambda *start: self._until_stopped(batches(*start)),
                key=self._key(self.clips.held_out),
                total=len(self.clips.held_out),
            )

    def _until_stopped(self, batches):
        request = self.clips.stop_request
        return until_stopped(batches, request, self.folder, "computing features")

    def _key(self, videos):
        """A checksum of everything that the features depend on."""
        # The version stands for the code that decodes, augments and computes.
        digest = hashlib.sha256(importlib.metadata.version("kinetics-i3d").encode())
        fields = dataclasses.asdict(self.clips.config)
        former = {now: name for name, now in RENAMED_FIELDS.items()}  # keeps features of these
        relevant = [
            (former.get(name, name), fields[name])
            for name in fields
            if name not in _NOT_OF_FEATURES
        ]
        digest.update(repr(relevant).encode())
        digest.update(repr((self.clips.streams, self.backbone.output_shape)).encode())
        for variable in self.backbone.weights:
            digest.update(f"{variable.shape} {variable.dtype}".encode())
            digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
        for row in videos.identity(self.clips.config.specs(self.clips.streams)):
            digest.update(repr(row).encode(errors="surrogateescape"))
        return digest.hexdigest()


class Features:
    """Rows of features and targets, read from disk as they are needed.

    Args:
        folder: A folder of `make_features`.
    """

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        with np.load(folder / "rows.npz") as rows:
            self.targets = rows["targets"]
            shapes = {name: tuple(rows[name]) for name in rows.files if name != "targets"}
        count = len(self.targets)
        self._arrays: dict = {
            name: np.memmap(folder / f"{name}.f32", np.float32, "r", shape=(count, *shape))
            for name, shape in shapes.items()
        }

    def __len__(self):
        return len(self.targets)

    def take(self, rows):
        """(features, targets) of some rows as tensors, in the form that the head reads."""
        tensors = {name: tf.constant(array[rows]) for name, array in self._arrays.items()}
        return tensors.get(_ONLY, tensors), tf.constant(self.targets[rows])

    def training(self, *, batch_size, seed, start=0):
        """Endless batches; each pass has all rows once, in a new order.

        Args:
            batch_size: Rows per batch.
            seed: Seed of the orders.
            start: Number of rows to skip; the batches are those that would follow them.

        Yields:
            (features, targets, numbers), as from `training_batches`.
        """
        count = len(self)

        # A batch spans at most two passes.
        @functools.lru_cache(maxsize=2)
        def order(turn):
            return np.random.default_rng((seed, turn)).permutation(count)

        while True:
            numbers = range(start, start + batch_size)
            rows = np.array([order(number // count)[number % count] for number in numbers])
            yield *self.take(rows), tf.constant(numbers, tf.int64)
            start += batch_size

    def validation(self, *, batch_size):
        """One pass in order.

        Args:
            batch_size: Rows per batch.

        Yields:
            (features, targets, counts), as from `validation_batches`.
        """
        for first in range(0, len(self), batch_size):
            rows = np.arange(first, first + batch_size)
            # The last batch is filled up with rows from the beginning, whose count is 0.
            yield *self.take(rows % len(self)), tf.constant(rows < len(self), tf.float32)


def make_features(folder, backbone, batches, *, key=None, total=None):
    """Runs a backbone over clips, unless this or a neighboring run has done so before.

    Args:
        folder: Output folder, written atomically.
        backbone: A functional model from clips to a tensor, or to {stream: tensor}.
        batches: A function that returns an iterable of (clips, targets, counts); rows whose count
            is 0 are left out. With a `key` the iterable is of (clips, targets, counts, position),
            and `batches(position)` continues after that batch; positions are JSON-ready.
        key: A checksum of everything that the features depend on. It identifies the features of
            other runs, and the unfinished ones of a run that was stopped. Without it only `folder`
            is examined.
        total: Number of clips, if known.

    Returns:
        `Features`.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir() and key is not None and _read_json(folder / _FINISHED, key) is None:
        logging.warning(
            "%s: these features belong to other weights or videos; recomputing them", folder
        )
        shutil.rmtree(folder)
    if folder.is_dir() or (key is not None and _link_from_neighbor(folder, key)):
        return Features(folder)
    unfinished = folder.with_name(f".{folder.name}-unfinished")
    progress = None if key is None else _read_unfinished(unfinished, key)
    if progress is None:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        progress = {"key": key, "rows": 0, "shapes": {}, "target": [], "position": None}
    try:
        _compute(unfinished, backbone, batches, progress, name=folder.name, total=total)
        targets = np.fromfile(unfinished / f"{_TARGETS}.f32", np.float32)
        targets = targets.reshape(progress["rows"], *progress["target"])
        np.savez(unfinished / "rows.npz", targets=targets, **progress["shapes"])
        (unfinished / f"{_TARGETS}.f32").unlink()
        (unfinished / _UNFINISHED).unlink(missing_ok=True)
        if key is not None:
            _write_json(unfinished / _FINISHED, {"key": key})
        os.replace(unfinished, folder)
    except BaseException:
        # Without a key no later run could identify them; with one it continues them.
        if key is None:
            shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Features(folder)


def _compute(folder, backbone, batches, progress, *, name, total):
    """Appends the features of all batches to files, and keeps `progress` up to date."""
    run = tf.function(lambda clips: backbone(clips, training=False), jit_compile=False)
    position = progress["position"]
    shown = track(
        batches() if position is None else batches(position),
        f"{name} features",
        total=None if total is None else total - progress["rows"],
        noun="clips",
        size=lambda batch: int(np.sum(batch[2])),
    )
    for clips, target, counts, *positions in shown:
        counted = np.asarray(counts) > 0
        outputs = run(clips)
        arrays = {
            stream: tf.cast(output, tf.float32).numpy()[counted]
            for stream, output in (
                outputs if isinstance(outputs, dict) else {_ONLY: outputs}
            ).items()
        }
        progress["shapes"] = {stream: values.shape[1:] for stream, values in arrays.items()}
        arrays[_TARGETS] = np.asarray(target, np.float32)[counted]
        progress["target"] = arrays[_TARGETS].shape[1:]
        for stream, values in arrays.items():
            # Appended: all features together may not fit into memory.
            with open(folder / f"{stream}.f32", "ab") as file:
                file.write(values.tobytes())
        progress["rows"] += int(counted.sum())
        if progress["key"] is not None:
            # Written after the rows: after a kill the files may be longer than this states, in
            # which case `_read_unfinished` truncates them, but never shorter.
            (progress["position"],) = positions
            _write_json(folder / _UNFINISHED, progress)


def _write_json(path, fields):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(fields), encoding="utf-8")


def _read_json(path, key):
    """The fields in a file; `None` if it cannot be read or has another key."""
    try:
        fields = parse_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return fields if fields.get("key") == key else None


def _read_unfinished(folder, key):
    """The progress of a stopped run, with its files cut to the last whole batch, or `None`."""
    progress = _read_json(folder / _UNFINISHED, key)
    if progress is None:
        return None
    for name, shape in {**progress["shapes"], _TARGETS: progress["target"]}.items():
        path, size = folder / f"{name}.f32", 4 * progress["rows"] * math.prod(shape)
        if not path.is_file() or path.stat().st_size < size:
            return None
        os.truncate(path, size)
    logging.info("%s: continuing after %d clips", folder, progress["rows"])
    return progress


def _link_from_neighbor(folder, key):
    """Links the same features of a run in a neighboring folder; returns whether there are any."""
    for path in sorted(folder.parent.parent.parent.glob(f"*/features/{folder.name}/{_FINISHED}")):
        if _read_json(path, key) is None:
            continue
        temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            shutil.copytree(path.parent, temporary, copy_function=_link_or_copy)
            os.replace(temporary, folder)
        except OSError as error:  # for example because the other run is being deleted
            logging.info("%s: cannot be used (%s)", path.parent, error)
            shutil.rmtree(temporary, ignore_errors=True)
            continue
        logging.info("%s: using the features of %s", folder, path.parent)
        return True
    return False


def _link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # some file systems have no hard links
        shutil.copy2(source, target)
