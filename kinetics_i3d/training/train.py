"""Training: videos and a config in; weights, curves and a state to go on from out.

Carreira & Zisserman, CVPR 2017, section 2.5.
"""

import contextlib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from absl import logging

from kinetics_i3d.core.average_precision import mean_average_precision
from kinetics_i3d.core.file_warnings import one_warning_per_file
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.progress import stage
from kinetics_i3d.core.types import Labels, PathLike
from kinetics_i3d.data.datasets import VideoDataset
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.training.board import event_writer, write_clips
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.distribute import make_strategy, place
from kinetics_i3d.training.errors import TrainingStopped, among, writing
from kinetics_i3d.training.head_start import fit_head
from kinetics_i3d.training.interruption import asked_to_stop, heeded
from kinetics_i3d.training.loop import Loop
from kinetics_i3d.training.losses import balanced_weights
from kinetics_i3d.training.network import (
    build,
    builder_of,
    members,
    reads_other_stream,
    streams_of,
)
from kinetics_i3d.training.optimizers import averaged, make_optimizer, prepare_optimizer
from kinetics_i3d.training.parted import answer, part
from kinetics_i3d.training.preflight import (
    check_backend,
    check_output,
    check_run,
    class_counts,
    extends,
    is_multi_label,
    open_any,
    parts,
)
from kinetics_i3d.training.results import keep_weights, write_history, write_videos
from kinetics_i3d.training.sources import ClipSource, FeatureSource
from kinetics_i3d.training.statistics import recalibrate
from kinetics_i3d.training.step import Step


@one_warning_per_file()
def train(
    dataset: Any,
    config: TrainConfig,
    output: PathLike,
    *,
    spec_name: str = "custom",
    about: Mapping[str, Any] | None = None,
    distribute: str = "none",
    save_every: int = 500,
    tensorboard: bool = False,
    weights_labels: Labels | None = None,
) -> ClipModel:
    """Trains a network on videos or on prepared records.

    A run that was stopped or killed goes on from its last state when it is started again with the
    same config and output, and ends with the weights that it would have had; one that had finished
    is only read. On one CPU this is to the bit. With more `epochs` and the same config otherwise, a
    run goes on from its last state, at the rates that its schedule has in the longer run; the
    weights of the shorter one stay as `weights_before.h5`.

    Videos may have several labels, as a table with a column `labels` says. The loss is a binary
    cross-entropy for each class then, the accuracies are shares of the clips whose best class is
    one of theirs, and validation gives the mean average precision too.

    Args:
        dataset: A `VideoDataset`, the `Records` of prepared videos, or the path of either. Of
            videos without any split, such as a folder a class, a part is held out to validate on.
        config: A `TrainConfig`; it names the split of the dataset.
        output: Folder for `weights.h5`, `config.json`, `history.csv` and the states; with
            validation also `best.h5`, and `videos.csv`, a table of the videos with the splits
            `train` and `val`; with `config.keep` the weights of the last epochs.
        spec_name: Name of the `ClipSpec` that the weights carry.
        about: A JSON-ready dictionary that the weights carry.
        distribute: Over which devices: `"none"`, `"auto"`, `"mirrored"` or `"multiworker"`.
        save_every: Steps between states; there is one after each epoch anyway.
        tensorboard: Whether to write the curves and some clips for TensorBoard too, into
            `tensorboard/`.
        weights_labels: Class names of `config.weights` where their file brings none. They count
            with `head="keep"`, which needs the classes of the videos in the same order.

    Returns:
        The trained model, in float32; of several processes the first one's.

    Raises:
        ValueError: If the config does not fit the network or the devices.
        UserError: If the videos or the weights do not fit, if `output` cannot be written or holds a
            run of another config, or if the loss is not finite; its batch is saved.
        TrainingStopped: If the process was asked to end (SIGTERM) and has saved its state.

    Example:

    >>> from kinetics_i3d.training.config import TrainConfig
    >>> config = TrainConfig(
    ...     architecture="inception_v1_quarter", frames=9, size=32, test_size=32,
    ...     test_short_side=36, epochs=1, batch=1,
    ... )
    >>> model = train(folder / "videos.csv", config, folder / "run")
    >>> model.labels
    ('sit', 'stand')
    """
    output = pathlib.Path(output)
    check_backend()
    check_output(output, config)
    more = extends(output, config)
    if not more and (output / "weights.h5").is_file() and (output / "config.json").is_file():
        logging.info("%s: trained already", output)
        return builder_of(config)(weights=output / "weights.h5")
    streams = streams_of(config)
    training, held = parts(open_any(dataset), config)
    if config.loss == "auto" and is_multi_label(training):
        logging.info("%s: videos have several labels, so loss='sigmoid' is taken", training.name)
    config = config.for_labels(multi_label=is_multi_label(training))
    strategy = make_strategy(distribute)
    index, _ = here = place(strategy)
    check_run(config, training, strategy)
    weights = None
    if config.class_weights == "balanced":
        weights = balanced_weights(class_counts(training))
        least, most = weights[weights > 0].min(), weights.max()
        logging.info("class_weights='balanced': weights from %.3g to %.3g", least, most)
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = build(config, training.labels, weights_labels=weights_labels)
        optimizer = make_optimizer(config)
        prepare_optimizer(optimizer, model)
    clips = ClipSource(config, streams, training, held, place=here)
    source, step = _source_and_step(config, clips, model, optimizer, strategy, output, weights)
    facts = {
        "labels": training.labels,
        "clip_spec": config.test_specs(streams, spec_name),
        "about": about,
    }
    board = event_writer(output / "tensorboard") if tensorboard and index == 0 else None
    loop = Loop(
        config,
        step,
        output,
        per_epoch=source.per_epoch,
        place=here,
        save_every=save_every,
        validate=None
        if held is None
        else _validation(step, source, optimizer, model, output, total=len(held)),
        report=_report(config, optimizer, model, output, facts, board),
        board=board,
    )
    if index == 0:
        if more:  # the weights of the shorter run stay under another name
            with contextlib.suppress(FileNotFoundError):
                os.replace(output / "weights.h5", output / "weights_before.h5")
        _claim(output / "config.json", config)
        if isinstance(held, VideoDataset):
            write_videos(output / "videos.csv", training, held)
            logging.info("%s lists the videos of both parts", output / "videos.csv")
    start = loop.resume()
    if index == 0:
        write_history(output / "history.csv", loop.facts.history)
    with asked_to_stop() as question:
        # Several processes would have to agree; they do so in the steps of the loop alone.
        alone = question if here[1] == 1 else None
        clips.question = alone
        # The state of a fixed run holds its classifier alone: its backbone is measured each time.
        if reads_other_stream(config) and (config.transfer == "fixed" or not loop.facts.step):
            logging.info("measures the statistics of batch norm on %s", " and ".join(streams))
            seen = (batch[0] for batch in clips.training(config.seed + 4))
            seen = heeded(seen, alone, output, "batch norm is measured")
            count = min(config.norm_batches, loop.per_epoch)
            with among(here[1], output):
                recalibrate(model, seen, count, strategy=strategy, frozen=True)
        if config.head_start and not loop.facts.step:
            unmixed = (batch[:2] for batch in clips.training(config.seed + 1))
            unmixed = heeded(unmixed, alone, output, "the classifier is fitted")
            steps = loop.per_epoch * config.head_start
            logging.info("fits the classifier to the features of %d clips", steps * config.batch)
            fit_head(model, unmixed, steps, batch=config.batch, loss=config.loss)
        _run(loop, source, clips, start, board, question)
        optimizer.finalize_variable_values(model.trainable_variables)
        if config.norm == "recalibrate":
            seen = (batch[0] for batch in clips.training(config.seed + 2))
            seen = heeded(seen, alone, output, "batch norm is measured")
            with among(here[1], output):
                recalibrate(model, seen, config.norm_batches, strategy=strategy)
    if index == 0:
        with writing(output / "weights.h5"):
            save_weights(model, output / "weights.h5", **facts)
        return builder_of(config)(weights=output / "weights.h5")
    return model


