"""Uses an exported TensorFlow Hub module with TensorFlow and PyAV alone, without kinetics_i3d.

    kinetics-i3d export rgb_figures --to hub --output module
    python examples/use_hub_module.py module examples/wave.mp4

It is loaded by `tensorflow_hub.load` if TensorFlow Hub is installed, else by what that calls.
docs/export_serving.md has a model of Keras around `tensorflow_hub.KerasLayer`.
"""

import argparse
import itertools
import json
import pathlib

import av
import numpy as np
import tensorflow as tf

try:
    from tensorflow_hub import load  # pip install tensorflow_hub tf-keras "setuptools<81"
except ImportError:
    load = tf.saved_model.load

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("module", help="the folder that `kinetics-i3d export --to hub` wrote")
parser.add_argument("video")
options = parser.parse_args()
module = load(options.module)
spec = json.loads(pathlib.Path(options.module, "assets", "clip_spec.json").read_text())["rgb"]

# Raw frames in, labels out: the module resizes, crops and scales. It does not resample in time.
with av.open(options.video) as file:
    stream = file.streams.video[0]
    step = max(1, round(float(stream.average_rate) / spec["fps"]))
    frames = [
        np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
        for frame in itertools.islice(file.decode(stream), 0, None, step)
    ]
best = module.signatures["serving_default"](rgb=tf.constant(np.stack(frames)[np.newaxis]))
for label, probability in zip(best["labels"][0], best["scores"][0], strict=True):
    print(f"{100 * float(probability):6.2f} %  {label.numpy().decode()}")

# Called directly, it takes clips of the spec's size and range, and can be trained further:
clips = tf.zeros([1, spec["minimum_frames"], spec["size"], spec["size"], 3])
with tf.GradientTape() as tape:
    loss = tf.reduce_sum(module(clips, training=True) ** 2)
gradients = tape.gradient(loss, module.trainable_variables)
print(f"logits {module(clips).shape}, {len(gradients)} trainable variables")
