"""What the runs of a plan need first: the flow of the videos, and a network of images."""

import dataclasses
import pathlib

from absl import logging

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.flow.tree import FlowJob, make_flow
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import HEAD, save_weights
from kinetics_i3d.training.network import streams_of
from kinetics_i3d.training.train import train
from kinetics_i3d.weights.assign import assign, named_variables


def flow_spec(plan):
    """How the flow is sampled and sized that the cells of a plan read.

    Args:
        plan: A `Plan`.

    Returns:
        A `ClipSpec`, the same for all systems of a scale, or `None` where no cell reads flow.
    """
    for job in plan.jobs:
        if job.config is not None and "flow" in streams_of(job.config):
            return job.config.test_specs(("flow",), "tables")["flow"]
    return None


def make_missing_flow(dataset, plan, *, done=frozenset()):
    """Computes the flow that the runs of a plan read and that is not stored yet.

    Args:
        dataset: A `VideoDataset`.
        plan: A `Plan`.
        done: Names of finished runs, which read no more flow.

    Returns:
        The number of files written. Videos that cannot be read are logged; where a file cannot be
        written, flow is computed while training.
    """
    open_jobs = tuple(job for job in plan.jobs if job.cell.name not in done)
    spec = flow_spec(dataclasses.replace(plan, jobs=open_jobs))
    if spec is None:
        return 0
    missing = [video.location for video in dataset.videos if not _has_flow(video.location, spec)]
    if missing:
        logging.info("computing the flow of %d videos into files beside them", len(missing))
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
        logging.warning("no more flow files (%s): flow is computed while training", error)
    return written


def _has_flow(video, spec):
    """Whether the flow of a video by a spec is stored, and whole."""
    try:
        stored = open_stored(video, spec=spec)
    except (FlowFileError, VideoError):
        return False
    if stored is not None:
        stored.close()
    return stored is not None


SYSTEM = "ConvNetLSTM"  # of one frame: an Inception-V1, a single step and a classifier


def frames_config(scale):
    """The `TrainConfig` of the image network of a scale.

    Args:
        scale: A `Scale`.
    """
    return dataclasses.replace(scale.configs[SYSTEM], frames=1)


def train_on_frames(dataset, scale, folder, *, save_every=500):
    """Trains an `InceptionV1` on single frames, unless that was done before.

    Args:
        dataset: A `VideoDataset`.
        scale: A `Scale`.
        folder: Where to; a training that was stopped goes on.
        save_every: Steps between states.

    Returns:
        The path of a checkpoint that `InceptionV1` reads. Its classifier is of random values.

    Raises:
        TrainingStopped: If the process was asked to end.
        UserError: As `train`.
    """
    folder = pathlib.Path(folder)
    path = folder / "images.h5"
    if path.is_file():
        return path
    model = train(dataset, frames_config(scale), folder, save_every=save_every)
    trunk = model.streams["rgb"]
    images = InceptionV1(architecture=trunk.architecture, classes=len(model.labels))
    arrays = {name: variable.numpy() for name, variable in named_variables(trunk).items()}
    assign(images, arrays, ignore=(HEAD,), keep=(HEAD,), source=str(folder))
    save_weights(images, path, about={"trained_on": f"single frames of {dataset.name}"})
    return path
