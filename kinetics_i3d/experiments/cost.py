"""`training_cost`: what training a cell multiplies and adds, counted from its network.

A pass backward costs twice one forward. Decoding, flow and the test are left out.
"""

import dataclasses
import math

from kinetics_i3d.models.multiply_adds import multiply_adds
from kinetics_i3d.models.streams import CHANNELS
from kinetics_i3d.training.network import builder_of, streams_of


def training_cost(config, *, videos, classes):
    """Counts the multiplications, each with its addition, of a training.

    Args:
        config: A `TrainConfig`; `None`, of cells that add logits up, costs nothing.
        videos: How many there are to train with.
        classes: How many classes they have.

    Returns:
        An int.

    Example:

    >>> from kinetics_i3d.training.config import TrainConfig
    >>> config = TrainConfig(system="C3D", architecture="c3d_eighth", frames=16, size=112,
    ...     test_size=112, steps=10, batch=4)
    >>> training_cost(config, videos=40, classes=5) // multiply_adds(
    ...     ki3d.C3D(architecture="c3d_eighth", classes=5))
    120
    """
    if config is None:
        return 0
    clips = config.batch * (config.steps or config.epochs * math.ceil(videos / config.batch))
    # Of fixed features only the classifier is trained, which is next to nothing.
    passes = videos * config.feature_passes if config.transfer == "fixed" else 3 * clips
    return passes * _forward(dataclasses.replace(config, seed=0), classes)


def _forward(config, classes):
    architecture = config.architecture
    if config.weights is not None:
        from kinetics_i3d.weights.read import read_weights

        architecture = read_weights(config.weights).info.architecture
    sizes = (config.frames, config.stride, config.size)
    key = (config.system, config.streams, sizes, architecture, classes)
    if key not in _KNOWN:
        streams = streams_of(config)
        stride = {"rgb": config.stride if len(streams) > 1 else 1, "flow": 1}
        shapes = {
            name: (config.frames // stride[name], config.size, config.size, CHANNELS[name])
            for name in streams
        }
        shape = shapes if len(shapes) > 1 else shapes[streams[0]]
        model = builder_of(config)(
            classes=classes, architecture=architecture, input_shape=shape, weights=None
        )
        _KNOWN[key] = multiply_adds(model)
    return _KNOWN[key]


_KNOWN: dict = {}  # seeds share a network, and building one takes a second
