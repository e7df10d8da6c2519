"""`run_cells`: trains and tests the cells of a plan, each in a folder of its own.

What is finished is only read, so that a call that was killed goes on where it was.
"""

import hashlib
import json
import pathlib
import time

import keras
from absl import logging

from kinetics_i3d.core.errors import DatasetError, UserError, WeightsError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.settings import check_settings
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.evaluation.report import JSON, make_report, read_report
from kinetics_i3d.experiments.page import as_markdown, draw_bars
from kinetics_i3d.experiments.plan import Sources, make_plan
from kinetics_i3d.experiments.prerequisites import make_missing_flow, train_on_frames
from kinetics_i3d.experiments.results import results_of, right_of
from kinetics_i3d.experiments.runs import LOGITS, NUMBERS, TABLE, absolute, cell_folder
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.training.config import NEW_FIELDS
from kinetics_i3d.training.train import train
from kinetics_i3d.weights.read import read_weights

FORMAT = 1
CELL = "cell.json"


def run_cells(dataset, plan, output, *, split="test", save_every=500, progress=None):
    """Runs the cells of a plan.

    Args:
        dataset: A `VideoDataset` with the splits to train and to test on.
        plan: A `Plan`.
        output: Folder of the tables.
        split: The videos to test on.
        save_every: Steps between the states of a training.
        progress: Called with the number of cells done after each.

    Returns:
        ({name of a cell: what its cell.json holds}, {name of a cell: why it failed}).

    Raises:
        TrainingStopped: If the process was asked to end; the cell goes on when it is called again.
    """
    import tensorflow as tf

    # What one cell may fail of, and leave the others as they are: files, settings, memory.
    failures = (UserError, OSError, ValueError, RuntimeError, MemoryError, tf.errors.OpError)
    if dataset.multi_label:
        raise UserError(
            f"{dataset.name}: the tables are of accuracies, and its videos may have several labels"
        )
    done, failed = {}, {}
    digest = dataset_digest(dataset)
    for number, job in enumerate(plan.jobs, 1):
        name = job.cell.name
        facts = {
            "format": FORMAT,
            "name": name,
            "config": _as_run(job.config) if job.config else None,
            "parts": _weights_of(output, job.cell.parts),
            "dataset": digest,
            "split": split,
        }
        try:
            found = read_cell(cell_folder(output, job.cell), facts)
            if found is None:
                logging.info("%s: cell %d of %d", name, number, len(plan.jobs))
                try:
                    found = _run(job, dataset, output, facts=facts, save_every=save_every)
                finally:
                    # Of dozens of networks in one process Keras would keep a share of each.
                    keras.utils.clear_session()
            done[name] = found
        except failures as error:
            failed[name] = first_line(error)
            logging.error("%s: failed: %s", name, failed[name])
        if progress is not None:
            progress(number)
    return done, failed


def read_cell(folder, facts):
    """What the cell.json of a finished cell holds.

    Args:
        folder: The cell's.
        facts: What it has to hold: `config`, `parts`, `dataset`, `split`.

    Returns:
        The dictionary, or `None` where the cell is not finished, or is a sum of other weights.

    Raises:
        UserError: If it cannot be read, or was made with other settings, which are named. Fields
            of a config that an earlier version did not know have their defaults.
    """
    path = folder / CELL
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        before = {name: found[name] for name in facts}
        float(found["top1"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not what the tables write ({first_line(error)}); remove its folder"
        ) from error
    if before["parts"] != facts["parts"]:
        return None
    if config := before.pop("config"):
        before |= NEW_FIELDS | config
    facts = {**facts, **(facts["config"] or {})}
    facts.pop("config", None)
    check_settings(
        {name: before.get(name) for name in facts},
        facts,
        path=path,
        advice="choose another output, or remove its folder",
    )
    return found


def _as_run(config):
    """The fields of a `TrainConfig`, JSON-ready, as the run of a cell has them."""
    return json.loads(config.for_labels(multi_label=False).to_json())


def dataset_digest(dataset):
    """A checksum of the files' names, labels and splits of a `VideoDataset`; it may be moved."""
    digest = hashlib.sha256("\n".join(dataset.labels).encode())
    rows = sorted((v.split, v.label, v.location.name) for v in dataset.videos)
    for row in rows:
        digest.update("\n".join(row).encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _run(job, dataset, output, *, facts, save_every):
    """Trains and tests one cell, and writes what was found."""
    folder = cell_folder(output, job.cell)
    test = dataset.split(facts["split"])
    resumed = (folder / "state").exists()
    seconds, start = {}, time.process_time()
    if job.config is None:
        models = [_part(output, part) for part in job.cell.parts]
    else:
        name = f"tables_{job.cell.system.lower()}"
        about = {"cell": job.cell.name}
        options = {"spec_name": name, "about": about, "save_every": save_every}
        models = [train(dataset, job.config, folder, **options)]
    seconds["training"] = time.process_time() - start
    start = time.process_time()
    tested = evaluate(models, test, cache=output / LOGITS)
    seconds["test"] = time.process_time() - start
    report = make_report(
        tested,
        dataset=dataset.name,
        split=facts["split"],
        weights=dict.fromkeys(tested.logits, job.cell.name),
        missing=len(test.missing),
    )
    _write(folder / JSON, report)
    numbers = {name: report[name] for name in ("top1", "top5", "mean_class", "videos", "skipped")}
    found = {
        **facts,
        **numbers,
        "weights": {stream: part["digest"] for stream, part in report["weights"].items()},
        "processor_seconds": seconds,
        "resumed": resumed,
    }
    _write(folder / CELL, found)
    return found


def _weights_of(output, parts):
    """{name: checksums of the weights} of the cells that are added up, where they are finished."""
    found = {}
    for part in parts:
        path = cell_folder(output, part) / CELL
        if path.is_file():
            found[part.name] = json.loads(path.read_text(encoding="utf-8")).get("weights")
    return found


def _part(output, part):
    """The finished network of one stream."""
    folder = cell_folder(output, part)
    if not (folder / CELL).is_file():
        raise UserError(f"{part.name} is not finished, whose logits are to be added")
    return InceptionI3D(weights=folder / "weights.h5")


def _write(path, content):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


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
    make_missing_flow(dataset, plan, done=finished)
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
