"""Losses: softmax cross-entropy of the last step, or the mean of those of all time steps.

Carreira & Zisserman, CVPR 2017, section 2.1: the LSTM is trained on its outputs at every step.
"""

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


def final(logits):
    """The logits that answer: those of the last time step where there are several."""
    return logits if len(logits.shape) == 2 else logits[:, -1]
