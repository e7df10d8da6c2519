"""`run_cells`: trains and tests the cells of a plan, each in a folder of its own.

What is finished is only read, so that a call that was killed goes on where it was.
"""

import hashlib
import json
import time

import keras
from absl import logging

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.evaluation.report import JSON, report_of
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.tables.places import LOGITS, cell_folder
from kinetics_i3d.training.config import NEW_FIELDS
from kinetics_i3d.training.train import train

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
        UserError: If it cannot be read, or is of other settings; the first that differs is named.
            Fields of a config that an earlier version did not know have their defaults.
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
    for name, value in facts.items():
        if name != "config" and before.get(name) != value:
            raise UserError(
                f"{path}: made with {name}={before.get(name)!r}, where {value!r} is asked for; "
                "choose another output, or remove its folder"
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
    report = report_of(
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
