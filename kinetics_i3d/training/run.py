"""`Run`: the parts of a training run, and its stages."""

import contextlib
import dataclasses
import hashlib
import os
import pathlib
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.average_precision import mean_average_precision
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.label_files import write_labels
from kinetics_i3d.core.progress import stage
from kinetics_i3d.training.batch_norm import recalibrate
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.distribute import (
    reporting_lost_processes,
)
from kinetics_i3d.training.errors import (
    TrainingStopped,
    reporting_write_errors,
    until_stopped,
)
from kinetics_i3d.training.features import FeatureSource
from kinetics_i3d.training.head import fit_linear_probe, split_head, sum_logits
from kinetics_i3d.training.loop import Callbacks, Loop
from kinetics_i3d.training.network import (
    per_stream_logits,
    reads_other_stream,
)
from kinetics_i3d.training.optimizers import averaged_weights
from kinetics_i3d.training.outputs import (
    CLASSES,
    keep_weights,
    tensorboard_writer,
    write_clips_to_tensorboard,
    write_history,
    write_videos,
)
from kinetics_i3d.training.preflight import (
    class_counts,
)
from kinetics_i3d.training.sources import ClipSource
from kinetics_i3d.training.step import Objective, Step, balanced_weights


@dataclasses.dataclass(frozen=True)
class Run:
    """The parts of a run, and its stages.

    Args:
        config: A `TrainConfig` whose `loss` is not `"auto"`.
        output: The output folder.
        model: The whole network.
        optimizer: The optimizer of `model`.
        clips: The `ClipSource`.
        source: The source of the training batches: `clips`, or with `transfer="fixed"` a
            `FeatureSource`.
        step: The `Step`, of the model or of its head.
        metadata: Arguments of `save_weights`.
        write_scalars: Writes scalars for TensorBoard, or `None`.
    """

    config: TrainConfig
    output: pathlib.Path
    model: Any
    optimizer: Any
    clips: ClipSource
    source: ClipSource | FeatureSource
    step: Step
    metadata: dict
    write_scalars: Any = None

    @classmethod
    def of(cls, config, output, model, optimizer, clips, strategy, *, metadata, tensorboard=False):
        """The run of these parts, with the source and the step that its config requires."""
        source, trained, network = clips, model, per_stream_logits(model)
        if config.transfer == "fixed":
            # The steps see only the head: the backbone is not in the graph, and cannot change.
            backbone, network = split_head(model)
            source, trained = (
                FeatureSource(clips, backbone, output / "features"),
                sum_logits(network),
            )
        step = Step(
            trained,
            optimizer,
            network=network,
            objective=Objective(
                config.loss, config.label_smoothing, _balanced_weights(config, clips.videos)
            ),
            accumulate=config.accumulate,
            global_clipnorm=config.global_clipnorm,
            strategy=strategy,
        )
        writer = None
        if tensorboard and clips.process_rank == 0:
            writer = tensorboard_writer(output / "tensorboard")
        return cls(
            config, output, model, optimizer, clips, source, step, metadata, write_scalars=writer
        )

    @property
    def is_first_process(self):
        """Whether this process writes the files."""
        return self.clips.process_rank == 0

    def loop(self, save_every):
        """The `Loop` of the steps."""
        return Loop(
            self.config,
            self.step,
            self.output,
            steps_per_epoch=self.source.steps_per_epoch,
            videos=_checksum(self.clips.videos, self.clips.held_out),
            process_rank=self.clips.process_rank,
            world_size=self.clips.world_size,
            save_every=save_every,
            callbacks=Callbacks(
                None if self.clips.held_out is None else self._validate,
                self._end_epoch,
                self.write_scalars,
            ),
        )

    def claim_output(self, *, keep_old_weights):
        """Writes the files that identify the run in its folder."""
        if keep_old_weights:
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.output / "weights.h5", self.output / "weights_before.h5")
        with atomic_path(self.output / "config.json") as temporary:
            temporary.write_text(self.config.to_json(), encoding="utf-8")
        if self.clips.held_out is not None and self.clips.held_out.lists_videos:
            path = self.output / "videos.csv"
            write_videos(path, self.clips.videos, self.clips.held_out)
            logging.info("%s lists the training and validation videos", path)
        else:
            write_labels(self.output / CLASSES, self.clips.videos.labels)

    def adapt_to_data(self, loop, request):
        """Before the first step, measures batch norm on a new stream and fits the classifier."""
        config = self.config
        # Several processes would have to agree to stop, which they do only in the steps.
        self.clips.stop_request = request if self.clips.world_size == 1 else None
        is_new = not loop.state.step
        # A state with transfer="fixed" holds the head alone: the backbone is adapted in each call.
        if reads_other_stream(config) and (config.transfer == "fixed" or is_new):
            logging.info("measuring batch norm on %s", " and ".join(self.clips.streams))
            count = min(config.recalibration_batches, loop.steps_per_epoch)
            self._recalibrate(config.seed + 4, count, include_frozen=True)
        if config.linear_probe and is_new:
            clips = (batch[:2] for batch in self.clips.training(config.seed + 1))
            clips = self._until_stopped(clips, "fitting the classifier")
            steps = loop.steps_per_epoch * config.linear_probe
            logging.info(
                "fitting the classifier to the features of %d clips", steps * config.batch_size
            )
            fit_linear_probe(
                self.model, clips, steps, batch_size=config.batch_size, loss=config.loss
            )

    def train(self, loop, position, request):
        """Trains from a position of the data until the last step."""
        config = self.config
        if self.write_scalars and not loop.state.step:
            clips, *_ = next(iter(self.clips.training(config.seed, mixup=config.mixup)))
            write_clips_to_tensorboard(self.output / "tensorboard", clips)
        logging.info(
            "%d videos, %d steps, %d per epoch",
            len(self.clips.videos),
            loop.total_steps,
            loop.steps_per_epoch,
        )
        with reporting_lost_processes(self.clips.world_size, self.output):
            batches = self.source.training(config.seed, mixup=config.mixup, start=position)
            with contextlib.closing(batches):
                loop.run(batches, request)

    def finish(self):
        """After the last step, takes the average of the weights and recalibrates batch norm."""
        self.optimizer.finalize_variable_values(self.model.trainable_variables)
        if self.config.batch_norm == "recalibrate":
            self._recalibrate(self.config.seed + 2, self.config.recalibration_batches)

    def _recalibrate(self, seed, count, *, include_frozen=False):
        clips = (batch[0] for batch in self.clips.training(seed))
        clips = self._until_stopped(clips, "measuring batch norm")
        with reporting_lost_processes(self.clips.world_size, self.output):
            recalibrate(
                self.model,
                clips,
                count,
                strategy=self.step.strategy,
                include_frozen=include_frozen,
            )

    def _until_stopped(self, batches, activity):
        return until_stopped(batches, self.clips.stop_request, self.output, activity)

    def _validate(self, stop_requested):
        """The validation columns of the history, the same in all processes."""
        sums = np.zeros(3)  # of losses, correct predictions and clips
        rows = []
        shown = stage("validation", total=len(self.clips.held_out), noun="clips")
        with averaged_weights(self.optimizer, self.model), shown as show:
            for clips, targets, counts in self.source.validation():
                if stop_requested():
                    raise TrainingStopped(
                        f"{self.output}: stopped while validating; run the same command to resume"
                    )
                losses, correct, logits = self.step.test(clips, targets)
                if self.config.loss == "sigmoid":
                    counted = counts.numpy() > 0
                    rows.append((logits[counted], np.asarray(targets)[counted]))
                sums += [
                    float((values * counts.numpy()).sum()) for values in (losses, correct, 1.0)
                ]
                show(int(sums[-1]))
        loss, correct, count = self.step.all_reduce_sum(sums)
        columns = {"val_loss": float(loss / count), "val_accuracy": float(correct / count)}
        if rows:
            scores, truth = map(np.concatenate, zip(*rows, strict=True))
            columns["val_map"] = mean_average_precision(scores, truth)
        return columns

    def _end_epoch(self, state, improved):
        """Writes the curves and the weights of an epoch."""
        with (
            reporting_write_errors(self.output),
            averaged_weights(self.optimizer, self.model),
        ):
            write_history(self.output / "history.csv", state.history)
            keep_weights(
                self.model,
                self.output,
                epoch=len(state.history),
                keep=self.config.keep,
                improved=improved,
                **self.metadata,
            )
        if self.write_scalars:
            row = {k: v for k, v in state.history[-1].items() if k not in ("epoch", "step")}
            self.write_scalars(state.step, row)


def _checksum(*sources):
    """A checksum of the videos or records of sources; `None` is no source."""
    digest = hashlib.sha256()
    for source in sources:
        for row in () if source is None else source.identity():
            digest.update(repr(row).encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _balanced_weights(config, training):
    if config.class_weight != "balanced":
        return None
    weights = balanced_weights(class_counts(training))
    logging.info(
        "class_weight='balanced': weights from %.3g to %.3g",
        weights[weights > 0].min(),
        weights.max(),
    )
    return weights
