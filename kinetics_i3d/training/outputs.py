"""The files that a run writes besides its state: curves, weights, videos, TensorBoard events.

TensorBoard's events are written without `tf.summary.scalar` and `.image`, which need TensorBoard to
be installed where the run is.
"""

import csv
import dataclasses
import re

import numpy as np

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.files import atomic_path, read_text
from kinetics_i3d.models.pretrained import save_weights

COLUMNS = (
    "epoch",
    "step",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "steps_per_second",
    "clips_per_second",
    "waiting",
)
_MAP = "val_map"  # a column only of multi-label runs
_EPOCH = re.compile(r"weights-epoch-(\d+)\.h5")

CLASSES = "videos.labels.txt"  # the class names, named as those of the table videos.csv


def write_history(path, rows):
    """Writes the curves of a run, a dictionary per epoch; missing values stay empty."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        columns = (*COLUMNS, _MAP) if any(_MAP in row for row in rows) else COLUMNS
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_history(path):
    """The rows of a `history.csv` as dictionaries of floats.

    A last line without a line end is left out: the run was killed, or is still writing it.

    Raises:
        DatasetError: If the file cannot be read, or a value is not a number.
    """
    text = read_text(path)
    reader = csv.DictReader(text[: text.rfind("\n") + 1].splitlines())
    rows = []
    for row in reader:
        try:
            rows.append({key: float(row[key]) for key in row if row[key] not in ("", "NA")})
        except (TypeError, ValueError) as error:
            raise DatasetError(
                f"{path}, line {reader.line_num}: must have a number or nothing for each column "
                "of the header"
            ) from error
    return rows


def write_videos(path, training, validation):
    """Writes a table, as `open_dataset` reads it, of the training and the validation videos.

    Args:
        path: The csv file.
        training: A `VideoDataset`; its videos get the split `train`.
        validation: A `VideoDataset`; its videos get the split `val`.
    """
    videos = tuple(
        dataclasses.replace(video, split=split)
        for split, dataset in (("train", training), ("val", validation))
        for video in dataset.videos
    )
    dataclasses.replace(training, videos=videos, missing=()).write_table(path)


def keep_weights(model, folder, *, epoch, keep, improved, **metadata):
    """Writes an epoch's weights, and deletes those that are too old.

    Args:
        model: The model.
        folder: A `pathlib.Path`.
        epoch: The number of the epoch, from 1.
        keep: Number of epochs whose weights are kept; 0 writes none.
        improved: Whether to write them to `best.h5` too.
        metadata: Arguments of `save_weights`.
    """
    if improved:
        save_weights(model, folder / "best.h5", **metadata)
    if not keep:
        return
    save_weights(model, folder / f"weights-epoch-{epoch:04d}.h5", **metadata)
    for file in folder.glob("weights-epoch-*.h5"):
        match = _EPOCH.fullmatch(file.name)
        if match and int(match[1]) <= epoch - keep:
            file.unlink()


def tensorboard_writer(folder):
    """A function (step, {name: value}) that writes scalars for TensorBoard into a folder."""
    import tensorflow as tf

    writer = tf.summary.create_file_writer(str(folder))

    def write(step, values):
        with writer.as_default(step=step):
            metadata = _plugin_metadata("scalars", "DATA_CLASS_SCALAR")
            for name, value in values.items():
                tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)
        writer.flush()

    return write


def write_clips_to_tensorboard(folder, clips, *, count=4, frames=8):
    """Writes the first clips of a batch for TensorBoard, each as a strip of frames.

    Args:
        folder: Output folder.
        clips: (batch, frames, height, width, channels), -1 to 1, or {stream: clips}.
        count: Maximum number of clips.
        frames: Maximum number of frames of each.
    """
    import tensorflow as tf

    if not isinstance(clips, dict):
        clips = {"rgb" if clips.shape[-1] == 3 else "flow": clips}
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default(step=0):
        for stream, batch in clips.items():
            strips = [frame_strip(clip, frames) for clip in np.asarray(batch[:count], np.float32)]
            height, width, _ = strips[0].shape
            pngs = [tf.io.encode_png(strip).numpy() for strip in strips]
            tf.summary.write(
                f"clips/{stream}",
                tf.constant([str(width).encode(), str(height).encode(), *pngs]),
                metadata=_plugin_metadata("images", "DATA_CLASS_BLOB_SEQUENCE"),
            )
    writer.close()


def frame_strip(clip, frames):
    """Evenly spaced frames of a clip side by side, uint8 (height, frames * width, 3).

    Args:
        clip: float32 (frames, height, width, 3), -1 to 1; or (..., 2) of flow, whose x is shown in
            red and y in green.
        frames: Maximum number of frames.
    """
    chosen = np.linspace(0, len(clip) - 1, min(frames, len(clip))).astype(int)
    pixels = np.clip(np.rint((clip[chosen] + 1) * 127.5), 0, 255).astype(np.uint8)
    if pixels.shape[-1] == 2:
        pixels = np.pad(pixels, [(0, 0)] * 3 + [(0, 1)], constant_values=128)
    return np.concatenate(list(pixels), axis=1)


def _plugin_metadata(plugin, data_class):
    import tensorflow as tf

    metadata = tf.compat.v1.SummaryMetadata(data_class=data_class)
    metadata.plugin_data.plugin_name = plugin
    return metadata
