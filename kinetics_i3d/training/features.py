"""`Features`: what a frozen trunk makes of the videos, computed once and kept on disk.

Carreira & Zisserman, CVPR 2017, section 5.1 ("fixed"): only the classifier is trained, so the trunk
need not run again.
"""

import functools
import os
import pathlib
import shutil

import numpy as np
import tensorflow as tf

from kinetics_i3d.core.progress import track

ONLY = "clips"  # what the features of a network with one classifier are called in files


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


def make_features(folder, trunk, batches, *, total=None):
    """Runs a trunk over clips, unless that was done before.

    Args:
        folder: Where to; it appears whole or not at all.
        trunk: A functional model from clips to a tensor, or to {stream: tensor}.
        batches: Called for an iterable of (clips, targets, counts), where it was not done before;
            rows whose count is 0 are left out.
        total: How many clips there are, where that is known.

    Returns:
        `Features`.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir():
        return Features(folder)
    temporary = folder.with_name(f".{folder.name}-unfinished")
    shutil.rmtree(temporary, ignore_errors=True)  # of a run that was killed
    temporary.mkdir(parents=True)
    run = tf.function(lambda clips: trunk(clips, training=False), jit_compile=False)
    shapes: dict = {}
    targets: list = []
    try:
        shown = track(
            batches(),
            f"{folder.name} features",
            total=total,
            noun="clips",
            size=lambda batch: int(np.sum(batch[2])),
        )
        for clips, wanted, counts in shown:
            kept = np.asarray(counts) > 0
            made = run(clips)
            for name, part in (made if isinstance(made, dict) else {ONLY: made}).items():
                values = tf.cast(part, tf.float32).numpy()[kept]
                shapes[name] = values.shape[1:]
                # Row after row: there may be more of them than fits into memory.
                with open(temporary / f"{name}.f32", "ab") as file:
                    file.write(values.tobytes())
            targets.append(np.asarray(wanted)[kept])
        np.savez(temporary / "rows.npz", targets=np.concatenate(targets), **shapes)
        os.replace(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Features(folder)
