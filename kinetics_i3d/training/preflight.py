"""What is checked before the first step: the output, the videos, the devices and the config."""

import contextlib
import json
import os
import pathlib
import tempfile

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.data.datasets import VideoDataset, open_dataset
from kinetics_i3d.data.records.clips import RecordSplit
from kinetics_i3d.data.records.manifest import is_records
from kinetics_i3d.data.records.reader import open_records
from kinetics_i3d.data.split import SHARE, is_undivided, split_undivided
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
    other = path.is_file() and path.read_text(encoding="utf-8") != config.to_json()
    if other and not extends(folder, config):
        raise FileExistsError(
            f"{path}: a run of another config is here; choose another output (more `epochs` of the "
            "same config go on with it)"
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
    folder = pathlib.Path(folder)
    try:
        before = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    wanted = json.loads(config.to_json())
    more = not config.steps and before.get("epochs", wanted["epochs"]) < wanted["epochs"]
    return more and {**before, "epochs": 0} == {**wanted, "epochs": 0}


def check_backend():
    """Raises `TrainingError` on another backend than TensorFlow, whose graphs the steps are."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise TrainingError(
            f"training runs on Keras' TensorFlow backend, and this is {keras.backend.backend()}; "
            "unset KERAS_BACKEND, or use `fit` as docs/distributed.md shows"
        )


def open_any(dataset):
    """A `VideoDataset` or `Records`: those given, or what lies at a path.

    Raises:
        DatasetError: If there is nothing of a known kind.
    """
    if not isinstance(dataset, (str, os.PathLike)):
        return dataset
    return open_records(dataset) if is_records(dataset) else open_dataset(dataset)


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
    training = _split(dataset, config.split)
    if config.validation is None:
        return training, None
    if config.share is None:
        if config.validation == config.split:
            raise DatasetError(
                f"validation is the split {config.split!r} that is trained on; take another, or a "
                "share such as 0.1"
            )
        return training, _split(dataset, config.validation)
    _checked(config.share, config)
    if not isinstance(training, VideoDataset):
        raise DatasetError("validation must be a split where records are trained on, not a share")
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
    if config.label_smoothing and len(training.labels) < 2:
        raise ValueError(
            "`label_smoothing` must be 0 for a single class. "
            f"Received: label_smoothing={config.label_smoothing!r}"
        )


def _needs_split(dataset, config):
    """Whether a split has to be made: none is there, and none but the usual ones is asked for."""
    usual = config.validation in (None, "val") or config.share is not None
    return (
        isinstance(dataset, VideoDataset)
        and config.split == "train"
        and usual
        and is_undivided(dataset)
    )


def _checked(share, config):
    if not 0 < share < 1:
        raise DatasetError(
            f"validation must be a split, or a share above 0 and below 1, not {config.validation}"
        )
    return share


def _check_left(training, share):
    if not len(training):
        raise DatasetError(f"{training.name}: validation of {share:g} leaves nothing to train")


def _split(dataset, name):
    if isinstance(dataset, VideoDataset):
        return dataset.split(name)
    if isinstance(dataset, RecordSplit):
        dataset = dataset.records
    found = RecordSplit(dataset, name)
    if not len(found):
        raise DatasetError(f"{dataset.folder}: the split {name!r} holds no records")
    return found
