"""Batch norm's statistics: agreed on by all devices, and measured anew with the weights at rest.

The moving statistics of training lag behind the weights, and fit no average of them: Izmailov et
al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018.
"""

import itertools

import keras
import numpy as np
import tensorflow as tf

from kinetics_i3d.core.progress import track


def recalibrate(model, batches, count, *, strategy=None, frozen=False):
    """Sets moving means and variances to the means over batches of those of each batch.

    Layers that are frozen keep theirs unless `frozen`; dropout is off meanwhile.

    Args:
        model: A model with batch norm; changed.
        batches: Iterable of clips, or of dictionaries of streams.
        count: Batches to take of it.
        strategy: The `tf.distribute.Strategy` that the model was built in.
        frozen: Whether layers that are not trained are measured too.
    """
    layers = norms_of(model) if frozen else measuring(model)
    if not layers:
        return
    strategy = strategy or tf.distribute.get_strategy()
    moments = moments_of(layers)
    sums = [np.zeros(one.shape, np.float64) for one in moments]
    drops = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.Dropout)]
    before = [(layer, "momentum", layer.momentum) for layer in layers]
    before += [(layer, "rate", layer.rate) for layer in drops]
    before += [(layer, "trainable", layer.trainable) for layer in layers]

    def measure(clips):
        model(clips, training=True)
        agree_on(moments)

    # Traced anew, so that it sees these: with a decay of 0 the statistics are those of the batch.
    look = tf.function(lambda clips: strategy.run(measure, (clips,)))
    for layer, name, _ in before:
        # A layer that is not trainable normalises by its moving statistics, not by the batch's.
        setattr(layer, name, True if name == "trainable" else 0.0)
    try:
        done = 0
        taken = itertools.islice(batches, count)
        for clips in track(taken, "batch norm statistics", total=count, noun="batches"):
            look(clips)
            sums = [one + moment.numpy() for one, moment in zip(sums, moments, strict=True)]
            done += 1
    finally:
        for layer, name, value in before:
            setattr(layer, name, value)
    for moment, total in zip(moments, sums, strict=True):
        moment.assign((total / max(done, 1)).astype(np.float32))


def norms_of(model):
    """The batch norms of a model."""
    return [
        layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]


def measuring(model):
    """The batch norms of a model that are not frozen."""
    return [layer for layer in norms_of(model) if layer.trainable]


def moments_of(layers):
    """The moving means and variances of batch norms."""
    return [one for layer in layers for one in (layer.moving_mean, layer.moving_variance)]


def agree_on(moments):
    """Makes moving statistics, of each device's own clips, the means over all devices.

    Args:
        moments: As `moments_of` gives; each device calls this.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync > 1 and moments:
        context = tf.distribute.get_replica_context()
        means = context.all_reduce("MEAN", [tf.identity(one.value) for one in moments])
        for moment, mean in zip(moments, means, strict=True):
            moment.assign(mean)


def all_layers(model):
    """The layers of a model, and of the models inside it."""
    for layer in model.layers:
        yield from all_layers(layer) if hasattr(layer, "layers") else (layer,)
