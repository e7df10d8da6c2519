"""Training: videos and a config in; weights, curves and a state to go on from out.

Carreira & Zisserman, CVPR 2017, section 2.5.
"""

import math
import pathlib

import keras
from absl import logging

from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.training.distribute import make_strategy, place
from kinetics_i3d.training.head_start import fit_head
from kinetics_i3d.training.inputs import training_batches, validation_batches
from kinetics_i3d.training.interruption import asked_to_stop
from kinetics_i3d.training.loop import Loop
from kinetics_i3d.training.network import build, builder_of, members, streams_of
from kinetics_i3d.training.optimizers import averaged, make_optimizer, prepare_optimizer
from kinetics_i3d.training.preflight import check_output, check_run, open_any, parts
from kinetics_i3d.training.results import event_writer, keep_weights, write_history
from kinetics_i3d.training.statistics import recalibrate
from kinetics_i3d.training.step import Step


def train(
    dataset,
    config,
    output,
    *,
    spec_name="custom",
    about=None,
    distribute="none",
    save_every=500,
    tensorboard=False,
):
    """Trains a network on videos or on prepared records.

    A run that was stopped or killed goes on from its last state when it is started again with the
    same config and output, and ends with the weights that it would have had; one that had finished
    is only read.

    Args:
        dataset: A `VideoDataset`, the `Records` of prepared videos, or the path of either.
        config: A `TrainConfig`; it names the split of the dataset.
        output: Folder for `weights.h5`, `config.json`, `history.csv` and the states; with
            validation also `best.h5`, and with `config.keep` the weights of the last epochs.
        spec_name: Name of the `ClipSpec` that the weights carry.
        about: A JSON-ready dictionary that the weights carry.
        distribute: Over which devices: `"none"`, `"auto"`, `"mirrored"` or `"multiworker"`.
        save_every: Steps between states; there is one after each epoch anyway.
        tensorboard: Whether to write the curves for TensorBoard too, into `tensorboard/`.

    Returns:
        The trained model, in float32.

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
    check_output(output, config)
    if (output / "weights.h5").is_file() and (output / "config.json").is_file():
        logging.info("%s: trained already", output)
        return builder_of(config)(weights=output / "weights.h5")
    streams = streams_of(config)
    training, validation = parts(open_any(dataset), config)
    strategy = make_strategy(distribute)
    index, workers = here = place(strategy)
    check_run(config, training, strategy)
    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = build(config, training.labels)
        optimizer = make_optimizer(config)
        prepare_optimizer(optimizer, model)
    step = Step(
        model,
        optimizer,
        network=members(model),
        smoothing=config.label_smoothing,
        accumulate=config.accumulate,
        clip_norm=config.clip_norm,
        strategy=strategy,
    )
    if index == 0:
        _claim(output / "config.json", config)

    def batches(seed, **options):
        return training_batches(
            training,
            config,
            streams,
            batch=config.batch // workers,
            seed=seed,
            shard=here,
            **options,
        )

    facts = {
        "labels": training.labels,
        "clip_spec": config.test_specs(streams, spec_name),
        "about": about,
    }
    board = event_writer(output / "tensorboard") if tensorboard and index == 0 else None

    def report(found, improved):
        write_history(output / "history.csv", found.history)
        with averaged(optimizer, model):
            kept = {"epoch": len(found.history), "keep": config.keep, "improved": improved}
            keep_weights(model, output, **kept, **facts)
        if board:
            row = found.history[-1]
            board(found.step, {name: row[name] for name in row if name not in ("epoch", "step")})

    def validate():
        with averaged(optimizer, model):
            return _validate(step, validation, config, streams, here)

    loop = Loop(
        config,
        step,
        output,
        per_epoch=math.ceil(len(training) / config.batch),
        place=here,
        save_every=save_every,
        validate=validate if validation is not None else None,
        reports=(report,),
        board=board,
    )
    examples, done = loop.resume()
    if index == 0:
        write_history(output / "history.csv", loop.facts.history)
    if config.head_start and not done:
        unmixed = ((clips, targets) for clips, targets, _ in batches(config.seed + 1))
        fit_head(model, unmixed, loop.per_epoch * config.head_start)
    logging.info("%d videos, %d steps, %d of an epoch", len(training), loop.total, loop.per_epoch)
    with asked_to_stop() as question:
        clips = batches(config.seed, mixup=config.mixup, start=(examples, done))
        loop.run(iter(clips), question)
    optimizer.finalize_variable_values(model.trainable_variables)
    if config.norm == "recalibrate":
        seen = (clips for clips, _, _ in batches(config.seed + 2))
        recalibrate(model, seen, config.norm_batches, strategy=strategy)
    if index == 0:
        save_weights(model, output / "weights.h5", **facts)
        return builder_of(config)(weights=output / "weights.h5")
    return model


def _validate(step, source, config, streams, here):
    """(loss, accuracy) over videos, the same on all processes."""
    sums = [0.0, 0.0, 0.0]
    batch = max(config.batch // here[1], step.replicas)
    for clips, targets, counts in validation_batches(
        source, config, streams, batch=batch, seed=config.seed + 3, shard=here
    ):
        for number, found in enumerate((*step.test(clips, targets), 1.0)):
            sums[number] += float((found * counts.numpy()).sum())
    loss, right, count = step.total(sums)
    return float(loss / count), float(right / count)


def _claim(path, config):
    with atomic_path(path) as temporary:
        temporary.write_text(config.to_json(), encoding="utf-8")
