"""Losses: cross-entropy of the last step, or the mean of those of all time steps.

Softmax cross-entropy where each clip has one class, sigmoid cross-entropy where it may have several
or none. Carreira & Zisserman, CVPR 2017, section 2.1: the LSTM is trained on its outputs at every
step.
"""

import numpy as np
import tensorflow as tf


def cross_entropy(logits, targets, *, smoothing=0.0):
    """The loss of each clip.

    Args:
        logits: (batch, classes), or (batch, steps, classes), whose steps count alike.
        targets: (batch, classes), each row a distribution.
        smoothing: Share of each target that is spread over all classes, 0 to 1.

    Returns:
        float32 tensor (batch,).

    Example:

    >>> cross_entropy(np.zeros((1, 4), "float32"), np.eye(4, dtype="float32")[:1]).numpy()
    array([1.3862944], dtype=float32)
    """
    logits, targets = tf.cast(logits, tf.float32), tf.cast(targets, tf.float32)
    if smoothing:
        targets = targets * (1 - smoothing) + smoothing / targets.shape[-1]
    if len(logits.shape) == 2:
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)
    every = tf.repeat(targets[:, None], tf.shape(logits)[1], axis=1)
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(every, logits), axis=1)


def binary_cross_entropy(logits, targets, *, smoothing=0.0, weights=None):
    """The sum over the classes of each clip's sigmoid cross-entropies.

    Args:
        logits: (batch, classes), or (batch, steps, classes), whose steps count alike.
        targets: (batch, classes), 0 to 1, each class by itself.
        smoothing: Share of each target that is replaced by 1/2, 0 to 1.
        weights: (classes,), factors of the positive terms; `None` is 1 for all.

    Returns:
        float32 tensor (batch,).

    Example:

    >>> binary_cross_entropy(np.zeros((1, 4), "float32"), np.ones((1, 4), "float32")).numpy()
    array([2.7725887], dtype=float32)
    """
    logits, targets = tf.cast(logits, tf.float32), tf.cast(targets, tf.float32)
    if smoothing:
        targets = targets * (1 - smoothing) + smoothing / 2
    if len(logits.shape) == 3:
        targets = tf.repeat(targets[:, None], tf.shape(logits)[1], axis=1)
    positive = 1.0 if weights is None else tf.constant(weights, tf.float32)
    losses = tf.nn.weighted_cross_entropy_with_logits(targets, logits, positive)
    losses = tf.reduce_sum(losses, axis=-1)
    return losses if len(logits.shape) == 2 else tf.reduce_mean(losses, axis=1)


def balanced_weights(counts):
    """Weights of the classes by inverse frequency, with mean 1 over the clips.

    Args:
        counts: (classes,), clips of each class.

    Returns:
        float32 array (classes,); a class without clips has weight 0.

    Example:

    >>> balanced_weights([3, 1])
    array([0.6666667, 2.       ], dtype=float32)
    """
    counts = np.asarray(counts, np.float64)
    present = counts > 0
    weights = np.zeros(counts.shape)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return weights.astype(np.float32)


def final(logits):
    """The logits that answer: those of the last time step where there are several."""
    return logits if len(logits.shape) == 2 else logits[:, -1]
