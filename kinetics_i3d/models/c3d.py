"""C3D, the paper's system (b): a plain network of 3D convolutions, with batch norm everywhere.

Carreira & Zisserman, CVPR 2017, section 2.2; Tran et al., "Learning Spatiotemporal Features with 3D
Convolutional Networks", ICCV 2015.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.types import PathLike, Shape
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.corrected_gradients import MaxPooling3D
from kinetics_i3d.models.layers import (
    CHANNELS_LAST,
    batch_norm_of,
    conv_unit,
    dropout_of,
    pool_features,
)
from kinetics_i3d.models.pretrained import assemble, check_head, class_count, resolve
from kinetics_i3d.models.streams import clip_shape

SYSTEM = "C3D"
FRAMES = 16
# The ratio of 128 to 112 is that of 256 to 224, the crop of the other systems.
SPEC = ClipSpec("c3d", short_side=128, size=112)

# Units of a stage, each with its filters; every stage ends in a pool.
STAGES = (
    {"Conv3d_1a": 64},
    {"Conv3d_2a": 128},
    {"Conv3d_3a": 256, "Conv3d_3b": 256},
    {"Conv3d_4a": 512, "Conv3d_4b": 512},
    {"Conv3d_5a": 512, "Conv3d_5b": 512},
)
DENSE = {"Dense_6": 4096, "Dense_7": 4096}


@dataclasses.dataclass(frozen=True)
class C3DArchitecture:
    """A variant of C3D.

    Args:
        name: The row's name in `C3D_ARCHITECTURES`.
        width: Factor on the number of filters and units of the paper.
        clip_spec: Preprocessing of its inputs, unless the weights define their own.
    """

    name: str
    width: float = 1.0
    clip_spec: ClipSpec = SPEC


PLAIN = C3DArchitecture("c3d")
C3D_ARCHITECTURES = {row.name: row for row in (PLAIN, C3DArchitecture("c3d_eighth", width=0.125))}


def C3D(
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
    name: str = "c3d",
) -> ClipModel:
    """Instantiates C3D with batch norm: 8 convolutions, 5 pools, 2 dense layers and a classifier.

    All pools are 2x2x2 with SAME padding, including the first (1x2x2 in the network of 2015).
    A clip of 16x112x112 is reduced to 1x4x4, as in the network of 2015, whose last pool is padded.
    Without that padding the first dense layer would be far smaller than the paper's.

    Args:
        include_top: Whether to include the dense layers and the classifier.
        weights: A path to a checkpoint, or `None` for random initialization.
        input_shape: (frames, height, width, 3), by default (16, 112, 112, 3), or 16 frames of the
            size in the weights' spec. The dense layers need a fixed size; without them any of the
            first three may be `None`.
        pooling: Without the top: `None` gives the grid of the last pool, `"avg"` or `"max"` a
            vector.
        classes: Number of classes; by default that of the weights, or 400.
        dropout: Dropout rate after both dense layers, 0 to 1, in training.
        classifier_activation: `None` gives logits, `"softmax"` probabilities.
        architecture: `"c3d"`, `"c3d_eighth"` (an eighth of the width), or a `C3DArchitecture`; by
            default that of the weights.
        head: `"new"` replaces the classifier of the weights with a randomly initialized one.
        batch_norm_momentum: Decay of batch norm's moving statistics, in [0, 1). The paper's 0.999
            needs thousands of training steps to forget the initial statistics; use 0.9 to 0.99 to
            train from scratch or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from clips (batch, 16, 112, 112, 3), in the range of `model.clip_spec`, to
        (batch, classes), (batch, 512) or (batch, 1, 4, 4, 512).

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model.

    Example:

    >>> ki3d.C3D(architecture="c3d_eighth", classes=21).output_shape
    (None, 21)

    Source: Carreira & Zisserman, CVPR 2017, figure 2b; Tran et al., ICCV 2015, figure 3.
    """
    resolved = resolve(weights, architecture, C3D_ARCHITECTURES, PLAIN, rank=3, system=SYSTEM)
    row, info, _ = resolved
    check_head(head)
    size = info.clip_spec.size
    shape = clip_shape((FRAMES, size, size, 3) if input_shape is None else input_shape)
    if include_top and None in shape:
        raise ValueError(
            "`input_shape` must have no None if include_top=True, since dense layers read the "
            f"feature map. Received: input_shape={input_shape!r}"
        )

    last = {"data_format": CHANNELS_LAST}
    clips = x = keras.Input(shape, name="clips")
    for number, stage in enumerate(STAGES, 1):
        for unit, filters in stage.items():
            x = conv_unit(x, unit, int(filters * row.width), 3, rank=3, batch_norm=True)
        x = MaxPooling3D(2, padding="same", **last, name=f"MaxPool3d_{number}")(x)
    if include_top:
        x = layers.Flatten(**last, name="Flatten")(x)
        for unit, units in DENSE.items():
            x = layers.Dense(int(units * row.width), use_bias=False, name=f"{unit}_dense")(x)
            x = batch_norm_of(f"{unit}_bn")(x)
            x = layers.ReLU(name=unit)(x)
            x = dropout_of(dropout, name=f"{unit}_dropout")(x)
        x = layers.Dense(class_count(classes, info, 400), name="Classifier")(x)
        x = layers.Activation("linear", dtype="float32", name="Logits")(x)
        if classifier_activation is not None:
            x = layers.Activation(classifier_activation, dtype="float32", name="Predictions")(x)
    else:
        x = pool_features(x, pooling)
    minimum = shape[:3] if include_top else (1, 1, 1)
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
