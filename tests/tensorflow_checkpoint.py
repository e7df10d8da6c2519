"""TensorFlow checkpoints as its Saver writes them, by the operation that the Saver runs."""

import tensorflow as tf


def save(arrays, prefix):
    """Writes `prefix.index` and the one file of data.

    Args:
        arrays: {name: array}.
        prefix: A path.

    Returns:
        The prefix as text.
    """
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=list(arrays.values()),
    )
    return str(prefix)
