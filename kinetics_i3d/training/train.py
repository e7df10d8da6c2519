"""Training: a config and a dataset in, a checkpoint with its config and curves out."""

import csv
import math
import pathlib

import keras
from absl import logging

from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.data.pipeline import augmentation, training_clips
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.inflation import inflate
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.training.bfloat16 import keep_gradients_right
from kinetics_i3d.training.head_start import fit_head


def build(config, classes):
    """The model of a config with `classes` outputs, in the precision that is set now."""
    spec = config.train_spec()
    if config.inflate is None:
        model = InceptionI3D(
            architecture=config.architecture, classes=classes, dropout=config.dropout
        )
        model.clip_spec = spec
    else:
        image_model = InceptionV1(weights=config.inflate, architecture=config.architecture)
        model = inflate(
            image_model,
            classes=classes,
            temporal=config.temporal,
            clip_spec=spec,
            dropout=config.dropout,
        )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = config.norm_momentum
        if layer.name.startswith(tuple(config.freeze)):
            layer.trainable = False
    keep_gradients_right(model, (config.frames, config.size, config.size))
    return model


def make_optimizer(config, steps_per_epoch):
    """The optimizer of a config, with its schedule."""
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        decay_steps=max(1, steps_per_epoch * (config.epochs - 1)),
        warmup_target=config.learning_rate,
        warmup_steps=steps_per_epoch,
    )
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    decay = {"weight_decay": config.weight_decay}
    if config.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, **decay, **average)
    return keras.optimizers.SGD(rate, momentum=0.9, **decay, **average)


def train(dataset, config, output, *, spec_name="custom", about=None):
    """Trains an `InceptionI3D` on a dataset.

    A run that was stopped goes on from its last whole epoch when it is started again with the same
    config and output; one that had finished is only read.

    Args:
        dataset: A `VideoDataset` of training videos.
        config: A `TrainConfig`.
        output: Folder for `weights.h5`, `config.json` and `history.csv`.
        spec_name: Name of the `ClipSpec` that the weights carry.
        about: A JSON-ready dictionary that the weights carry.

    Returns:
        The trained model, in float32.

    Raises:
        FileExistsError: If `output` holds a run of another config.
    """
    output = pathlib.Path(output)
    if (output / "weights.h5").is_file() and (output / "config.json").is_file():
        _claim(output / "config.json", config)
        logging.info("%s: trained already", output)
        return InceptionI3D(weights=output / "weights.h5")
    keras.utils.set_random_seed(config.seed)
    steps = math.ceil(len(dataset) / config.batch)
    spec = config.train_spec()
    augment = augmentation(spec, area=config.area, flip=config.flip, color=config.color)
    sampling = {"spec": spec, "frames": config.frames, "batch": config.batch, "augment": augment}
    clips = training_clips(dataset, **sampling, mixup=config.mixup, seed=config.seed)
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(config.precision)
    try:
        model = build(config, len(dataset.labels))
    finally:
        keras.config.set_dtype_policy(policy)
    _claim(output / "config.json", config)
    # Keras leaves XLA off on CPUs, where it is several times slower here; so does this.
    model.compile(
        make_optimizer(config, steps),
        loss=keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=config.label_smoothing
        ),
        metrics=["accuracy"],
    )
    if config.head_start:
        unmixed = training_clips(dataset, **sampling, seed=config.seed + 1)
        fit_head(model, unmixed, steps * config.head_start)
    logging.info("%d videos, %d steps an epoch, %d epochs", len(dataset), steps, config.epochs)
    model.fit(
        clips,
        steps_per_epoch=steps,
        epochs=config.epochs,
        shuffle=False,  # The pipeline shuffles.
        verbose=2,
        callbacks=[
            keras.callbacks.BackupAndRestore(output / "backup"),
            keras.callbacks.CSVLogger(output / "history.csv", append=True),
            keras.callbacks.TerminateOnNaN(),
        ],
    )
    save_weights(
        model,
        output / "weights.h5",
        labels=dataset.labels,
        clip_spec=config.test_spec(spec_name),
        about=about,
    )
    return InceptionI3D(weights=output / "weights.h5")


def read_history(path):
    """The curves of a run: a list with a dictionary of floats for each epoch of `history.csv`."""
    with open(path, newline="", encoding="utf-8") as file:
        # Keras writes NA where a run has no such curve, such as those of validation.
        return [
            {key: float(value) for key, value in row.items() if value != "NA"}
            for row in csv.DictReader(file)
        ]


def _claim(path, config):
    if path.is_file() and path.read_text(encoding="utf-8") != config.to_json():
        raise FileExistsError(f"{path}: a run of another config is here; choose another output")
    with atomic_path(path) as temporary:
        temporary.write_text(config.to_json(), encoding="utf-8")
