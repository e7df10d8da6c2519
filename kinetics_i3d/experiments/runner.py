"""`make_tables`: trains and tests the runs of a plan and writes the paper's tables.

The flow files and the image network that runs need are made first. Each run has its own folder.
Finished runs are only read, so a repeated call resumes an interrupted one.
"""

import dataclasses
import json
import pathlib
import time

import keras
from absl import logging

from kinetics_i3d.core.errors import DAMAGE, UserError, VideoError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.core.settings import check_settings
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.evaluation.report import JSON, make_report, read_report
from kinetics_i3d.experiments.page import write_tables
from kinetics_i3d.experiments.plan import FRAMES_FOLDER
from kinetics_i3d.experiments.results import correct_videos, make_results
from kinetics_i3d.experiments.runs import LOGITS, RUN_FILE, dataset_digest, run_folder
from kinetics_i3d.experiments.single_frames import check_frames, train_on_frames
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.flow.tree import FlowJob, make_flow
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.training.config import recorded_fields
from kinetics_i3d.training.network import streams_of
from kinetics_i3d.training.train import train

_FORMAT = 1
_KINETICS = ("kinetics", 400)  # the paper's numbers are for the version with 400 classes
_NUMBERS = {"top1": float, "top5": float, "videos": int}  # of a result that the tables show


def make_tables(dataset, output, plan, *, kind=None, save_every=500, progress=None):
    """Runs the unfinished runs of a plan, and writes the tables.

    Args:
        dataset: A `VideoDataset` with all its splits.
        output: Folder for `cells/` with a folder for each run, `logits/`, `tables.md`,
            `tables.json`, and the charts `systems.png` and `transfer.png`.
        plan: The result of `plan_tables`.
        kind: Kind of the dataset, a name in `data.layouts.formats.KINDS`. For datasets of the
            paper, its numbers are shown too.
        save_every: Steps between training states.
        progress: Called with the number of runs done.

    Returns:
        The content of tables.json, see `make_results`.

    Raises:
        TrainingStopped: If the process received SIGTERM; the next call resumes the run.
        UserError: If `output` cannot be written, or its network of single frames is of other
            videos.
    """
    output = pathlib.Path(output)
    finished = {
        job.run.name for job in plan.jobs if (run_folder(output, job.run) / RUN_FILE).is_file()
    }
    write_flow_files(dataset, plan, finished=finished)
    open_runs = [job.run for job in plan.jobs if job.run.name not in finished]
    if any((run.init, run.transfer) == ("frames", "original") for run in open_runs):
        check_frames(dataset, plan.scale, output / FRAMES_FOLDER)
        try:
            train_on_frames(dataset, plan.scale, output / FRAMES_FOLDER, save_every=save_every)
        except UserError as error:
            # The runs that start from it will report that it is missing.
            logging.error("single frames: %s", error)
    results, failed = do_runs(dataset, plan, output, save_every=save_every, progress=progress)
    about = {
        "dataset": dataset.name,
        "kind": None if kind == _KINETICS[0] and len(dataset.labels) != _KINETICS[1] else kind,
        "classes": len(dataset.labels),
        "training_videos": len(dataset.split("train")),
        "test_videos": len(dataset.split(plan.split)),
        "split": plan.split,
        "frames": (
            "an image network trained on single frames of these videos, instead of ImageNet"
            if any(job.run.init == "frames" for job in plan.jobs)
            else None
        ),
        "imagenet": None if plan.imagenet is None else str(plan.imagenet),
        "sources": ", ".join(map(str, plan.sources)) or None,
    }
    correct = {}
    for job in plan.jobs:
        if job.run.name in results:
            try:
                correct[job.run.name] = correct_videos(read_report(run_folder(output, job.run)))
            except UserError as error:
                failed[job.run.name] = str(error)
                logging.error("%s: failed: %s", job.run.name, error)
    results = {name: result for name, result in results.items() if name in correct}
    tables = make_results(plan, results, failed, about=about, correct=correct)
    write_tables(output, tables)
    return tables


def do_runs(dataset, plan, output, *, save_every=500, progress=None):
    """Trains and tests the runs of a plan.

    Args:
        dataset: A `VideoDataset` with the splits to train and to test on.
        plan: A `Plan`.
        output: Output folder of the tables.
        save_every: Steps between training states.
        progress: Called with the number of runs done.

    Returns:
        ({run name: content of its `RUN_FILE`}, {run name: error message}).

    Raises:
        TrainingStopped: If the process received SIGTERM; the next call resumes the run.
    """
    import tensorflow as tf

    # Errors of one run, of files, settings or memory, must not stop the others.
    failures = (UserError, OSError, ValueError, RuntimeError, MemoryError, tf.errors.OpError)
    finished, failed = {}, {}
    digest = dataset_digest(dataset)
    for number, job in enumerate(plan.jobs, 1):
        name = job.run.name
        try:
            settings = {
                "format": _FORMAT,
                "name": name,
                "config": _config_fields(job.config) if job.config else None,
                "parts": _weights_of(output, job.run.summed_runs),
                "dataset": digest,
                "split": plan.split,
            }
            result = _read_run(run_folder(output, job.run), settings)
            if result is None:
                logging.info("%s: run %d of %d", name, number, len(plan.jobs))
                try:
                    result = _train_and_test(
                        job, dataset, output, settings=settings, save_every=save_every
                    )
                finally:
                    # Otherwise Keras would keep a part of every network of this process.
                    keras.utils.clear_session()
            finished[name] = result
        except failures as error:
            failed[name] = first_line(error)
            logging.error("%s: failed: %s", name, failed[name])
        if progress is not None:
            progress(number)
    return finished, failed


