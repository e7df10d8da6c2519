"""Batch norm's moving statistics: averaged over devices, and recalibrated with fixed weights.

The moving statistics of training lag behind the weights, and do not fit an average of the weights:
Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018.
"""

import itertools

import keras
import numpy as np
import tensorflow as tf

from kinetics_i3d.core.progress import track


def recalibrate(model, batches, count, *, strategy=None, include_frozen=False):
    """Sets moving means and variances to the means of those of single batches.

    Dropout is off meanwhile, and no weight changes.

    Args:
        model: A model with batch norm.
        batches: Iterable of clips, or of {stream: clips}.
        count: Number of batches to use.
        strategy: The `tf.distribute.Strategy` that the model was built in.
        include_frozen: Whether the statistics of layers that are not trainable change too.
    """
    layers = batch_norms_of(model) if include_frozen else trainable_batch_norms_of(model)
    if not layers:
        return
    strategy = strategy or tf.distribute.get_strategy()
    moments = moments_of(layers)
    # In float64: the sum of many float32 means would lose digits.
    sums = [np.zeros(moment.shape, np.float64) for moment in moments]
    dropouts = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.Dropout)]
    # A momentum of 0 makes the moving statistics those of the last batch. A layer that is not
    # trainable would normalize by its old statistics and leave them unchanged.
    settings = [(layer, "momentum", layer.momentum, 0.0) for layer in layers]
    settings += [(layer, "rate", layer.rate, 0.0) for layer in dropouts]
    settings += [(layer, "trainable", layer.trainable, True) for layer in layers]

    def measure(clips):
        model(clips, training=True)
        average_over_devices(moments)

    # A new function, traced only below: its graph must have the settings of this function.
    run = tf.function(lambda clips: strategy.run(measure, (clips,)))
    for layer, name, _, value in settings:
        setattr(layer, name, value)
    try:
        done = 0
        batches = itertools.islice(batches, count)
        for clips in track(batches, "batch norm statistics", total=count, noun="batches"):
            run(clips)
            sums = [total + moment.numpy() for total, moment in zip(sums, moments, strict=True)]
            done += 1
    finally:
        for layer, name, value, _ in settings:
            setattr(layer, name, value)
    for moment, total in zip(moments, sums, strict=True):
        moment.assign((total / max(done, 1)).astype(np.float32))


def batch_norms_of(model):
    """The batch norm layers of a model."""
    return [
        layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]


def trainable_batch_norms_of(model):
    """The batch norm layers of a model that are not frozen."""
    return [layer for layer in batch_norms_of(model) if layer.trainable]


def moments_of(layers):
    """The moving means and variances of batch norm layers."""
    return [moment for layer in layers for moment in (layer.moving_mean, layer.moving_variance)]


def average_over_devices(moments):
    """Replaces moving statistics by their means over all devices; called on each device."""
    # Each device has updated its copy from its own clips. Left alone, the copies would drift apart.
    if tf.distribute.get_strategy().num_replicas_in_sync > 1 and moments:
        context = tf.distribute.get_replica_context()
        means = context.all_reduce("MEAN", [tf.identity(moment.value) for moment in moments])
        for moment, mean in zip(moments, means, strict=True):
            moment.assign(mean)


def all_layers(model):
    """The layers of a model and of the models inside it."""
    for layer in model.layers:
        yield from all_layers(layer) if hasattr(layer, "layers") else (layer,)
