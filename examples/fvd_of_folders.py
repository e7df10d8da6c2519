"""Compares folders of generated videos with a folder of real ones by Fréchet Video Distance.

    python examples/fvd_of_folders.py REAL GENERATED [GENERATED...]

The features of the real videos are computed once and kept in REAL_features.npz. Compare only
numbers of about as many videos: FVD is biased upwards for few.
"""

import argparse
import pathlib

import kinetics_i3d as ki3d

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("real", type=pathlib.Path)
parser.add_argument("generated", type=pathlib.Path, nargs="+")
parser.add_argument("--weights", default="rgb_kinetics400", help="the network of FVD")
options = parser.parse_args()

saved = options.real.with_name(f"{options.real.name}_features.npz")
if saved.exists():
    real = ki3d.VideoFeatures.load(saved)
else:
    real = ki3d.fvd_features(options.real, weights=options.weights)
    real.save(saved)


def number(value):
    """Two digits, or "-": precision and recall need four videos."""
    return "-" if value is None else f"{value:.2f}"


print(f"{'folder':30} {'videos':>6} {'FVD':>9} {'KVD':>9} precision recall")
for folder in options.generated:
    generated = ki3d.fvd_features(folder, weights=options.weights)
    result = ki3d.fvd(real, generated, all_metrics=True)
    print(
        f"{folder.name:30} {result.videos[1]:6} {result.fvd:9.2f} {result.kvd:9.4f} "
        f"{number(result.precision):>9} {number(result.recall):>6}"
    )
