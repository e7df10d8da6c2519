"""Inception-V1 (GoogLeNet) for images: the 2D network that I3D is inflated from.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kinetics_i3d.core.types import PathLike, Shape
from kinetics_i3d.models.clip_model import ClipModel, check_minimum
from kinetics_i3d.models.inception_i3d import ARCHITECTURES, INCEPTION_V1
from kinetics_i3d.models.layers import CHANNELS_LAST, dropout_of, pool_features
from kinetics_i3d.models.pretrained import assemble, check_head, class_count, resolve
from kinetics_i3d.models.streams import checked_shape

MINIMUM_IMAGE = (32, 32)


def InceptionV1(
    *,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    dropout: float = 0.2,
    classifier_activation: str | Callable[..., Any] | None = None,
    architecture: str | None = None,
    head: str | None = None,
    batch_norm_momentum: float = 0.999,
    name: str = "inception_v1",
) -> ClipModel:
    """Instantiates Inception-V1 (GoogLeNet) for images.

    Args:
        include_top: Whether to include the classifier, which pools over the whole remaining grid.
        weights: `"imagenet_inception5h"` (or `"inception5h"`), Google's ImageNet network of 2014,
            or `"imagenet_slim"`, that of TF-Slim, both downloaded; a path to a checkpoint or to
            either archive; or `None` for random initialization.
        input_shape: (height, width, channels); the first two may be `None`.
            Defaults to `(None, None, 3)`.
        pooling: Without the top: `None` gives the grid of `Mixed_5c`, `"avg"` or `"max"` a vector.
        classes: Number of classes; by default that of the weights, or 1000.
        dropout: Dropout rate before the classifier, 0 to 1, in training.
        classifier_activation: `None` gives logits, `"softmax"` probabilities.
        architecture: A name in `ARCHITECTURES`, or an `Architecture`; by default that of
            the weights, or `"inception_v1"`. The ImageNet release has `"googlenet"`.
        head: `"new"` replaces the classifier of the weights with a randomly initialized one.
        batch_norm_momentum: Decay of batch norm's moving statistics, in [0, 1). The paper's 0.999
            needs thousands of training steps to forget the initial statistics; use 0.9 to 0.99 to
            train from scratch or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from images (batch, height, width, channels), in the range of
        `model.clip_spec`, to (batch, classes), (batch, 1024) or (batch, height/32, width/32, 1024).

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model.

    Example:

    >>> ki3d.InceptionV1(include_top=False, pooling="avg").output_shape
    (None, 1024)

    Source: Szegedy et al., CVPR 2015, table 1.
    """
    resolved = resolve(weights, architecture, ARCHITECTURES, INCEPTION_V1, rank=2)
    row, info, _ = resolved
    check_head(head)
    classes = class_count(classes, info, 1000)
    shape = (None, None, info.clip_spec.channels)
    if input_shape is not None:
        shape = checked_shape(input_shape, rank=2)
    minimum = MINIMUM_IMAGE if include_top else (1, 1)
    check_minimum((None, *shape), minimum)

    images = keras.Input(shape, name="images")
    x = row.build_backbone(images, rank=2)
    if include_top:
        last = {"data_format": CHANNELS_LAST}
        x = layers.GlobalAveragePooling2D(keepdims=True, **last, name="AvgPool_0a_7x7")(x)
        x = dropout_of(dropout, name="Dropout_0b")(x)
        x = layers.Conv2D(classes, 1, **last, name="Conv2d_0c_1x1")(x)
        x = layers.Flatten(**last, dtype="float32", name="Logits")(x)
        if classifier_activation is not None:
            x = layers.Activation(classifier_activation, dtype="float32", name="Predictions")(x)
    else:
        x = pool_features(x, pooling)
    return assemble(
        images,
        x,
        resolved,
        include_top=include_top,
        minimum=minimum,
        name=name,
        head=head,
        batch_norm_momentum=batch_norm_momentum,
    )
