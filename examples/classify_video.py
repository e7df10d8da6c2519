"""Classifies a video in one call, and then step by step.

    python examples/classify_video.py examples/wave.mp4 rgb_figures

Without the name or the path of weights it takes one of the 400 actions of Kinetics.
"""

import argparse

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("video")
parser.add_argument("weights", nargs="?", default="rgb_kinetics400")
options = parser.parse_args()
path = options.video
model = ki3d.InceptionI3D(weights=options.weights)

# In one call, in bounded memory for videos of any length:
for label, probability in ki3d.classify(path, model, top=3).predictions:
    print(f"{100 * probability:6.2f} %  {label}")

# The same step by step. The model has the spec of its clips:
print(model.clip_spec)
clips = ki3d.load_clip(path, spec=model.clip_spec)
print("clip", clips.shape, clips.min(), clips.max())
logits = model.predict(clips, verbose=0)
print(ki3d.decode_predictions(logits, top=3, labels=model.labels))
