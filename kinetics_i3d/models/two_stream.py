"""Two-Stream, the paper's system (c): one Inception-V1 on frames, one on stacks of flow, averaged.

Carreira & Zisserman, CVPR 2017, section 2.3; Simonyan & Zisserman, "Two-Stream Convolutional
Networks", NIPS 2014.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from kinetics_i3d.core.types import PathLike, Shapes
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.inception_i3d import ARCHITECTURES, INCEPTION_V1
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.layers import CHANNELS_LAST, per_stack, pool_features
from kinetics_i3d.models.pretrained import assemble, check_head, class_count, resolve, sampled
from kinetics_i3d.models.streams import CHANNELS, at_rate, check_streams, stream_shapes

SYSTEM = "TwoStream"
STACK = 10  # flow frames to each rgb frame
STACKS = {"rgb": 1, "flow": STACK}
MINIMUM = {"rgb": (1, 32, 32), "flow": (STACK, 32, 32)}


def TwoStream(
    *,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_shape: Shapes | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    dropout: float = 0.2,
    classifier_activation: str | Callable[..., Any] | None = None,
    architecture: str | None = None,
    head: str | None = None,
    batch_norm_momentum: float = 0.999,
    name: str = "two_stream",
) -> ClipModel:
    """Instantiates two Inception-V1s, on single frames and on stacks of 10 flow frames.

    A clip consists of one or more snippets of 1 rgb frame and 10 flow frames: one in training, 25
    at test. The logits are averaged over streams and snippets.

    Args:
        include_top: Whether to end in the average of both classifiers' logits; otherwise the
            features of both streams are concatenated, rgb first.
        weights: A path to a checkpoint, or `None` for random initialization; see
            also `start_from_images`.
        input_shape: `{"rgb": (frames, height, width, 3), "flow": (10 * frames, height, width, 2)}`;
            any of the first three may be `None`, as they are by default.
        pooling: Without the top: `None` gives the grids of `Mixed_5c`, `"avg"` or `"max"` a vector.
        classes: Number of classes; by default that of the weights, or 400.
        dropout: Dropout rate before both classifiers, 0 to 1, in training.
        classifier_activation: `None` gives logits, `"softmax"` probabilities.
        architecture: A name in `ARCHITECTURES`, or an `Architecture`; by default that of
            the weights, or `"inception_v1"`.
        head: `"new"` replaces the classifiers of the weights with randomly initialized ones.
        batch_norm_momentum: Decay of batch norm's moving statistics, in [0, 1). The paper's 0.999
            needs thousands of training steps to forget the initial statistics; use 0.9 to 0.99 to
            train from scratch or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from `{"rgb": (batch, frames, height, width, 3), "flow": (batch, 10 * frames,
        height, width, 2)}` to (batch, classes), (batch, 2048) or (batch, frames, height/32,
        width/32, 2048). RGB is sampled at 2.5 frames per second, flow at 25.

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model.

    Example:

    >>> model = ki3d.TwoStream(architecture="inception_v1_quarter", classes=21)
    >>> clips = {"rgb": np.zeros((1, 1, 64, 64, 3)), "flow": np.zeros((1, 10, 64, 64, 2))}
    >>> model.predict(clips, verbose=0).shape
    (1, 21)

    Source: Carreira & Zisserman, CVPR 2017, figure 2c.
    """
    resolved = resolve(weights, architecture, ARCHITECTURES, INCEPTION_V1, rank=3, system=SYSTEM)
    row = resolved[0]
    spec = row.clip_spec
    resolved = sampled(resolved, at_rate(spec, spec.fps / STACK), spec.for_flow())
    check_head(head)
    shapes = stream_shapes(input_shape)
    clips = {stream: keras.Input(shape, name=stream) for stream, shape in shapes.items()}
    check_streams(clips, resolved[1].clip_specs, MINIMUM)

    outputs = []
    for stream, frames in STACKS.items():
        network = InceptionV1(
            include_top=include_top,
            input_shape=(*shapes[stream][1:3], frames * CHANNELS[stream]),
            classes=class_count(classes, resolved[1], 400),
            dropout=dropout,
            architecture=row,
            name=f"{stream}_stream",
        )
        network.clip_spec = resolved[1].clip_specs[stream]
        outputs.append(per_stack(network, clips[stream], stream=stream, frames=frames))
    if include_top:
        clips_average = layers.Average(dtype="float32", name="Snapshots")(outputs)
        x = layers.GlobalAveragePooling1D(
            data_format=CHANNELS_LAST, dtype="float32", name="Logits"
        )(clips_average)
        if classifier_activation is not None:
            x = layers.Activation(classifier_activation, dtype="float32", name="Predictions")(x)
    else:
        x = pool_features(layers.Concatenate(name="Joined")(outputs), pooling)
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
