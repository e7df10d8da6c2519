"""`make_tables`: the paper's tables on a dataset, from its videos to a page with pictures.

Carreira & Zisserman, CVPR 2017, tables 2 to 5.
"""

import json
import pathlib

from absl import logging

from kinetics_i3d.core.errors import DatasetError, UserError, WeightsError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.evaluation.report import read_report
from kinetics_i3d.experiments.flow_files import make_flow
from kinetics_i3d.experiments.frames import train_on_frames
from kinetics_i3d.experiments.layout import as_markdown
from kinetics_i3d.experiments.places import NUMBERS, TABLE, absolute, cell_folder
from kinetics_i3d.experiments.plan import make_plan
from kinetics_i3d.experiments.plot import draw_bars
from kinetics_i3d.experiments.results import results_of, right_of
from kinetics_i3d.experiments.run import CELL, run_cells
from kinetics_i3d.experiments.sources import Sources
from kinetics_i3d.weights.read import read_weights

FRAMES = "frames"  # folder of the image network of single frames
SYSTEMS_PICTURE = ("Trained on these videos alone", "systems.png")
TRANSFER_PICTURE = ("Features from other videos", "transfer.png")
KINETICS = ("kinetics", 400)  # the paper's numbers are of the one of 400 classes


def plan_tables(
    dataset, output, scale, *, seeds=None, pattern="*", imagenet=None, sources=(), split="test"
):
    """Plans the tables; trains nothing and writes nothing.

    Args:
        dataset: A `VideoDataset` with all its splits.
        output: Folder of the tables.
        scale: A `Scale`.
        seeds: Runs of a cell; `None` is the scale's.
        pattern: Of the names of cells, with `*`, `?` and `[...]`.
        imagenet: Weights of an `InceptionV1`, or `None`.
        sources: What `Sources` takes.
        split: The videos to test on.

    Returns:
        A `Plan`.

    Raises:
        DatasetError: If there is nothing to train or to test on.
        UserError: If no cell fits.
        WeightsError: If weights cannot be read, or are not of the scale's architecture.
    """
    for name in ("train", split):
        dataset.split(name)
    if split == "train":
        raise DatasetError("the split to test on must be another than 'train', that is trained on")
    images = {}
    if scale.frames:
        images["frames"] = absolute(pathlib.Path(output) / FRAMES / "images.h5")
    if imagenet is not None:
        found = read_weights(imagenet).info
        if (found.rank, found.architecture) != (2, scale.architecture):
            kind = "images" if found.rank == 2 else "clips"
            raise WeightsError(
                f"{imagenet}: {kind}' weights of {found.architecture}, where scale {scale.name} "
                f"starts from images' weights of {scale.architecture}"
            )
        images["imagenet"] = absolute(imagenet)
    held = "val" if any(video.split == "val" for video in dataset.videos) else "0.1"
    return make_plan(
        scale,
        seeds=seeds,
        pattern=pattern,
        images=images,
        sources=Sources(sources) if sources else None,
        validation=held,
    )


def make_tables(
    dataset,
    output,
    plan,
    *,
    split="test",
    kind=None,
    imagenet=None,
    sources=(),
    save_every=500,
    progress=None,
):
    """Runs what of a plan is not done yet, and writes the page.

    Args:
        dataset: As for `plan_tables`.
        output: Folder: `cells/` with a folder for each, `logits/`, `tables.md`, `tables.json`,
            `systems.png`, and `transfer.png` where there is a source.
        plan: What `plan_tables` gave.
        split: As for `plan_tables`.
        kind: What the dataset is, a name in `data.layouts.KINDS`: of the paper's its numbers are
            put beside.
        imagenet: What to call the ImageNet weights in the page.
        sources: What to call the sources there.
        save_every: Steps between the states of a training.
        progress: Called with the number of cells done.

    Returns:
        What `results_of` gives.

    Raises:
        TrainingStopped: If the process was asked to end; called again, it goes on.
        UserError: If nothing can be written there, or Pillow is missing.
    """
    output = pathlib.Path(output)
    finished = {
        job.cell.name for job in plan.jobs if (cell_folder(output, job.cell) / CELL).is_file()
    }
    make_flow(dataset, plan, done=finished)
    todo = [job for job in plan.jobs if job.cell.name not in finished]
    if any(job.cell.init == "frames" and job.cell.transfer == "original" for job in todo):
        try:
            train_on_frames(dataset, plan.scale, output / FRAMES, save_every=save_every)
        except UserError as error:
            # The cells that start from it will say that it is not there.
            logging.error("single frames: %s", error)
    done, failed = run_cells(
        dataset, plan, output, split=split, save_every=save_every, progress=progress
    )
    about = {
        "dataset": dataset.name,
        "kind": None if kind == KINETICS[0] and len(dataset.labels) != KINETICS[1] else kind,
        "classes": len(dataset.labels),
        "training_videos": len(dataset.split("train")),
        "test_videos": len(dataset.split(split)),
        "split": split,
        "frames": (
            "an image network of single frames of these same videos, which stands in for ImageNet"
            if any(job.cell.init == "frames" for job in plan.jobs)
            else None
        ),
        "imagenet": None if imagenet is None else str(imagenet),
        "sources": ", ".join(map(str, sources)) or None,
    }
    right = {
        job.cell.name: right_of(read_report(cell_folder(output, job.cell)))
        for job in plan.jobs
        if job.cell.name in done
    }
    results = results_of(plan, done, failed, about=about, right=right)
    write_tables(output, results)
    return results


def write_tables(output, results):
    """Writes tables.json, the pictures and tables.md, each whole or not at all.

    Args:
        output: Folder.
        results: What `results_of` gives.

    Raises:
        UserError: If Pillow is missing.
    """
    with atomic_path(output / NUMBERS) as path:
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    pictures = []
    original = [row for row in results["groups"] if row["transfer"] == "original"]
    carried = [row for row in results["groups"] if row["transfer"] != "original"]
    for rows, (title, name) in (
        (original, SYSTEMS_PICTURE),
        (carried, TRANSFER_PICTURE),
    ):
        if rows:
            draw_bars(output / name, rows, title=f"{title}, {results['about']['dataset']}")
            pictures.append((title, name))
    with atomic_path(output / TABLE) as path:
        path.write_text(as_markdown(results, pictures=pictures), encoding="utf-8")
