"""Fine-tunes a reusable SavedModel through `hub.KerasLayer`; asserts what learns and what stays.

A program of its own, for any environment with tensorflow_hub and Keras 2 or tf_keras:
`python fine_tune.py FOLDER CLASSES`. It prints the losses as JSON.
"""

import importlib
import json
import sys

import numpy as np
import tensorflow as tf
import tensorflow_hub as hub

# As tensorflow_hub chooses: TensorFlow's own while that is Keras 2, else tf_keras.
version = getattr(tf.keras, "version", lambda: "2")()
keras = importlib.import_module("tf_keras") if version.startswith("3.") else tf.keras


def tuned(folder, *, trainable, classes, optimizer=None, metrics=(), epochs=6):
    """Trains a new classifier on FOLDER's outputs, and FOLDER itself if that is `trainable`.

    Returns:
        (losses by epoch, {name: values before}, {name: values after}) of the layer's weights.
    """
    keras.utils.set_random_seed(0)
    random = np.random.RandomState(0)
    # A class is a gray level with noise: something that can be learnt at once.
    labels = np.arange(6) % classes
    clips = labels[:, None, None, None, None] / classes + random.uniform(0, 0.3, (6, 9, 32, 32, 3))
    layer = hub.KerasLayer(folder, trainable=trainable)
    inputs = keras.Input((None, 32, 32, 3))
    model = keras.Model(inputs, keras.layers.Dense(classes)(layer(inputs)))
    model.compile(
        optimizer or keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
    )
    assert len(layer.trainable_weights) > 50 if trainable else not layer.trainable_weights
    before = {variable.name: variable.numpy() for variable in layer.weights}
    history = model.fit(clips.astype("float32"), labels, batch_size=6, epochs=epochs, verbose=0)
    return (
        history.history["loss"],
        before,
        {variable.name: variable.numpy() for variable in layer.weights},
    )


def moved(before, after):
    """Names of the weights whose values changed."""
    assert before.keys() == after.keys()
    return {name for name in before if (before[name] != after[name]).any()}


def main(folder, classes):
    """Both ways; whatever is not as it must be is an `AssertionError`."""
    losses, before, after = tuned(folder, trainable=True, classes=classes)
    assert losses[-1] < 0.8 * losses[0], losses
    assert any("moving_mean" in name for name in before)
    stood = before.keys() - moved(before, after)
    assert not stood, f"weights that did not move: {sorted(stood)}"
    frozen, before, after = tuned(folder, trainable=False, classes=classes)
    assert frozen[-1] < frozen[0], frozen  # the new classifier learns
    assert not moved(before, after), "weights moved that were not to be trained"
    print(json.dumps({"trainable": losses, "frozen": frozen}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
