"""`Features`: what a frozen trunk makes of the videos, computed once and kept on disk.

Carreira & Zisserman, CVPR 2017, section 5.1 ("fixed"): only the classifier is trained, so the trunk
need not run again.
"""

import functools
import json
import math
import os
import pathlib
import shutil

import numpy as np
import tensorflow as tf
from absl import logging

from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.progress import track

ONLY = "clips"  # what the features of a network with one classifier are called in files
TARGETS = "targets"
ABOUT, BEGUN = "about.json", "begun.json"  # of whole features, and of those that are being made


class Features:
    """Rows of features and targets, read from disk as they are needed.

    Args:
        folder: Where `make_features` has written.
    """

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        with np.load(folder / "rows.npz") as rows:
            self.targets = rows["targets"]
            shapes = {name: tuple(rows[name]) for name in rows.files if name != "targets"}
        count = len(self.targets)
        self.parts: dict = {
            name: np.memmap(folder / f"{name}.f32", np.float32, "r", shape=(count, *shape))
            for name, shape in shapes.items()
        }

    def __len__(self):
        return len(self.targets)

    def take(self, rows):
        """(features, targets) of some rows as tensors, features as the head reads them."""
        made = {name: tf.constant(part[rows]) for name, part in self.parts.items()}
        return made.get(ONLY, made), tf.constant(self.targets[rows])

    def training(self, *, batch, seed, start=0):
        """Endless batches; each row comes once a pass, in another order.

        Args:
            batch: Rows a batch.
            seed: Of the order.
            start: Rows to leave out; what follows is what it would be after them.

        Yields:
            (features, targets, numbers), as `training_batches` gives.
        """
        count = len(self)

        @functools.lru_cache(maxsize=2)
        def order(turn):
            return np.random.default_rng((seed, turn)).permutation(count)

        while True:
            numbers = range(start, start + batch)
            rows = np.array([order(number // count)[number % count] for number in numbers])
            yield *self.take(rows), tf.constant(numbers, tf.int64)
            start += batch

    def validation(self, *, batch):
        """One pass in order.

        Args:
            batch: Rows a batch.

        Yields:
            (features, targets, counts), as `validation_batches` gives.
        """
        for first in range(0, len(self), batch):
            rows = np.arange(first, first + batch)
            yield *self.take(rows % len(self)), tf.constant(rows < len(self), tf.float32)


def make_features(folder, trunk, batches, *, key=None, total=None):
    """Runs a trunk over clips, unless that was done before, here or by a run beside this one.

    Args:
        folder: Where to; it appears whole or not at all.
        trunk: A functional model from clips to a tensor, or to {stream: tensor}.
        batches: Called for an iterable of (clips, targets, counts), where it was not done before;
            rows whose count is 0 are left out. With a `key`, of (clips, targets, counts, position):
            JSON-ready, what `batches` is called with to go on behind a batch.
        key: A checksum of all that the features depend on, by which those that another run made, or
            that a killed one had begun, are known again. Without it only `folder` itself counts.
        total: How many clips there are, where that is known.

    Returns:
        `Features`.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir() or (key is not None and _taken(folder, key)):
        return Features(folder)
    temporary = folder.with_name(f".{folder.name}-unfinished")
    begun = None if key is None else _begun(temporary, key)
    if begun is None:
        shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
        temporary.mkdir(parents=True)
        begun = {"key": key, "rows": 0, "shapes": {}, "target": [], "position": None}
    run = tf.function(lambda clips: trunk(clips, training=False), jit_compile=False)
    position = begun["position"]
    try:
        shown = track(
            batches() if position is None else batches(position),
            f"{folder.name} features",
            total=None if total is None else total - begun["rows"],
            noun="clips",
            size=lambda batch: int(np.sum(batch[2])),
        )
        for clips, wanted, counts, *after in shown:
            kept = np.asarray(counts) > 0
            made = run(clips)
            parts = {
                name: tf.cast(part, tf.float32).numpy()[kept]
                for name, part in (made if isinstance(made, dict) else {ONLY: made}).items()
            }
            begun["shapes"] = {name: values.shape[1:] for name, values in parts.items()}
            parts[TARGETS] = np.asarray(wanted, np.float32)[kept]
            begun["target"] = parts[TARGETS].shape[1:]
            for name, values in parts.items():
                # Row after row: there may be more of them than fits into memory.
                with open(temporary / f"{name}.f32", "ab") as file:
                    file.write(values.tobytes())
            begun["rows"] += int(kept.sum())
            if key is not None:
                (begun["position"],) = after
                _note(temporary / BEGUN, begun)
        targets = np.fromfile(temporary / f"{TARGETS}.f32", np.float32)
        targets = targets.reshape(begun["rows"], *begun["target"])
        np.savez(temporary / "rows.npz", targets=targets, **begun["shapes"])
        (temporary / f"{TARGETS}.f32").unlink()
        (temporary / BEGUN).unlink(missing_ok=True)
        if key is not None:
            _note(temporary / ABOUT, {"key": key})
        os.replace(temporary, folder)
    except BaseException:
        if key is None:  # else the next run goes on with it
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Features(folder)


def _note(path, fields):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(fields), encoding="utf-8")


def _read(path, key):
    """The fields that stand in a file, if they are those of this key; None else."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return fields if isinstance(fields, dict) and fields.get("key") == key else None


def _begun(temporary, key):
    """What a stopped run has made of these features, cut to its last whole batch; None if none."""
    begun = _read(temporary / BEGUN, key)
    if begun is None:
        return None
    for name, shape in {**begun["shapes"], TARGETS: begun["target"]}.items():
        path, size = temporary / f"{name}.f32", 4 * begun["rows"] * math.prod(shape)
        if not path.is_file() or path.stat().st_size < size:
            return None
        os.truncate(path, size)  # a batch may have been written in part
    logging.info("%s: goes on behind %d clips", temporary, begun["rows"])
    return begun


def _taken(folder, key):
    """Whether a run beside this one had the same features, which are linked then, not copied."""
    for about in sorted(folder.parent.parent.parent.glob(f"*/features/{folder.name}/{ABOUT}")):
        if _read(about, key) is None:
            continue
        temporary = folder.with_name(f".{folder.name}-{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            shutil.copytree(about.parent, temporary, copy_function=_linked)
            os.replace(temporary, folder)
        except OSError as error:  # such as that the other run is being removed
            logging.info("%s: not taken (%s)", about.parent, error)
            shutil.rmtree(temporary, ignore_errors=True)
            continue
        logging.info("%s: takes the features of %s", folder, about.parent)
        return True
    return False


def _linked(source, target):
    try:
        os.link(source, target)
    except OSError:  # some file systems have no links
        shutil.copy2(source, target)
