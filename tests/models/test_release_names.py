"""The network's variables against the index files of the five released checkpoints, one to one."""

import functools
import math
import re

import pytest

from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.weights.assign import named_variables

RELEASES = {
    "rgb_imagenet": ("RGB/inception_i3d/", 3, 400),
    "rgb_scratch": ("RGB/inception_i3d/", 3, 400),
    "flow_imagenet": ("Flow/inception_i3d/", 2, 400),
    "flow_scratch": ("Flow/inception_i3d/", 2, 400),
    "rgb_scratch_kin600": ("", 3, 600),
}
COUNTS = {(3, 400): 12_704_544, (2, 400): 12_682_592, (3, 600): 12_909_544}
LEAVES = {
    "conv_3d/w": "conv/kernel",
    "batch_norm/beta": "bn/beta",
    "batch_norm/moving_mean": "bn/moving_mean",
    "batch_norm/moving_variance": "bn/moving_variance",
}
LOGITS = {
    "Logits/Conv3d_0c_1x1/conv_3d/w": "Conv3d_0c_1x1/kernel",
    "Logits/Conv3d_0c_1x1/conv_3d/b": "Conv3d_0c_1x1/bias",
}


def renamed(name):
    """`Mixed_3b/Branch_0/Conv3d_0a_1x1/conv_3d/w` -> `Mixed_3b_Branch_0_Conv3d_0a_1x1_conv/...`."""
    if name in LOGITS:
        return LOGITS[name]
    unit, leaf = re.fullmatch(r"(.*Conv3d_\d[a-d]_\dx\d)/(.*)", name).groups()
    return f"{unit.replace('/', '_')}_{LEAVES[leaf]}"


@functools.cache
def shapes_here(channels, classes):
    """{name: shape} of the network's variables."""
    model = InceptionI3D(input_shape=(None, None, None, channels), classes=classes)
    return {name: tuple(variable.shape) for name, variable in named_variables(model).items()}


@pytest.mark.slow
@pytest.mark.parametrize("release", RELEASES)
def test_every_tensor_of_the_release_has_its_variable(shared, release):
    import tensorflow as tf

    prefix, channels, classes = RELEASES[release]
    index = tf.train.load_checkpoint(str(shared / "reference/deepmind" / release))
    tensors = {
        name.removeprefix(prefix): shape
        for name, shape in index.get_variable_to_shape_map().items()
        if not name.endswith("/Momentum")
    }
    assert len(tensors) == 230
    ours = shapes_here(channels, classes)
    theirs = {}
    for name, shape in tensors.items():
        # Kinetics-600's statistics have axes of length 1 in front.
        theirs[renamed(name)] = (
            tuple(shape) if len(shape) == 5 and name.endswith("w") else shape[-1:]
        )
    assert len(theirs) == len(tensors)
    assert {name: tuple(shape) for name, shape in theirs.items()} == ours
    sizes = [sum(math.prod(shape) for shape in side.values()) for side in (tensors, ours)]
    assert sizes[0] == sizes[1] == COUNTS[channels, classes]
    assert "Mixed_5b/Branch_2/Conv3d_0a_3x3/conv_3d/w" in tensors  # misspelt there, hence here
