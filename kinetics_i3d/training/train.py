"""`train`: from videos and a config to weights and curves.

Carreira & Zisserman, CVPR 2017, section 2.5.
"""

import pathlib
from collections.abc import Mapping
from typing import Any

import keras
from absl import logging

from kinetics_i3d.core.file_warnings import one_warning_per_file
from kinetics_i3d.core.label_files import read_labels
from kinetics_i3d.core.types import Labels, PathLike, check_count, check_path, check_strings
from kinetics_i3d.data.dataset import Dataset
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.layers import check_backend, dtype_policy
from kinetics_i3d.models.pretrained import check_about, save_weights
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.distribute import (
    make_strategy,
    process_of,
)
from kinetics_i3d.training.errors import (
    TrainingError,
    reporting_write_errors,
    stop_on_sigterm,
)
from kinetics_i3d.training.network import (
    build,
    builder_of,
    streams_of,
)
from kinetics_i3d.training.optimizers import make_optimizer, prepare_optimizer
from kinetics_i3d.training.outputs import (
    CLASSES,
    write_history,
)
from kinetics_i3d.training.preflight import (
    check_classes,
    check_output,
    check_run,
    extends,
    training_and_validation,
    warn_about_copies,
)
from kinetics_i3d.training.run import Run
from kinetics_i3d.training.sources import ClipSource


@one_warning_per_file()
def train(
    dataset: PathLike | Dataset,
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

    Called again with the same config and output, a run that was stopped or killed resumes from its
    last state and ends with the weights that it would have had, bit for bit on one CPU; a finished
    run is only loaded. With more `epochs` and otherwise the same config, a finished run continues
    from its last state, at the learning rates of the longer run; the weights of the shorter one
    remain as `weights_before.h5`.

    Videos may have several labels, given by a table with a column `labels`. The loss is then a
    binary cross-entropy for each class, accuracy is the fraction of clips whose best class is one
    of their labels, and validation also gives the mean average precision.

    Args:
        dataset: A `VideoDataset`, the `Records` of prepared videos, or the path of either. If the
            videos have no splits, as in a folder per class, a fifth is held out for validation.
        config: A `TrainConfig`, which also names the splits of the dataset.
        output: Folder for `weights.h5`, `config.json`, `history.csv`, the class names in
            `videos.labels.txt`, and the states; with validation also for `best.h5` and
            `videos.csv`, a table of the videos with the splits `train` and `val`; with
            `config.keep` also for the weights of the last epochs.
        spec_name: Name of the `ClipSpec` that is stored with the weights.
        about: A dictionary that is stored with the weights, as for `save_weights`.
        distribute: The devices to use: `"none"` for one, `"auto"`, `"mirrored"` or `"multiworker"`.
        save_every: Steps between states. A state is also saved at the end of each epoch.
        tensorboard: Whether to also write curves and some clips for TensorBoard, into
            `tensorboard/`.
        weights_labels: Class names of `config.weights` if their file has none, for `head="keep"`,
            which requires the classes of the dataset in the same order.

    Returns:
        The trained model, in float32. With `distribute="multiworker"`, processes other than the
        first one return the network as it was trained, without labels.

    Raises:
        ValueError: If the config does not fit the network or the devices, or another argument is
            out of range.
        FileExistsError: If `output` holds a run with another config or other classes, or weights of
            no run.
        UserError: If the videos or the weights do not fit, if `output` cannot be written, if the
            data can no longer be read (the state is saved), or if the loss is not finite (the batch
            is saved).
        TrainingStopped: If the process received SIGTERM; the state is saved.

    Example:

    >>> config = ki3d.TrainConfig(
    ...     architecture="inception_v1_quarter", frames=9, size=32, test_size=32,
    ...     test_short_side=36, epochs=1, batch_size=1,
    ... )
    >>> model = ki3d.train(folder / "videos.csv", config, folder / "run")
    >>> model.labels
    ('sit', 'stand')
    """
    if not isinstance(config, TrainConfig):
        raise ValueError(f"`config` must be a TrainConfig. Received: config={config!r}")
    save_every = check_count("save_every", save_every)
    about = check_about(about)
    if weights_labels is not None:
        weights_labels = check_strings("weights_labels", weights_labels, of="class names")
    output = pathlib.Path(check_path("output", output))
    check_backend("training", TrainingError, "; or use `fit` as in docs/distributed.md")
    check_output(output, config)
    is_extended = extends(output, config)
    if not is_extended and _is_finished(output):
        logging.info("%s: already trained", output)
        with dtype_policy("float32"):
            trained = builder_of(config)(weights=output / "weights.h5")
        if isinstance(dataset, Dataset):
            check_classes(output, trained.labels, dataset.labels)
        return trained
    training, held_out = training_and_validation(open_dataset(dataset), config)
    if (output / CLASSES).is_file():
        check_classes(output, read_labels(output / CLASSES), training.labels)
    warn_about_copies(training, held_out)
    config = _with_loss(config, training)
    strategy = make_strategy(distribute)
    check_run(config, training, strategy)

    keras.utils.set_random_seed(config.seed)
    with strategy.scope():
        model = build(config, training.labels, weights_labels=weights_labels)
        optimizer = make_optimizer(config)
        prepare_optimizer(optimizer, model)
    process_rank, world_size = process_of(strategy)
    clips = ClipSource(
        config,
        streams_of(config),
        training,
        held_out,
        process_rank=process_rank,
        world_size=world_size,
    )
    metadata = {
        "labels": training.labels,
        "clip_spec": config.test_specs(clips.streams, spec_name),
        "about": about,
    }
    run = Run.of(
        config,
        output,
        model,
        optimizer,
        clips,
        strategy,
        metadata=metadata,
        tensorboard=tensorboard,
    )
    loop = run.loop(save_every)

    position = loop.resume()
    if run.is_first_process:
        run.claim_output(keep_old_weights=is_extended)
        write_history(output / "history.csv", loop.state.history)
    with stop_on_sigterm() as request:
        run.adapt_to_data(loop, request)
        run.train(loop, position, request)
        run.finish()
    if not run.is_first_process:
        return model
    with reporting_write_errors(output / "weights.h5"):
        save_weights(model, output / "weights.h5", **run.metadata)
    with dtype_policy("float32"):
        return builder_of(config)(weights=output / "weights.h5")


def _is_finished(output):
    return (output / "weights.h5").is_file() and (output / "config.json").is_file()


def _with_loss(config, training):
    """The config with the loss that the training videos need."""
    if config.loss == "auto" and training.multi_label:
        logging.info("%s: videos have several labels, so loss='sigmoid' is used", training.name)
    return config.for_labels(multi_label=training.multi_label)
