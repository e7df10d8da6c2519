"""`train_on_frames`: an image network of single frames, where a scale is too narrow for ImageNet's.

`check_frames` recognizes the weights of other videos or another config.
"""

import dataclasses
import json
import pathlib

from kinetics_i3d.core.settings import check_settings
from kinetics_i3d.experiments.plan import FRAMES_WEIGHTS
from kinetics_i3d.experiments.runs import dataset_digest
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import HEAD, save_weights
from kinetics_i3d.training.config import recorded_fields
from kinetics_i3d.training.train import train
from kinetics_i3d.weights.assign import assign, named_variables
from kinetics_i3d.weights.checkpoint import read_info

_FRAME_SYSTEM = "ConvNetLSTM"  # with one frame: an Inception-V1, one LSTM step, a classifier


def train_on_frames(dataset, scale, folder, *, save_every=500):
    """Trains an `InceptionV1` on single frames of the videos; returns the path of its weights.

    It replaces ImageNet weights if the networks of a scale are too narrow for them. It is trained
    on the same videos as the systems, as the tables state. Its classifier is random. A finished
    network is not trained again, and an interrupted training is resumed.
    """
    folder = pathlib.Path(folder)
    path = folder / FRAMES_WEIGHTS
    if path.is_file():
        return path
    config = frames_config(scale)
    model = train(dataset, config, folder, save_every=save_every)
    backbone = model.streams["rgb"]
    images = InceptionV1(architecture=backbone.architecture, classes=len(model.labels))
    arrays = {name: variable.numpy() for name, variable in named_variables(backbone).items()}
    assign(images, arrays, ignore=(HEAD,), keep=(HEAD,), source=str(folder))
    about = {"trained_on": f"single frames of {dataset.name}", **_made_from(dataset, config)}
    save_weights(images, path, about=about)
    return path


def frames_config(scale):
    """The `TrainConfig` of the network of single frames."""
    return dataclasses.replace(scale.configs[_FRAME_SYSTEM], frames=1)


def check_frames(dataset, scale, folder):
    """Raises `UserError` if the weights of `train_on_frames` are of other videos or another config.

    Weights of earlier versions, which do not state it, are accepted.
    """
    path = pathlib.Path(folder) / FRAMES_WEIGHTS
    info = read_info(path) if path.is_file() else None
    recorded = {} if info is None else dict(info.about)
    if "dataset" in recorded:
        recorded["config"] = recorded_fields(recorded["config"])
        requested = _made_from(dataset, frames_config(scale))
        check_settings(
            {name: recorded.get(name) for name in requested},
            requested,
            path=path,
            advice="delete it, or choose another output",
        )


def _made_from(dataset, config):
    return {"dataset": dataset_digest(dataset), "config": json.loads(config.to_json())}
