"""`train_on_frames`: an image network from single frames of the videos themselves.

It stands in for ImageNet where a scale's networks are too narrow for its weights. It has seen no
other pictures than the systems see, and the tables call it what it is.
"""

import dataclasses
import pathlib

from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import HEAD, save_weights
from kinetics_i3d.training.train import train
from kinetics_i3d.weights.assign import assign, named_variables

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
