"""Turns a training run into a shipped checkpoint: half precision, tested as it ships.

python checkpoints/ship.py RUN NAME DATASET --command "kinetics-i3d train ..."
"""

import argparse
import dataclasses
import pathlib

import kinetics_i3d as ki3d

FOLDER = pathlib.Path(__file__).parent


def ship(run, name, dataset, command, spec_name=None):
    """Writes `NAME.h5` in float16, with the accuracy of this file on the test split inside."""
    model = ki3d.InceptionI3D(weights=run / "weights.h5")
    if spec_name is not None:
        model.clip_spec = dataclasses.replace(model.clip_spec, name=spec_name)
    path = FOLDER / f"{name}.h5"
    ki3d.save_weights(model, path, dtype="float16")
    shipped = ki3d.InceptionI3D(weights=path)
    tested = ki3d.evaluate(shipped, dataset)
    about = {"command": command, "accuracy": tested.summary()}
    ki3d.save_weights(shipped, path, dtype="float16", about=about)
    path = FOLDER / f"{name}_confusion.png"
    ki3d.draw_confusion(path, tested.confusion(), dataset.labels, title=name)
    return tested.summary()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("name")
    parser.add_argument("dataset", type=pathlib.Path)
    parser.add_argument("--command", required=True)
    parser.add_argument("--spec", metavar="NAME", help="new name of its clip spec")
    options = parser.parse_args()
    test = ki3d.open_dataset(options.dataset).split("test")
    print(ship(options.run, options.name, test, options.command, options.spec))
