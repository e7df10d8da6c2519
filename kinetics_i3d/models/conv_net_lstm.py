"""ConvNet+LSTM, the paper's system (a): Inception-V1 on single frames and an LSTM over them.

Carreira & Zisserman, CVPR 2017, section 2.1; after Yue-Hei Ng et al. and Donahue et al., CVPR 2015.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from kinetics_i3d.core.types import PathLike, Shape
from kinetics_i3d.models.clip_model import ClipModel, check_minimum
from kinetics_i3d.models.inception_i3d import ARCHITECTURES, INCEPTION_V1
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.layers import batch_norm_of, dropout_of, per_stack, pool_features
from kinetics_i3d.models.pretrained import assemble, check_head, class_count, resolve, sampled
from kinetics_i3d.models.streams import at_rate, clip_shape

SYSTEM = "ConvNetLSTM"
UNITS = 512
FPS = 5.0  # every fifth of 25 frames per second
MINIMUM = (1, 32, 32)


def ConvNetLSTM(
    *,
    include_top: bool = True,
    weights: PathLike | None = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    dropout: float = 0.5,
    classifier_activation: str | Callable[..., Any] | None = None,
    all_steps: bool = False,
    architecture: str | None = None,
    head: str | None = None,
    batch_norm_momentum: float = 0.999,
    name: str = "conv_net_lstm",
) -> ClipModel:
    """Instantiates Inception-V1 on every frame, an LSTM over the frames and a classifier.

    The spatial mean of each frame's features is batch-normalized before the LSTM of 512 units. In
    training the classifier predicts at every step, see `all_steps_loss`; at test only the last step
    counts.

    Args:
        include_top: Whether to include the classifier; otherwise the outputs are those of the LSTM.
        weights: A path to a checkpoint, or `None` for random initialization; see
            also `start_from_images`.
        input_shape: (frames, height, width, 3); any of the first three may be `None`, as they are
            by default.
        pooling: Without the top: `None` gives all steps of the LSTM, `"avg"` or `"max"` a vector.
        classes: Number of classes; by default that of the weights, or 400.
        dropout: Dropout rate before the classifier, 0 to 1, in training.
        classifier_activation: `None` gives logits, `"softmax"` probabilities.
        all_steps: Whether to return the predictions of all steps, as in training, or of the last
            one only. The variables are the same.
        architecture: A name in `ARCHITECTURES`, or an `Architecture`; by default that of
            the weights, or `"inception_v1"`.
        head: `"new"` replaces the classifier of the weights with a randomly initialized one.
        batch_norm_momentum: Decay of batch norm's moving statistics, in [0, 1). The paper's 0.999
            needs thousands of training steps to forget the initial statistics; use 0.9 to 0.99 to
            train from scratch or on few clips.
        name: The model's name.

    Returns:
        A `ClipModel` from clips (batch, frames, height, width, 3) at 5 frames per second, in the
        range of `model.clip_spec`, to (batch, classes), or (batch, frames, classes) for all steps.
        Without the top (batch, frames, 512) or (batch, 512).

    Raises:
        ValueError: If an argument is invalid or contradicts the weights.
        WeightsError: If the weights are unknown, damaged or do not match the model.

    Example:

    >>> model = ki3d.ConvNetLSTM(architecture="inception_v1_quarter", classes=21)
    >>> model.output_shape, model.clip_spec.fps
    ((None, 21), 5.0)

    Source: Carreira & Zisserman, CVPR 2017, figure 2a.
    """
    resolved = resolve(weights, architecture, ARCHITECTURES, INCEPTION_V1, rank=3, system=SYSTEM)
    row = resolved[0]
    resolved = sampled(resolved, at_rate(row.clip_spec, FPS))
    check_head(head)
    shape = clip_shape(input_shape)
    check_minimum((None, *shape), MINIMUM)

    clips = keras.Input(shape, name="clips")
    backbone = InceptionV1(
        include_top=False,
        pooling="avg",
        input_shape=shape[1:],
        architecture=row,
        name="rgb_stream",
    )
    backbone.clip_spec = resolved[1].clip_spec
    x = per_stack(backbone, clips, stream="rgb")
    x = batch_norm_of("Features_bn")(x)
    last = include_top and not all_steps
    x = layers.LSTM(row.filters(UNITS), return_sequences=not last, name="LSTM")(x)
    if include_top:
        x = dropout_of(dropout, name="Dropout_0b")(x)
        x = layers.Dense(class_count(classes, resolved[1], 400), name="Classifier")(x)
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


@keras.saving.register_keras_serializable("kinetics_i3d")
def all_steps_loss(targets: Any, logits: Any) -> Any:
    """Cross-entropy at every time step, averaged over the steps.

    Args:
        targets: (batch, classes), one-hot or any distribution, used for all steps of a clip.
        logits: (batch, steps, classes), or (batch, classes) for one step.

    Returns:
        (batch,), in nats.

    Example:

    >>> loss = all_steps_loss(np.eye(4, dtype="float32")[:2], np.zeros((2, 25, 4), "float32"))
    >>> np.allclose(loss, np.log(4))
    True

    Source: Carreira & Zisserman, CVPR 2017, section 2.1.
    """
    logits = ops.convert_to_tensor(logits)
    targets = ops.cast(targets, logits.dtype)
    if len(logits.shape) == 3:
        targets = targets[:, None]
    losses = -ops.sum(targets * ops.log_softmax(logits, axis=-1), axis=-1)
    return ops.mean(losses, axis=1) if len(losses.shape) == 2 else losses
