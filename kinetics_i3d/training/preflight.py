"""Checks before the first step: of the output folder, the videos, the devices and the config."""

import contextlib
import json
import os
import pathlib
import tempfile

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.json_objects import parse_object
from kinetics_i3d.data.copies import copies_across
from kinetics_i3d.data.video_dataset import SHARE, group_sources, split_undivided
from kinetics_i3d.training.config import recorded_fields
from kinetics_i3d.training.distribute import process_of
from kinetics_i3d.training.errors import TrainingError


def check_output(folder, config):
    """Raises an error if a run cannot use its output folder.

    Args:
        folder: A `pathlib.Path`, which may be missing.
        config: The `TrainConfig`.

    Raises:
        FileExistsError: If it holds a run of another config that `extends` does not allow, or other
            weights.
        TrainingError: If it is not writable.
    """
    path = folder / "config.json"
    if not path.is_file() and (folder / "weights.h5").is_file():
        # They would look like the result of this run if it were stopped.
        raise FileExistsError(
            f"{folder / 'weights.h5'}: the weights of a run would replace these; choose another "
            "output"
        )
    different = differences(folder, config) if path.is_file() else {}
    if different and not extends(folder, config):
        listed = ", ".join(
            # As one line: the file may have any fields.
            f"{' '.join(field.split())}={before!r} there, {now!r} here"
            for field, (before, now) in different.items()
        )
        raise FileExistsError(
            f"{path}: belongs to a run with a different config; choose another output (only more "
            f"`epochs` continue the run). Different: {listed}"
        )
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    # Only a trial: a mistake in the config, found later, must not leave an empty folder behind.
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=existing):
        return
    raise TrainingError(f"{folder}: the folder is not writable; choose another output")


def check_classes(folder, before, now):
    """Raises `FileExistsError` if the run in a folder has other classes, or another order."""
    if tuple(before) != tuple(now):
        different = sorted({*before} ^ {*now})
        if not different:
            raise FileExistsError(
                f"{folder}: belongs to a run with the same classes in another order; choose "
                "another output"
            )
        raise FileExistsError(
            f"{folder}: belongs to a run with different classes; choose another output. "
            f"Different: {', '.join(map(repr, different[:5]))}"
        )


def extends(folder, config):
    """Whether `config` is that of the run in a folder, with more epochs."""
    if config.steps or not (folder / "config.json").is_file():
        return False
    different = differences(folder, config)
    if different.keys() != {"epochs"}:
        return False
    before, now = different["epochs"]
    return isinstance(before, int) and isinstance(now, int) and before < now


def differences(folder, config):
    """The fields in which a config differs from the run in a folder.

    Fields of an earlier version are read as `recorded_fields` does. A field that depends on the
    dataset is compared by the value that it would get.

    Args:
        folder: A `pathlib.Path` with a `config.json`.
        config: A `TrainConfig`.

    Returns:
        {field: (value there, value here)}; empty for the same config.
    """
    path = pathlib.Path(folder) / "config.json"
    try:
        before = parse_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"config.json": ("not readable", "a config")}
    before = recorded_fields(before)
    resolved = config.for_labels(multi_label=before["loss"] == "sigmoid")
    now = json.loads(resolved.to_json())  # as JSON has it: tuples are lists
    return {
        field: (before.get(field), now.get(field))
        for field in (*now, *(field for field in before if field not in now))
        if field not in before or field not in now or not _same(field, before[field], now[field])
    }


def _same(field, before, now):
    """Whether two values of a field are equal; paths of one file are."""
    if field in ("weights", "inflate") and None not in (before, now) and os.path.exists(now):
        return os.path.realpath(before) == os.path.realpath(now)
    return before == now


