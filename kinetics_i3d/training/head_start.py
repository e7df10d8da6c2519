"""A fitted classifier on untouched features, so that fine-tuning does not begin by wrecking them.

Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution",
ICLR 2022.
"""

import itertools

import keras
import numpy as np

from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.core.progress import track


def fit_head(model, clips, steps, *, batch, loss="softmax"):
    """Sets the classifier of an `InceptionI3D` to a linear probe of its features.

    Args:
        model: With its top; changed.
        clips: Iterable of (clips, targets).
        steps: Batches to take of it.
        batch: Clips a batch.
        loss: `"softmax"` or `"sigmoid"`.
    """
    pooled = keras.Model(model.input, model.get_layer("AvgPool_0a_7x7").output)
    features, targets = [], []
    batches = track(
        itertools.islice(clips, steps),
        "classifier warm-up",
        total=steps * batch,
        noun="clips",
        size=lambda each: len(each[1]),
    )
    for inputs, target in batches:
        made = np.asarray(pooled.predict_on_batch(inputs), np.float64)
        features.append(made.mean(axis=(1, 2, 3)))
        targets.append(np.asarray(target))
    kernel, bias = linear_probe(np.concatenate(features), np.concatenate(targets), loss=loss)
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel[None, None, None], bias])


def linear_probe(
    features, targets, *, penalty=1.0, steps=400, rate=0.05, momentum=0.9, loss="softmax"
):
    """Logistic regression by full-batch gradient descent from zero.

    Args:
        features: (examples, channels).
        targets: (examples, classes), one-hot, or 0 to 1 each for `loss="sigmoid"`.
        penalty: Weight of the squared kernel, for features of unit deviation.
        steps: Steps of the descent.
        rate: Its learning rate.
        momentum: Its momentum.
        loss: `"softmax"` for multinomial regression, `"sigmoid"` for one of each class by itself.

    Returns:
        (kernel, bias), (channels, classes) and (classes,), for features as they were given.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    # A channel that hardly ever fires must not count as much as the others.
    deviation = deviation + 0.1 * features.std()
    scaled = (features - mean) / deviation
    kernel, bias = np.zeros((features.shape[1], targets.shape[1])), np.zeros(targets.shape[1])
    speed_kernel, speed_bias = np.zeros_like(kernel), np.zeros_like(bias)
    probabilities = sigmoid if loss == "sigmoid" else softmax
    for _ in range(steps):
        error = (probabilities(scaled @ kernel + bias) - targets) / len(features)
        speed_kernel = momentum * speed_kernel - rate * (scaled.T @ error + penalty * kernel)
        speed_bias = momentum * speed_bias - rate * error.sum(axis=0)
        kernel, bias = kernel + speed_kernel, bias + speed_bias
    kernel = kernel / deviation[:, np.newaxis]
    return kernel, bias - mean @ kernel
