"""What is checked before the first step: the output, the videos, the devices and the config."""

import contextlib
import json
import pathlib
import tempfile

import numpy as np

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.video_dataset import SHARE, split_undivided
from kinetics_i3d.training.config import NEW_FIELDS
from kinetics_i3d.training.distribute import place
from kinetics_i3d.training.errors import TrainingError


def check_output(folder, config):
    """Raises where a run cannot write to its folder.

    Args:
        folder: A `pathlib.Path`; it is made if only it is missing.
        config: The `TrainConfig`.

    Raises:
        FileExistsError: If it holds a run of another config, which `extends` does not allow.
        TrainingError: If it is no folder, or nothing can be written there.
    """
    path = pathlib.Path(folder) / "config.json"
    different = differences(folder, config) if path.is_file() else {}
    if different and not extends(folder, config):
        listed = ", ".join(
            f"{field}={before!r} there, {now!r} here" for field, (before, now) in different.items()
        )
        raise FileExistsError(
            f"{path}: a run of another config is here; choose another output (more `epochs` of the "
            f"same config go on with it). Different: {listed}"
        )
    there = next(one for one in (folder, *folder.parents) if one.exists())
    # Only tried: what is wrong with the config shall leave nothing behind.
    with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=there):
        return
    raise TrainingError(f"{folder}: nothing can be written there; choose another output")


def extends(folder, config):
    """Whether a folder holds a finished run of the same config for fewer epochs.

    Args:
        folder: A `pathlib.Path`.
        config: A `TrainConfig` that counts by epochs.
    """
    if config.steps or not (pathlib.Path(folder) / "config.json").is_file():
        return False
    different = differences(folder, config)
    return different.keys() == {"epochs"} and _is_less(*different["epochs"])


def differences(folder, config):
    """The fields in which the run in a folder differs from a config.

    A field that `config.json` lacks, since the run was begun before there was such a field, has its
    default. A field that the config leaves to the dataset is compared by what it would become.

    Args:
        folder: A `pathlib.Path` with a `config.json`.
        config: A `TrainConfig`.

    Returns:
        {field: (value there, value here)}; empty for the same config.
    """
    path = pathlib.Path(folder) / "config.json"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = None
    if not isinstance(before, dict):
        return {"config.json": ("not readable", "a config")}
    before = NEW_FIELDS | before
    wanted = config.for_labels(multi_label=before["loss"] == "sigmoid")
    now = json.loads(wanted.to_json())
    return {
        field: (before.get(field), now.get(field))
        for field in (*now, *(field for field in before if field not in now))
        if field not in before or field not in now or before[field] != now[field]
    }


def _is_less(before, now):
    return isinstance(before, int) and isinstance(now, int) and before < now


def check_backend():
    """Raises `TrainingError` on another backend than TensorFlow, whose graphs the steps are."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"training runs on Keras' TensorFlow backend, and this is {keras.backend.backend()}; "
            "unset KERAS_BACKEND, or use `fit` as docs/distributed.md shows"
        )


def parts(dataset, config):
    """The videos to train on, and those to validate on.

    Of videos that no list and no folder assigns to a split, a part of every class is held out to
    validate on; `split="all"` trains on all of them.

    Args:
        dataset: A `VideoDataset` or `Records`.
        config: A `TrainConfig`.

    Returns:
        Two `VideoDataset`s or `RecordSplit`s; the second is `None` where none is asked for.

    Raises:
        DatasetError: If there is no such split, it is empty, or a share is asked of records.
    """
    if _needs_split(dataset, config):
        share = SHARE if config.share is None else _checked(config.share, config)
        training, held = split_undivided(dataset, share=share, seed=config.seed)
        _check_left(training, share)
        return training, held if len(held) else None
    training = dataset.split(config.split)
    if config.validation is None:
        return training, None
    if config.share is None:
        if config.validation == config.split:
            raise DatasetError(
                f"validation is the split {config.split!r} that is trained on; take another, or a "
                "share such as 0.1"
            )
        return training, dataset.split(config.validation)
    _checked(config.share, config)
    kept, held = training.hold_out(config.share, seed=config.seed)
    _check_left(kept, config.share)
    return kept, held


def check_run(config, training, strategy):
    """Raises where a config does not fit the devices.

    Args:
        config: A `TrainConfig`.
        training: What it is trained on.
        strategy: A `tf.distribute.Strategy`.

    Raises:
        ValueError: If the precision does not run there, the batch cannot be parted, or something is
            asked for that one device alone can do.
    """
    import tensorflow as tf

    if config.precision == "mixed_float16" and not tf.config.list_physical_devices("GPU"):
        raise ValueError(
            "`precision` must be 'float32' or 'mixed_bfloat16' on a CPU, where TensorFlow has no "
            "3D max pool in half precision. Received: precision='mixed_float16'"
        )
    parts = strategy.num_replicas_in_sync * config.accumulate
    if config.batch % parts:
        raise ValueError(
            f"`batch` must be a multiple of {parts}, {strategy.num_replicas_in_sync} devices times "
            f"accumulate={config.accumulate}. Received: batch={config.batch!r}"
        )
    if strategy.num_replicas_in_sync > 1 and (config.head_start or config.transfer == "fixed"):
        field, right = ("head_start", "0") if config.head_start else ("transfer", "'full'")
        raise ValueError(
            f"`{field}` must be {right} on several devices. "
            f"Received: {field}={getattr(config, field)!r}"
        )
    if config.head_start and config.system != "InceptionI3D":
        raise ValueError(
            f"`head_start` must be 0 for {config.system}. "
            f"Received: head_start={config.head_start!r}"
        )
    if config.loss == "softmax" and training.multi_label:
        raise ValueError(
            f"`loss` must be 'sigmoid' (or 'auto') for {training.name}, whose videos may have "
            "several labels. Received: loss='softmax'"
        )
    if config.loss == "sigmoid" and place(strategy)[1] > 1:
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
    """int64 array (classes,): the training videos that have each class.

    Args:
        training: A `VideoDataset` or a `RecordSplit`.
    """
    counts = training.class_counts()
    return np.array([counts.get(label, 0) for label in training.labels], np.int64)


def _needs_split(dataset, config):
    """Whether a split has to be made: none is there, and none but the usual ones is asked for."""
    usual = config.validation in (None, "val") or config.share is not None
    return config.split == "train" and usual and dataset.is_undivided


def _checked(share, config):
    if not 0 < share < 1:
        raise DatasetError(
            f"validation must be a split, or a share above 0 and below 1, not {config.validation}"
        )
    return share


def _check_left(training, share):
    if not len(training):
        raise DatasetError(f"{training.name}: validation of {share:g} leaves nothing to train")