def _run(loop, source, clips, start, board, question):
    """Trains until the last step, and shows some clips first."""
    config, output = clips.config, loop.output
    if board and not loop.facts.step:
        shown, *_ = next(iter(clips.training(config.seed, mixup=config.mixup)))
        write_clips(output / "tensorboard", shown)
    count = len(clips.videos)
    logging.info("%d videos, %d steps, %d of an epoch", count, loop.total, loop.per_epoch)
    with among(clips.place[1], output):
        batches = source.training(config.seed, mixup=config.mixup, start=start)
        loop.run(iter(batches), question)


def _source_and_step(config, clips, model, optimizer, strategy, output, weights):
    """Where batches come from, and what takes them: of a fixed trunk only its classifier."""
    source, answering, network = clips, model, members(model)
    if config.transfer == "fixed":
        trunk, network = part(model)
        source, answering = FeatureSource(clips, trunk, output / "features"), answer(network)
    step = Step(
        answering,
        optimizer,
        network=network,
        smoothing=config.label_smoothing,
        accumulate=config.accumulate,
        clip_norm=config.clip_norm,
        strategy=strategy,
        loss=config.loss,
        class_weights=weights,
    )
    return source, step


def _validation(step, source, optimizer, model, output, *, total):
    """A function of what tells whether to stop to the measures, the same on all processes."""

    def validate(stopped):
        sums = np.zeros(3)
        rows = []
        shown = stage("validation", total=total, noun="clips")
        with averaged(optimizer, model), shown as show:
            for clips, targets, counts in source.validation():
                if stopped():
                    raise TrainingStopped(f"{output}: stopped in a validation; goes on with it")
                loss, right, logits = step.test_with_logits(clips, targets)
                if step.loss == "sigmoid":
                    kept = counts.numpy() > 0
                    rows.append((logits[kept], np.asarray(targets)[kept]))
                sums += [float((one * counts.numpy()).sum()) for one in (loss, right, 1.0)]
                show(int(sums[-1]))
        loss, right, count = step.total(sums)
        measures = {"val_loss": float(loss / count), "val_accuracy": float(right / count)}
        if rows:
            scores, truth = map(np.concatenate, zip(*rows, strict=True))
            measures["val_map"] = mean_average_precision(scores, truth)
        return measures

    return validate


def _report(config, optimizer, model, output, facts, board):
    """A function that writes what an epoch leaves: curves, and the weights that are kept."""

    def report(found, improved):
        with writing(output), averaged(optimizer, model):
            kept = {"epoch": len(found.history), "keep": config.keep, "improved": improved}
            write_history(output / "history.csv", found.history)
            keep_weights(model, output, **kept, **facts)
        if board:
            row = found.history[-1]
            board(found.step, {name: row[name] for name in row if name not in ("epoch", "step")})

    return report


def _claim(path, config):
    with atomic_path(path) as temporary:
        temporary.write_text(config.to_json(), encoding="utf-8")
