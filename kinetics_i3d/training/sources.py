"""`ClipSource`, `FeatureSource`: where a run's batches come from, the videos or a frozen trunk.

Carreira & Zisserman, CVPR 2017, table 4: of "fixed" features only the classifier is trained.
"""

import functools
import math

from absl import logging

from kinetics_i3d.training.errors import writing
from kinetics_i3d.training.features import make_features
from kinetics_i3d.training.inputs import once, training_batches, validation_batches


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


class FeatureSource:
    """Batches of the features of a frozen trunk, which runs once over each clip.

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

        def batches():
            logging.info("%s: makes the features of %d clips", self.folder, limit)
            return once(self.clips.training(config.seed), limit)

        with writing(self.folder, "nothing is trained yet"):
            return make_features(self.folder / "training", self.trunk, batches, total=limit)

    @functools.cached_property
    def _held(self):
        with writing(self.folder):
            return make_features(
                self.folder / "validation",
                self.trunk,
                self.clips.validation,
                total=len(self.clips.held),
            )

    def training(self, seed, *, mixup=0.0, start=(0, 0)):
        """Endless batches of features, as `Features.training` gives; they are not mixed."""
        del mixup
        return self._trained.training(batch=self.clips.config.batch, seed=seed, start=start[0])

    def validation(self):
        """One pass over features, as `Features.validation` gives."""
        return self._held.validation(batch=self.clips.config.batch)
