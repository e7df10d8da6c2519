"""Fine-tunes the Kinetics weights on your own classes, tests the result and uses it.

    python examples/fine_tune.py FOLDER RUN

FOLDER has one subfolder of videos per class. A fifth of the videos is held out; RUN/videos.csv
lists them. A run that was interrupted resumes when the command is repeated.
"""

import argparse
import pathlib

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("run", type=pathlib.Path)
parser.add_argument("--weights", default="rgb_kinetics400", help="weights to start from")
parser.add_argument("--epochs", type=int, default=12)
options = parser.parse_args()

config = ki3d.config_from_recipe(
    "finetune_kinetics", weights=options.weights, epochs=options.epochs
)
with ki3d.show_progress():
    model = ki3d.train(options.folder, config, options.run)

held_out = ki3d.open_dataset(options.run / "videos.csv").split("val")
evaluation = ki3d.evaluate(model, held_out)
print(f"top-1 accuracy: {100 * evaluation.summary()['top1']:.1f} % of {len(held_out)} videos")

# The weights file carries the class names and how clips are made.
trained = ki3d.load_model(options.run / "weights.h5")
path = held_out.videos[0].path
label, probability = ki3d.classify(path, trained, top=1).predictions[0]
print(f"{path}: {label} ({100 * probability:.1f} %)")
