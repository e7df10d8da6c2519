"""Trains a new classifier on the features of shipped weights, in plain Keras.

    python examples/transfer.py DATASET

DATASET is a folder with a csv table of `path,label,split`; `kinetics-i3d figures` writes one.
"""

import sys

import keras
import numpy as np

import kinetics_i3d as ki3d

dataset = ki3d.open_dataset(sys.argv[1])
backbone = ki3d.InceptionI3D(weights="rgb_figures", include_top=False, pooling="avg")


def features(videos):
    """(videos, channels) and class numbers."""
    clips = (ki3d.load_clip(video.path, spec=backbone.clip_spec, frames=20) for video in videos)
    rows = [backbone.predict_on_batch(clip)[0] for clip in clips]
    return np.stack(rows), np.array([dataset.labels.index(video.label) for video in videos])


head = keras.Sequential(
    [keras.Input(backbone.output_shape[1:]), keras.layers.Dense(len(dataset.labels))]
)
head.compile(
    "adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
head.fit(*features(dataset.split("train").videos), epochs=30, verbose=0)
print(head.evaluate(*features(dataset.split("test").videos), verbose=0, return_dict=True))
