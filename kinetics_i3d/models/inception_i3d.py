"""Inflated Inception-V1 (I3D): the paper's figure 3 as a table, its variants and its builder.

Carreira & Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017; Szegedy et al., CVPR 2015.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from kinetics_i3d.core.clip_spec import INCEPTION5H
from kinetics_i3d.core.types import PathLike, Shape
from kinetics_i3d.models.architecture import Architecture, Conv, MaxPool, Mixed, ResponseNorm
from kinetics_i3d.models.clip_model import ClipModel, check_minimum
from kinetics_i3d.models.layers import CHANNELS_LAST, dropout_of, pool_features
from kinetics_i3d.models.pretrained import assemble, check_head, class_count, resolve, sampled
from kinetics_i3d.models.streams import clip_shape

BACKBONE = (
    Conv("Conv{rank}d_1a_7x7", 64, kernel=7, stride=2),
    MaxPool("MaxPool{rank}d_2a_3x3", (1, 3, 3), (1, 2, 2)),
    ResponseNorm("ResponseNorm_2a"),
    Conv("Conv{rank}d_2b_1x1", 64, kernel=1),
    Conv("Conv{rank}d_2c_3x3", 192, kernel=3),
    ResponseNorm("ResponseNorm_2c"),
    MaxPool("MaxPool{rank}d_3a_3x3", (1, 3, 3), (1, 2, 2)),
    Mixed("Mixed_3b"),
    Mixed("Mixed_3c"),
    MaxPool("MaxPool{rank}d_4a_3x3", (3, 3, 3), (2, 2, 2)),
    Mixed("Mixed_4b"),
    Mixed("Mixed_4c"),
    Mixed("Mixed_4d"),
    Mixed("Mixed_4e"),
    Mixed("Mixed_4f"),
    MaxPool("MaxPool{rank}d_5a_{last_pool}x{last_pool}", None, (2, 2, 2)),
    Mixed("Mixed_5b"),
    Mixed("Mixed_5c"),
)

# 1x1 | reduce, 3x3x3 | reduce, third branch | pool projection
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}

INCEPTION_V1 = Architecture("inception_v1", BACKBONE, MIXED)

# Google's network of 2014, for its ImageNet weights ("inception5h").
GOOGLENET = Architecture(
    "googlenet",
    BACKBONE,
    MIXED
    | {
        "Mixed_4b": (192, 96, 204, 16, 48, 64),
        "Mixed_5b": (256, 160, 320, 48, 128, 128),
    },
    third_kernel=5,
    last_pool=3,  # with 2 the ImageNet predictions are correct but less certain
    batch_norm=False,
    response_norm=True,
    clip_spec=INCEPTION5H,
)

ARCHITECTURES = {
    row.name: row
    for row in (
        INCEPTION_V1,
        GOOGLENET,
        dataclasses.replace(INCEPTION_V1, name="inception_v1_quarter", width=0.25),
    )
}

# 9 -> 5 -> 3 -> 2 time steps at Mixed_5c, the length of the average pool; 32 -> 1 in space.
MINIMUM_CLIP = (9, 32, 32)


def InceptionI3D(
    *,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    dropout: float = 0.5,
    classifier_activation: str | Callable[..., Any] | None = None,
    architecture: str | None = None,
    head: str | None = None,
    batch_norm_momentum: float = 0.999,
    name: str = "inception_i3d",
) -> ClipModel:
    """Instantiates the Inflated Inception-V1 (I3D) of the paper.

    Args:
        include_top: Whether to include the classifier: an average pool over 2 time steps and the
            whole remaining grid (2x7x7 at 224 pixels), a 1x1x1 convolution, and the mean of the
            logits over time.
        weights: A name in the catalog (`kinetics-i3d weights` in the docs), a path to a checkpoint,
            or `None` for random initialization. A missing file is an error.
        input_shape: (frames, height, width, channels); any of the first three may be `None`.
            Defaults to `(None, None, None, 3)`, or 2 channels where the weights read flow.
        pooling: Without the top: `None` gives the grid of `Mixed_5c`, `"avg"` or `"max"` a vector.
        classes: Number of classes; by default that of the weights, or 400.
        dropout: Dropout rate before the classifier, 0 to 1, in training.
        classifier_activation: `None` gives logits, `"softmax"` probabilities.
        architecture: A name in `ARCHITECTURES`, or an `Architecture`; by default that of
            the weights, or `"inception_v1"`.
        head: `"new"` replaces the classifier of the weights with a randomly initialized one.
        batch_norm_momentum: Decay of batch norm's moving statistics, in [0, 1). The paper's 0.999
            needs thousands of training steps to forget the initial statistics; use 0.9 to 0.99 to
            train from scratch or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from clips (batch, frames, height, width, channels), in the range of
        `model.clip_spec`, to (batch, classes), (batch, 1024), or (batch, frames/8, height/32,
        width/32, 1024).

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model.

    Example:

    >>> model = ki3d.InceptionI3D(classes=21)
    >>> model.output_shape
    (None, 21)

    Source: Carreira & Zisserman, CVPR 2017, figure 3.
    """
    resolved = resolve(weights, architecture, ARCHITECTURES, INCEPTION_V1, rank=3)
    row, info, _ = resolved
    check_head(head)
    classes = class_count(classes, info, 400)
    shape = clip_shape(input_shape, channels=info.clip_spec.channels)
    minimum = MINIMUM_CLIP if include_top else (1, 1, 1)
    check_minimum((None, *shape), minimum)
    if weights is None and shape[-1] == 2:
        resolved = sampled(resolved, info.clip_spec.for_flow())

    clips = keras.Input(shape, name="clips")
    x = row.build_backbone(clips, rank=3)
    if include_top:
        last = {"data_format": CHANNELS_LAST}
        x = ops.mean(x, axis=(2, 3), keepdims=True)
        x = layers.AveragePooling3D((2, 1, 1), strides=1, **last, name="AvgPool_0a_7x7")(x)
        x = dropout_of(dropout, name="Dropout_0b")(x)
        x = layers.Conv3D(classes, 1, **last, name="Conv3d_0c_1x1")(x)
        # Float32 under every policy: logits of many classes are close together.
        x = layers.GlobalAveragePooling3D(**last, dtype="float32", name="Logits")(x)
        if classifier_activation is not None:
            x = layers.Activation(classifier_activation, dtype="float32", name="Predictions")(x)
    else:
        x = pool_features(x, pooling)
    return assemble(
        clips,
        x,
        resolved,
        include_top=include_top,
        minimum=minimum,
        name=name,
        head=head,
        batch_norm_momentum=batch_norm_momentum,
    )
