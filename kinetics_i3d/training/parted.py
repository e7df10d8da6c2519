"""`part`: a network cut before its classifier, for features that are made once and kept.

Carreira & Zisserman, CVPR 2017, section 5.1: "fixed" trains a classifier on frozen features.
"""

import re

import keras
from keras import layers

from kinetics_i3d.models.layers import CHANNELS_LAST, per_stack
from kinetics_i3d.models.pretrained import HEAD


def part(model):
    """Cuts a model before the dropout in front of its classifier.

    The parts share the layers of the model: what trains the head trains the model.

    Args:
        model: A `ClipModel` of logits.

    Returns:
        (trunk, head): functional models, clips to features and features to logits. Features are one
        tensor, or {stream: tensor} where each stream has a classifier of its own; logits are then a
        list of those of each where the model trains them so, as `members` tells.

    Example:

    >>> trunk, head = part(ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=3))
    >>> trunk.output_shape[-1], head.output_shape
    (256, (None, 3))
    """
    streams = {name: one for name, one in model.streams.items() if one is not model}
    if not any(_classifier(one) for one in streams.values()):
        cut = _before(model)
        return keras.Model(model.input, cut), keras.Model(cut, model.output)
    features, inputs, logits = {}, {}, {}
    for stream, network in streams.items():
        cut, clips = _before(network), model.input[stream]
        body, top = keras.Model(network.input, cut), keras.Model(cut, network.output)
        stacked = len(network.input_shape) == 4
        if stacked:
            frames = network.input_shape[-1] // clips.shape[-1]
            features[stream] = per_stack(body, clips, stream=stream, frames=frames)
        else:
            features[stream] = body(clips)
        inputs[stream] = given = keras.Input(features[stream].shape[1:], name=stream)
        logits[stream] = per_stack(top, given, stream=stream) if stacked else top(given)
    if stacked:
        mean = layers.Average(dtype="float32")([*logits.values()])
        pool = layers.GlobalAveragePooling1D(data_format=CHANNELS_LAST, dtype="float32")
        return (
            keras.Model(model.input, features),
            keras.Model(inputs, pool(mean)),
        )
    return keras.Model(model.input, features), keras.Model(inputs, [*logits.values()])


def answer(head):
    """A head to one tensor of logits: their sum where `part` gave a list of them."""
    if not isinstance(head.output, list):
        return head
    return keras.Model(head.input, layers.Add(dtype="float32")(head.output))


def _classifier(network):
    """The layer that a network's classifier is, or `None`."""
    return next((one for one in network.layers if re.match(HEAD, f"{one.name}/")), None)


def _before(network):
    """What goes into the dropout before a network's classifier."""
    read = _classifier(network).input
    dropout = next(one for one in network.layers if one.output is read)
    return dropout.input