def _read_run(folder, settings):
    """The content of the `RUN_FILE` of a finished run.

    Args:
        folder: The run's folder.
        settings: The values that the file must have, as `do_runs` makes them. Fields of a config
            of an earlier version are read as `recorded_fields` does.

    Returns:
        A dictionary; `None` if the run is not finished, or is a sum of weights that have changed.

    Raises:
        UserError: If the file cannot be read, or settings differ; the message names them.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        return None
    result = _read_result(path)
    try:
        before = {name: result[name] for name in settings}
        check_fields("numbers", {name: result[name] for name in _NUMBERS}, _NUMBERS)
        if not all(0 <= result[name] <= 1 for name in ("top1", "top5")) or result["videos"] < 1:
            raise ValueError("`top1` and `top5` must be fractions, of at least one video")
        if not isinstance(before["config"], (dict, type(None))):
            raise ValueError(f"`config` must be an object. Received: {before['config']!r:.200}")
    except DAMAGE as error:
        raise UserError(
            f"{path}: not a result of `tables` ({first_line(error)}); remove its folder"
        ) from error
    if before["parts"] != settings["parts"]:
        return None
    if config := before.pop("config"):
        before |= recorded_fields(config)
    settings = {**settings, **(settings["config"] or {})}
    settings.pop("config")
    check_settings(
        {name: before.get(name) for name in settings},
        settings,
        path=path,
        advice="choose another output folder, or remove the folder of this run",
    )
    return result


def _read_result(path):
    """The dictionary in a `RUN_FILE`."""
    try:
        return parse_object(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: not a result of `tables` ({first_line(error)}); remove its folder"
        ) from error


def _config_fields(config):
    """The fields of a `TrainConfig`, JSON-ready, with the loss of videos with one label."""
    return json.loads(config.for_labels(multi_label=False).to_json())


def _train_and_test(job, dataset, output, *, settings, save_every):
    """Trains and tests a run; writes and returns its result."""
    folder = run_folder(output, job.run)
    test = dataset.split(settings["split"])
    resumed = (folder / "state").exists()
    seconds, start = {}, time.process_time()
    if job.config is None:
        models = [_finished_network(output, run) for run in job.run.summed_runs]
    else:
        # Stored in the weights file; "cell" is the former name of a run.
        about = {"cell": job.run.name}
        spec_name = f"tables_{job.run.system.lower()}"
        options = {"spec_name": spec_name, "about": about, "save_every": save_every}
        models = [train(dataset, job.config, folder, **options)]
    seconds["training"] = time.process_time() - start
    start = time.process_time()
    evaluation = evaluate(models, test, cache=output / LOGITS)
    seconds["test"] = time.process_time() - start
    report = make_report(
        evaluation,
        dataset=dataset.name,
        split=settings["split"],
        weights=dict.fromkeys(evaluation.logits, job.run.name),
        missing=len(test.missing),
    )
    _write_json(folder / JSON, report)
    numbers = {name: report[name] for name in ("top1", "top5", "mean_class", "videos", "skipped")}
    result = {
        **settings,
        **numbers,
        "weights": {stream: weights["digest"] for stream, weights in report["weights"].items()},
        "processor_seconds": seconds,
        "resumed": resumed,
    }
    _write_json(folder / RUN_FILE, result)
    return result


def _weights_of(output, runs):
    """{run name: checksums of its weights} of the finished ones among `runs`."""
    digests = {}
    for run in runs:
        path = run_folder(output, run) / RUN_FILE
        if path.is_file():
            digests[run.name] = _read_result(path).get("weights")
    return digests


def _finished_network(output, run):
    folder = run_folder(output, run)
    if not (folder / RUN_FILE).is_file():
        raise UserError(f"the logits of {run.name} cannot be added: that run is not finished")
    return InceptionI3D(weights=folder / "weights.h5")


def _write_json(path, content):
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def flow_spec(plan):
    """The `ClipSpec` of the flow that the runs of a plan read; `None` if none reads flow.

    All systems of a scale read flow of the same rate and size.
    """
    for job in plan.jobs:
        if job.config is not None and "flow" in streams_of(job.config):
            return job.config.test_specs(("flow",), "tables")["flow"]
    return None


def write_flow_files(dataset, plan, *, finished=frozenset()):
    """Computes the missing flow files, one beside each video, and returns how many were written.

    `finished` holds the names of runs that no longer need flow. Videos that cannot be read are
    logged. If the files cannot be written, flow is computed during training.
    """
    open_jobs = tuple(job for job in plan.jobs if job.run.name not in finished)
    spec = flow_spec(dataclasses.replace(plan, jobs=open_jobs))
    if spec is None:
        return 0
    missing = [video.location for video in dataset.videos if not _has_flow(video.location, spec)]
    if missing:
        logging.info("computing the flow of %d videos, into files beside them", len(missing))
    written = 0
    try:
        jobs = [FlowJob(path, flow_path(path), path) for path in map(pathlib.Path, missing)]
        for result in make_flow(jobs, spec=spec):
            written += result.made
            if isinstance(result.error, FlowFileError):  # the folder cannot be written to
                raise result.error
            if result.error is not None:
                logging.warning("no flow: %s", result.error)
    except (OSError, FlowFileError) as error:
        logging.warning("writing flow files stopped (%s): flow is computed during training", error)
    return written


def _has_flow(video, spec):
    """Whether an intact flow file of this spec exists."""
    try:
        stored = open_stored(video, spec=spec)
    except (FlowFileError, VideoError):
        return False
    if stored is not None:
        stored.close()
    return stored is not None