def training_and_validation(dataset, config):
    """The videos to train on, and those to validate on.

    If the videos have no splits, a fraction of each class is held out; `split="all"` trains on all.

    Args:
        dataset: A `VideoDataset` or `Records`.
        config: A `TrainConfig`.

    Returns:
        Two `VideoDataset`s or `RecordSplit`s; the second is `None` without validation.

    Raises:
        DatasetError: If a split is missing or empty, or the validation split is a fraction of
            records.
    """
    share = None if config.validation in dataset.splits else config.validation_share
    if _has_to_be_split(dataset, config):
        share = SHARE if share is None else _checked_share(share, config)
        training, held_out = split_undivided(dataset, share=share, seed=config.seed)
        return training, held_out if len(held_out) else None
    if dataset.is_undivided and not dataset.lists_videos and config.split == "train":
        raise DatasetError(
            f"{dataset.name}: these records have no splits; prepare them in another folder to hold "
            "out videos for validation, or train on all of them: split 'all'"
        )
    training = dataset.split(config.split)
    if config.validation is None:
        return training, None
    if share is None:
        if config.validation == config.split:
            raise DatasetError(
                f"the validation split {config.split!r} is also the training split; use another, "
                "or a fraction such as 0.1"
            )
        return training, dataset.split(config.validation)
    _checked_share(share, config)
    if training.lists_videos:
        training = group_sources(training)
    kept, held_out = training.hold_out(share, seed=config.seed)
    if not len(held_out):
        raise DatasetError(
            f"{training.name}: no videos can be held out for validation, because all videos of "
            "each class have the same source"
        )
    return kept, held_out


def warn_about_copies(training, validation):
    """Logs a warning if videos to validate on are also trained on, even under other paths."""
    if validation is None or not (training.lists_videos and validation.lists_videos):
        return
    copies = copies_across({"training": training.videos, "validation": validation.videos})
    if copies:
        logging.warning(
            "%s: %d videos are both trained and validated on, such as %s",
            training.name,
            len(copies),
            " and ".join(copies[0][:2]),
        )


def check_run(config, training, strategy):
    """Raises `ValueError` if a config does not fit the devices or the videos.

    Args:
        config: A `TrainConfig`.
        training: The training videos.
        strategy: A `tf.distribute.Strategy`.
    """
    import tensorflow as tf

    if config.precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise ValueError(
            "`precision` must be 'float32' or 'mixed_bfloat16' on a CPU, where TensorFlow has no "
            "3D max pool in half precision. Received: precision='mixed_float16'"
        )
    parts = strategy.num_replicas_in_sync * config.accumulate
    if config.batch_size % parts:
        raise ValueError(
            f"`batch_size` must be a multiple of {parts}, {strategy.num_replicas_in_sync} devices "
            f"times accumulate={config.accumulate}. Received: batch_size={config.batch_size!r}"
        )
    if strategy.num_replicas_in_sync > 1 and (config.linear_probe or config.transfer == "fixed"):
        field, right = ("linear_probe", "0") if config.linear_probe else ("transfer", "'full'")
        raise ValueError(
            f"`{field}` must be {right} on several devices. "
            f"Received: {field}={getattr(config, field)!r}"
        )
    if config.linear_probe and config.system != "InceptionI3D":
        raise ValueError(
            f"`linear_probe` must be 0 for {config.system}. "
            f"Received: linear_probe={config.linear_probe!r}"
        )
    if not class_counts(training).any():
        raise DatasetError(f"{training.name}: no training video has a label")
    if config.loss == "softmax" and training.multi_label:
        raise ValueError(
            f"`loss` must be 'sigmoid' (or 'auto') for {training.name}, whose videos may have "
            "several labels. Received: loss='softmax'"
        )
    # Mean average precision needs the scores of all videos in one process.
    if config.loss == "sigmoid" and process_of(strategy)[1] > 1:
        raise ValueError(
            "`loss` must be 'softmax' on several processes, which would each validate on videos of "
            "their own. Received: loss='sigmoid'"
        )
    if config.label_smoothing and config.loss == "softmax" and len(training.labels) < 2:
        raise ValueError(
            "`label_smoothing` must be 0 for a single class. "
            f"Received: label_smoothing={config.label_smoothing!r}"
        )


def class_counts(training):
    """Number of training videos of each class, int64 (classes,).

    Args:
        training: A `VideoDataset` or a `RecordSplit`.
    """
    counts = training.class_counts()
    return np.array([counts.get(label, 0) for label in training.labels], np.int64)


def _has_to_be_split(dataset, config):
    """Whether the dataset has no splits, and the config names none that it would need."""
    has_default = config.validation in (None, "val") or config.validation_share is not None
    is_wanted = config.split == "train" and has_default and dataset.lists_videos
    return is_wanted and dataset.is_undivided


def _checked_share(share, config):
    if not 0 < share < 1:
        raise DatasetError(
            "validation must be a split, or a fraction above 0 and below 1, not "
            f"{config.validation}"
        )
    return share
