"""`write_flow_files`, `train_on_frames`: the files that runs need before they start."""

import dataclasses
import pathlib

from absl import logging

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.experiments.plan import FRAMES_WEIGHTS
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.flow.info import flow_path
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.flow.tree import FlowJob, make_flow
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import HEAD, save_weights
from kinetics_i3d.training.network import streams_of
from kinetics_i3d.training.train import train
from kinetics_i3d.weights.assign import assign, named_variables

_FRAME_SYSTEM = "ConvNetLSTM"  # with one frame: an Inception-V1, one LSTM step, a classifier


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

    `finished` holds names of runs that need no flow any more. Videos that cannot be read are
    logged; if files cannot be written there, flow is computed during training.
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


def train_on_frames(dataset, scale, folder, *, save_every=500):
    """Trains an `InceptionV1` on single frames of the videos; returns the path of its weights.

    It replaces ImageNet weights if the networks of a scale are too narrow for these. It is trained
    on the same videos as the systems, which the tables mention. Its classifier is random. A
    finished network is only read, and an interrupted training is resumed.
    """
    folder = pathlib.Path(folder)
    path = folder / FRAMES_WEIGHTS
    if path.is_file():
        return path
    config = dataclasses.replace(scale.configs[_FRAME_SYSTEM], frames=1)
    model = train(dataset, config, folder, save_every=save_every)
    backbone = model.streams["rgb"]
    images = InceptionV1(architecture=backbone.architecture, classes=len(model.labels))
    arrays = {name: variable.numpy() for name, variable in named_variables(backbone).items()}
    assign(images, arrays, ignore=(HEAD,), keep=(HEAD,), source=str(folder))
    save_weights(images, path, about={"trained_on": f"single frames of {dataset.name}"})
    return path
