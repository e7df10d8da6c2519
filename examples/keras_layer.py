"""Puts the I3D into a Keras model as a layer, and trains that model with `fit`.

    kinetics-i3d figures --output figures --train-per-action 8 --test-per-action 2
    python examples/keras_layer.py figures

The argument is any dataset with the splits `train` and `test`. `tf.keras` is the same Keras.
"""

import argparse

import keras
import numpy as np

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("dataset")
parser.add_argument("--weights", default="rgb_figures")
parser.add_argument("--frames", type=int, default=20)
parser.add_argument("--epochs", type=int, default=5)
options = parser.parse_args()

dataset = ki3d.open_dataset(options.dataset)
i3d = ki3d.InceptionI3D(weights=options.weights, include_top=False, pooling="avg")
spec = i3d.clip_spec

# Only the layers behind the I3D are trained. With `i3d.trainable = True` all are; then build it
# with `batch_norm_momentum=0.9`, since the paper's 0.999 needs thousands of steps.
i3d.trainable = False
clips = keras.Input((options.frames, spec.size, spec.size, spec.channels))
features = keras.layers.Dropout(0.3)(i3d(clips))
probabilities = keras.layers.Dense(len(dataset.labels), activation="softmax")(features)
model = keras.Model(clips, probabilities)
model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])

# Endless shuffled clips: random crops, flips and starts.
training = dataset.split("train")
batches = ki3d.training_clips(
    training, spec=spec, frames=options.frames, batch_size=8, augment=ki3d.augmentation(spec)
)
steps = max(1, len(training) // 8)
model.fit(batches, steps_per_epoch=steps, epochs=options.epochs, shuffle=False, verbose=2)

test = dataset.split("test")
clips = [ki3d.load_clip(video.path, spec=spec, frames=options.frames) for video in test.videos]
targets = [dataset.labels.index(video.label) for video in test.videos]
classes = model.predict(np.concatenate(clips), batch_size=8, verbose=0).argmax(axis=1)
print(f"accuracy: {100 * np.mean(classes == targets):.1f} % of {len(targets)} test videos")
