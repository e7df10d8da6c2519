"""`ClipSource`, `FeatureSource`: where a run's batches come from, the videos or a frozen trunk.

Carreira & Zisserman, CVPR 2017, table 4: of "fixed" features only the classifier is trained.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import itertools
import math
import typing

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from kinetics_i3d.training.errors import writing
from kinetics_i3d.training.features import make_features
from kinetics_i3d.training.inputs import training_batches, validation_batches
from kinetics_i3d.training.interruption import heeded


class ClipSource:
    """Batches of clips, made as they are needed.

    Args:
        config: A `TrainConfig`.
        streams: What its network reads.
        training: A `VideoDataset` or a `RecordSplit`.
        held: The same to validate on, or `None`.
        place: (index, count) of this process.
    """

    def __init__(self, config, streams, training, held, *, place=(0, 1)):
        self.config, self.streams, self.place = config, streams, place
        self.videos, self.held = training, held
        self.question: typing.Any = None  # whoever may ask the run to stop
        self.per_epoch = math.ceil(len(training) / config.batch)

    def training(self, seed, *, mixup=0.0, start=(0, 0)):
        """Endless batches, as `training_batches` gives."""
        return training_batches(
            self.videos,
            self.config,
            self.streams,
            batch=self.config.batch // self.place[1],
            seed=seed,
            mixup=mixup,
            shard=self.place,
            start=start,
        )

    def validation(self):
        """One pass, as `validation_batches` gives; in parts, where a batch does not fit at once."""
        config = self.config
        return validation_batches(
            self.held,
            config,
            self.streams,
            batch=config.batch // (self.place[1] * config.accumulate),
            seed=config.seed + 3,
            shard=self.place,
        )


# Fields of a config that say nothing of the features of a frozen trunk: the classifier's training,
# and what is known by the trunk's weights or by the videos themselves.
ELSEWHERE = frozenset(
    [
        *("optimizer", "learning_rate", "schedule", "warmup", "patience", "weight_decay"),
        *("clip_norm", "label_smoothing", "dropout", "ema", "epochs", "steps", "mixup", "keep"),
        *("accumulate", "validate_every", "head_start", "weights", "inflate", "split"),
        *("validation", "loss", "class_weights"),
    ]
)


class FeatureSource:
    """Batches of the features of a frozen trunk, which runs once over each clip.

    Features are recomputed only for other clips or another trunk: a run with another learning rate
    takes those of the run in the folder beside its own.

    Args:
        clips: A `ClipSource` of one process.
        trunk: A functional model, as `part` gives.
        folder: Where the features are kept.
    """

    def __init__(self, clips, trunk, folder):
        self.clips, self.trunk, self.folder = clips, trunk, folder
        self.per_epoch = clips.per_epoch

    @functools.cached_property
    def _trained(self):
        config = self.clips.config
        limit = config.feature_passes * len(self.clips.videos)

        def batches(start=(0, 0)):
            logging.info("%s: makes the features of %d clips", self.folder, limit - start[0])
            done = start[1]
            for clips, targets, numbers in self.clips.training(config.seed, start=tuple(start)):
                done += 1
                counts = tf.cast(numbers < limit, tf.float32)
                if tf.reduce_any(counts > 0):
                    yield clips, targets, counts, [int(numbers[-1]) + 1, done]
                if numbers[-1] >= limit - 1:
                    return

        with writing(self.folder, "nothing is trained yet"):
            return make_features(
                self.folder / "training",
                self.trunk,
                lambda *start: self._heeded(batches(*start)),
                key=self._key(self.clips.videos),
                total=limit,
            )

    @functools.cached_property
    def _held(self):
        def batches(start=0):
            rest = itertools.islice(self.clips.validation(), start, None)
            return ((*batch, start + done) for done, batch in enumerate(rest, 1))

        with writing(self.folder):
            return make_features(
                self.folder / "validation",
                self.trunk,
                lambda *start: self._heeded(batches(*start)),
                key=self._key(self.clips.held),
                total=len(self.clips.held),
            )

    def _heeded(self, batches):
        return heeded(batches, self.clips.question, self.folder, "the features are made")

    def _key(self, videos):
        """All that features depend on, as one checksum."""
        digest = hashlib.sha256(importlib.metadata.version("kinetics-i3d").encode())
        fields = dataclasses.asdict(self.clips.config)
        digest.update(repr([(k, v) for k, v in fields.items() if k not in ELSEWHERE]).encode())
        digest.update(repr((self.clips.streams, self.trunk.output_shape)).encode())
        for variable in self.trunk.weights:
            digest.update(f"{variable.shape} {variable.dtype}".encode())
            digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(variable)))
        for row in videos.identity(self.clips.config.specs(self.clips.streams)):
            digest.update(repr(row).encode(errors="surrogateescape"))
        return digest.hexdigest()

    def training(self, seed, *, mixup=0.0, start=(0, 0)):
        """Endless batches of features, as `Features.training` gives; they are not mixed."""
        del mixup
        return self._trained.training(batch=self.clips.config.batch, seed=seed, start=start[0])

    def validation(self):
        """One pass over features, as `Features.validation` gives."""
        return self._held.validation(batch=self.clips.config.batch)
