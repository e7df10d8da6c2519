"""Trains a scikit-learn classifier on I3D features of the videos in a folder.

    pip install scikit-learn
    python examples/features_to_sklearn.py FOLDER

FOLDER has one subfolder of videos per class. The network itself is not trained, so few videos
suffice.
"""

import argparse

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("folder")
parser.add_argument("--weights", default="rgb_kinetics400")
parser.add_argument("--folds", type=int, default=5)
options = parser.parse_args()

videos = ki3d.open_dataset(options.folder).videos
i3d = ki3d.InceptionI3D(weights=options.weights, include_top=False, pooling="avg")
rows = []
for video in videos:
    # The first 64 frames; `ki3d.extract_features` gives rows for the windows of a long video.
    clip = ki3d.load_clip(video.path, spec=i3d.clip_spec, frames=64)
    rows.append(i3d.predict_on_batch(clip)[0])
features, labels = np.stack(rows), [video.label for video in videos]
print(f"{features.shape[0]} videos, {features.shape[1]} features each")

classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
scores = cross_val_score(classifier, features, labels, cv=options.folds)
print(f"accuracy: {100 * scores.mean():.1f} % in {options.folds}-fold cross-validation")

classifier.fit(features, labels)
print(classifier.predict(features[:1])[0], "is the class of", videos[0].path)
