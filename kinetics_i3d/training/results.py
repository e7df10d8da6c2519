"""What a run leaves beside its state: curves, the best weights, those of the last epochs."""

import csv
import dataclasses
import re

from kinetics_i3d.core.files import atomic_path
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
MAP = "val_map"  # a column of runs on videos of several labels
EPOCH = re.compile(r"weights-epoch-(\d+)\.h5")


def write_history(path, rows):
    """Writes the curves of a run; a value that an epoch does not have is left empty.

    Args:
        path: The csv file.
        rows: A dictionary for each epoch.
    """
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        columns = (*COLUMNS, MAP) if any(MAP in row for row in rows) else COLUMNS
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_history(path):
    """The curves of a run: a list with a dictionary of floats for each epoch of `history.csv`."""
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {key: float(value) for key, value in row.items() if value not in ("", "NA")}
            for row in csv.DictReader(file)
        ]


def write_videos(path, training, validation):
    """Writes which videos a run trains on, and which it validates on.

    Args:
        path: The csv file, a table that `open_dataset` reads.
        training: A `VideoDataset`; its videos get the split `train`.
        validation: A `VideoDataset`; its videos get the split `val`.
    """
    videos = tuple(
        dataclasses.replace(video, split=split)
        for split, part in (("train", training), ("val", validation))
        for video in part.videos
    )
    dataclasses.replace(training, videos=videos, missing=()).write_table(path)


def keep_weights(model, folder, *, epoch, keep, improved, **facts):
    """Writes an epoch's weights, and deletes those that are no longer among the last.

    Args:
        model: The model.
        folder: A `pathlib.Path`.
        epoch: Its number.
        keep: How many epochs' weights stay; 0 writes none.
        improved: Whether these are the best yet; then they are written to `best.h5` too.
        facts: As `save_weights` takes them.
    """
    if improved:
        save_weights(model, folder / "best.h5", **facts)
    if not keep:
        return
    save_weights(model, folder / f"weights-epoch-{epoch:04d}.h5", **facts)
    for file in folder.glob("weights-epoch-*.h5"):
        match = EPOCH.fullmatch(file.name)
        if match and int(match[1]) <= epoch - keep:
            file.unlink()
