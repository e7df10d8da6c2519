"""The classifier of a network alone: split from its backbone, or set to a linear probe.

Carreira & Zisserman, CVPR 2017, section 5.1: "fixed" trains a classifier on frozen features. Kumar
et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution", ICLR
2022: a classifier that already fits the features keeps fine-tuning from distorting them.
"""

import itertools
import re

import keras
import numpy as np
from keras import layers

from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.core.progress import track
from kinetics_i3d.models.layers import CHANNELS_LAST, per_stack
from kinetics_i3d.models.pretrained import HEAD


def split_head(model):
    """Splits a model before the dropout in front of its classifier.

    Both parts share the layers of the model: training the head trains the model.

    Args:
        model: A `ClipModel` that ends in logits.

    Returns:
        (backbone, head): functional models from clips to features and from features to logits.
        Features are a tensor, or {stream: tensor} if each stream has its own classifier. If the
        logits of the streams are trained separately, see `per_stream_logits`, the head's output is
        a list of them.
    """
    streams = {name: network for name, network in model.streams.items() if network is not model}
    if not any(_classifier(network) for network in streams.values()):
        cut = _dropout_input(model)
        return keras.Model(model.input, cut), keras.Model(cut, model.output)
    features, inputs, logits = {}, {}, {}
    for stream, network in streams.items():
        cut, clips = _dropout_input(network), model.input[stream]
        body, top = keras.Model(network.input, cut), keras.Model(cut, network.output)
        # Networks of images read the frames of a clip as a batch, or stacked as channels.
        is_stacked = len(network.input_shape) == 4
        if is_stacked:
            frames = network.input_shape[-1] // clips.shape[-1]
            features[stream] = per_stack(body, clips, stream=stream, frames=frames)
        else:
            features[stream] = body(clips)
        inputs[stream] = keras.Input(features[stream].shape[1:], name=stream)
        logits[stream] = (
            per_stack(top, inputs[stream], stream=stream) if is_stacked else top(inputs[stream])
        )
    backbone, outputs = keras.Model(model.input, features), [*logits.values()]
    if is_stacked:
        # The whole model averages its streams and time steps too.
        mean = layers.Average(dtype="float32")(outputs)
        pool = layers.GlobalAveragePooling1D(data_format=CHANNELS_LAST, dtype="float32")
        return backbone, keras.Model(inputs, pool(mean))
    return backbone, keras.Model(inputs, outputs)


def sum_logits(head):
    """A head with a single output: the sum, if `split_head` returned a list of logits."""
    if not isinstance(head.output, list):
        return head
    return keras.Model(head.input, layers.Add(dtype="float32")(head.output))


def _classifier(network):
    """The classifier layer of a network, or `None`."""
    return next((layer for layer in network.layers if re.match(HEAD, f"{layer.name}/")), None)


def _dropout_input(network):
    """The tensor that goes into the dropout before a network's classifier."""
    classifier_input = _classifier(network).input
    dropout = next(layer for layer in network.layers if layer.output is classifier_input)
    return dropout.input


def fit_linear_probe(model, clips, steps, *, batch_size, loss="softmax"):
    """Sets the classifier of an `InceptionI3D` to a linear probe of its features.

    Args:
        model: An `InceptionI3D` with its top.
        clips: Iterable of (clips, targets).
        steps: Number of batches to use.
        batch_size: Clips per batch.
        loss: `"softmax"` or `"sigmoid"`.
    """
    pooled = keras.Model(model.input, model.get_layer("AvgPool_0a_7x7").output)
    features, targets = [], []
    batches = track(
        itertools.islice(clips, steps),
        "classifier warm-up",
        total=steps * batch_size,
        noun="clips",
        size=lambda item: len(item[1]),
    )
    for inputs, target in batches:
        # The network averages its logits over time and space; a linear layer commutes with that.
        maps = np.asarray(pooled.predict_on_batch(inputs), np.float64)
        features.append(maps.mean(axis=(1, 2, 3)))
        targets.append(np.asarray(target))
    kernel, bias = linear_probe(np.concatenate(features), np.concatenate(targets), loss=loss)
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel[None, None, None], bias])


def linear_probe(
    features, targets, *, penalty=1.0, steps=400, rate=0.05, momentum=0.9, loss="softmax"
):
    """Logistic regression by full-batch gradient descent from zero.

    Args:
        features: (examples, channels).
        targets: (examples, classes), one-hot, or 0 to 1 for each class with `loss="sigmoid"`.
        penalty: Weight of the squared kernel, for features of unit deviation.
        steps: Number of gradient steps.
        rate: Learning rate.
        momentum: Momentum of the steps.
        loss: `"softmax"` for multinomial regression, `"sigmoid"` for independent classes.

    Returns:
        (kernel, bias), (channels, classes) and (classes,), for the features in their own scale.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # Keeps a channel that is almost always 0 from being scaled up to the size of the others.
    deviation = deviation + 0.1 * features.std()
    scaled = (features - mean) / deviation
    kernel, bias = np.zeros((features.shape[1], targets.shape[1])), np.zeros(targets.shape[1])
    kernel_step, bias_step = np.zeros_like(kernel), np.zeros_like(bias)
    probabilities = sigmoid if loss == "sigmoid" else softmax
    for _ in range(steps):
        error = (probabilities(scaled @ kernel + bias) - targets) / len(features)
        kernel_step = momentum * kernel_step - rate * (scaled.T @ error + penalty * kernel)
        bias_step = momentum * bias_step - rate * error.sum(axis=0)
        kernel, bias = kernel + kernel_step, bias + bias_step
    kernel = kernel / deviation[:, np.newaxis]
    return kernel, bias - mean @ kernel
