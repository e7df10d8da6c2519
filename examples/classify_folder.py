"""Classifies every video of a folder, and writes a table of path, label and probability.

    python examples/classify_folder.py FOLDER labels.csv
    python examples/classify_folder.py examples labels.csv --weights rgb_figures

A video that cannot be read is reported and skipped.
"""

import argparse
import csv
import pathlib
import sys

import kinetics_i3d as ki3d

SUFFIXES = {".avi", ".mkv", ".mov", ".mp4", ".webm"}

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("table", type=pathlib.Path)
parser.add_argument("--weights", default="rgb_kinetics400")
options = parser.parse_args()

model = ki3d.load_model(options.weights)  # once, for all videos
with open(options.table, "w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["path", "label", "probability"])
    for path in sorted(options.folder.rglob("*")):
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            label, probability = ki3d.classify(path, model, top=1).predictions[0]
        except ki3d.VideoError as error:
            print(f"skipped: {error}", file=sys.stderr)
            continue
        table.writerow([path, label, f"{probability:.4f}"])
        print(f"{path}: {label} ({100 * probability:.1f} %)")
