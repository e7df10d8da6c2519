"""J-HMDB split 1: I3D from scratch and I3D inflated from ImageNet, all else equal.

Needs the clips (a folder with `split1.csv`) and Google's ImageNet Inception-V1 ("inception5h").
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import dataclasses
import json
import pathlib
import time

from absl import logging
from report import RESULTS, publish

from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.evaluation.plots import draw_confusion
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.training.outputs import read_history
from kinetics_i3d.training.recipes import RECIPES
from kinetics_i3d.training.train import train

# The shipped recipe, small enough to run twice in half an hour on two cores. Nothing is frozen,
# since a frozen stem of random values would be an unfair start.
PAIR = dataclasses.replace(
    RECIPES["jhmdb"],
    fps=12.5,
    frames=20,
    size=96,
    test_short_side=112,
    test_size=96,
    epochs=4,
    freeze=(),
)


def run(name, dataset, config, folder):
    """Trains and tests one run; a finished run is only read."""
    output = folder / name
    start = time.perf_counter()
    if not (output / "weights.h5").is_file():
        train(dataset, config, output, spec_name="jhmdb")
        (output / "seconds.txt").write_text(str(time.perf_counter() - start))
    tested = evaluate(InceptionI3D(weights=output / "weights.h5"), dataset.split("test"))
    draw_confusion(
        RESULTS / f"jhmdb_{name}_confusion.png",
        tested.confusion(),
        dataset.labels,
        title=f"J-HMDB split 1, {name}",
    )
    return {
        "test": tested.summary(),
        "seconds": float((output / "seconds.txt").read_text()),
        "curves": read_history(output / "history.csv"),
        "config": json.loads(config.to_json()) | {"inflate": bool(config.inflate)},
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=pathlib.Path, help="folder of J-HMDB")
    parser.add_argument("imagenet", help="folder of inception5h")
    parser.add_argument(
        "output", type=pathlib.Path, help="folder of the runs; an interrupted run is resumed"
    )
    arguments = parser.parse_args()
    logging.set_verbosity(logging.INFO)
    dataset = open_dataset(arguments.data)
    configs = {
        "scratch": PAIR,
        "imagenet": dataclasses.replace(PAIR, inflate=arguments.imagenet),
    }
    runs = {name: run(name, dataset, config, arguments.output) for name, config in configs.items()}
    rows = [
        {
            "start": name,
            **{key: f"{100 * result['test'][key]:.1f} %" for key in ("top1", "top5", "mean_class")},
            "last loss": f"{result['curves'][-1]['loss']:.2f}",
            "minutes": f"{result['seconds'] / 60:.0f}",
        }
        for name, result in runs.items()
    ]
    publish(
        "jhmdb",
        "J-HMDB split 1: from scratch and inflated from ImageNet",
        "python benchmarks/jhmdb.py DATA IMAGENET OUTPUT",
        rows,
        notes="660 training and 268 test clips of 21 classes, no source video of a class in both; "
        "whole-video protocol. Settings, seed and curves of each run: `jhmdb.json`.",
        data=runs,
    )
