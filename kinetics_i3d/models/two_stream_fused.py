"""3D-Fused Two-Stream, the paper's system (d): 3D layers on the last grids of both streams.

Carreira & Zisserman, CVPR 2017, section 2.3; Feichtenhofer et al., "Convolutional Two-Stream
Network Fusion for Video Action Recognition", CVPR 2016.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kinetics_i3d.core.types import PathLike, Shapes
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.corrected_gradients import MaxPooling3D
from kinetics_i3d.models.inception_i3d import ARCHITECTURES, INCEPTION_V1
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.layers import (
    CHANNELS_LAST,
    conv_unit,
    dropout_of,
    per_stack,
    pool_features,
)
from kinetics_i3d.models.pretrained import assemble, check_head, class_count, resolve, sampled
from kinetics_i3d.models.streams import CHANNELS, at_rate, check_streams, stream_shapes
from kinetics_i3d.models.two_stream import MINIMUM, STACK, STACKS

SYSTEM = "TwoStreamFused"
FILTERS = 512
NOISE = 0.01  # standard deviation of new kernels; the paper only says Gaussian


def TwoStreamFused(
    *,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_shape: Shapes | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    dropout: float = 0.5,
    classifier_activation: str | Callable[..., Any] | None = None,
    architecture: str | None = None,
    head: str | None = None,
    batch_norm_momentum: float = 0.999,
    name: str = "two_stream_fused",
) -> ClipModel:
    """Instantiates two Inception-V1s whose grids are concatenated and convolved in 3D.

    Each of 5 rgb frames and each of 5 stacks of 10 flow frames gives a 7x7 grid before the average
    pool of Inception-V1. The 5x7x7 grids are concatenated, rgb first, and followed by a 3x3x3
    convolution of 512 filters with batch norm, a 3x3x3 max pool of stride 2, a global average pool
    and a dense classifier. The average pool follows from the paper's parameter count, which leaves
    512 inputs for the classifier, and accepts clips of any size and length: 25 rgb frames at test.

    Args:
        include_top: Whether to include the classifier; otherwise the outputs are those of the max
            pool.
        weights: A path to a checkpoint, or `None` for random initialization; see
            also `start_from_images`.
        input_shape: `{"rgb": (frames, height, width, 3), "flow": (10 * frames, height, width, 2)}`;
            any of the first three may be `None`, as they are by default.
        pooling: Without the top: `None` gives the pooled grid, `"avg"` or `"max"` a vector.
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
        A `ClipModel` from `{"rgb": (batch, frames, height, width, 3), "flow": (batch, 10 * frames,
        height, width, 2)}` to (batch, classes), (batch, 512) or (batch, frames/2, height/64,
        width/64, 512). RGB is sampled at 2.5 frames per second, flow at 25.

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model.

    Example:

    >>> model = ki3d.TwoStreamFused(architecture="inception_v1_quarter", classes=21)
    >>> clips = {"rgb": np.zeros((1, 5, 32, 32, 3)), "flow": np.zeros((1, 50, 32, 32, 2))}
    >>> model.predict(clips, verbose=0).shape
    (1, 21)

    Source: Carreira & Zisserman, CVPR 2017, figure 2d.
    """
    resolved = resolve(weights, architecture, ARCHITECTURES, INCEPTION_V1, rank=3, system=SYSTEM)
    row = resolved[0]
    spec = row.clip_spec
    resolved = sampled(resolved, at_rate(spec, spec.fps / STACK), spec.for_flow())
    check_head(head)
    shapes = stream_shapes(input_shape)
    clips = {stream: keras.Input(shape, name=stream) for stream, shape in shapes.items()}
    check_streams(clips, resolved[1].clip_specs, MINIMUM)

    grids = []
    for stream, frames in STACKS.items():
        network = InceptionV1(
            include_top=False,
            input_shape=(*shapes[stream][1:3], frames * CHANNELS[stream]),
            architecture=row,
            name=f"{stream}_stream",
        )
        network.clip_spec = resolved[1].clip_specs[stream]
        grids.append(per_stack(network, clips[stream], stream=stream, frames=frames))
    x = layers.Concatenate(name="Fused")(grids)
    noise = keras.initializers.RandomNormal(stddev=NOISE)
    # Batch norm in every architecture: random kernels have no useful scale.
    x = conv_unit(
        x, "Fused_3x3", row.filters(FILTERS), 3, rank=3, batch_norm=True, initializer=noise
    )
    last = {"data_format": CHANNELS_LAST}
    x = MaxPooling3D(3, strides=2, padding="same", **last, name="Fused_MaxPool3d_3x3")(x)
    if include_top:
        x = layers.GlobalAveragePooling3D(**last, name="AvgPool")(x)
        x = dropout_of(dropout, name="Dropout_0b")(x)
        x = layers.Dense(
            class_count(classes, resolved[1], 400),
            kernel_initializer=keras.initializers.RandomNormal(stddev=NOISE),
            name="Classifier",
        )(x)
        x = layers.Activation("linear", dtype="float32", name="Logits")(x)
        if classifier_activation is not None:
            x = layers.Activation(classifier_activation, dtype="float32", name="Predictions")(x)
    else:
        x = pool_features(x, pooling)
    return assemble(
        clips,
        x,
        resolved,
        include_top=include_top,
        minimum=MINIMUM,
        name=name,
        head=head,
        batch_norm_momentum=batch_norm_momentum,
    )
