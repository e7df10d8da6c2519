"""Turns training runs into a shipped checkpoint: half precision, tested as it ships.

python checkpoints/ship.py RUN NAME DATASET --command "kinetics-i3d train ..." [--average RUN...]
    [--recalibrate RECORDS] [--scale FACTOR]
"""

import argparse
import dataclasses
import json
import pathlib

import keras
import numpy as np

import kinetics_i3d as ki3d

FOLDER = pathlib.Path(__file__).parent


def average(models, *, recalibrated=False):
    """The first model with the means of the weights of all.

    Wortsman et al., "Model soups", ICML 2022: networks that were fine-tuned from the same weights
    can be averaged.

    Raises:
        ValueError: If the networks or their labels differ, or batch norm has other statistics in
            them, since means of statistics do not fit means of weights, unless they will be
            `recalibrated`.
    """
    first, *others = models
    for model in others:
        if model.labels != first.labels or len(model.variables) != len(first.variables):
            raise ValueError(f"the networks differ: {first.name}, {model.name}")
    for variables in zip(*(model.variables for model in models), strict=True):
        arrays = [np.asarray(variable, np.float64) for variable in variables]
        differ = any((arrays[0] != array).any() for array in arrays)
        if "moving" in variables[0].name and differ and not recalibrated:
            raise ValueError(f"the statistics of batch norm differ in {variables[0].path}")
        if np.issubdtype(np.dtype(variables[0].dtype), np.floating):
            variables[0].assign(np.mean(arrays, axis=0).astype(np.float32))
    return first


def recalibrate(model, run, records):
    """Measures the statistics of batch norm again, on augmented training clips of a run.

    Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018.

    Args:
        model: A `ClipModel` of one stream, changed in place.
        run: The folder of a run, whose config says how its clips are made.
        records: The dataset that it was trained on.
    """
    import tensorflow as tf

    config = ki3d.TrainConfig(**json.loads((run / "config.json").read_text()))
    (spec,) = config.specs(config.streams).values()
    clips = ki3d.training_clips(
        ki3d.open_dataset(records).split(config.split),
        streams=spec.stream,
        spec=spec,
        frames=config.frames,
        batch_size=config.batch_size,
        augment=ki3d.augmentation(spec, area=config.area, flip=config.flip, color=config.color),
        seed=config.seed,
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = config.batch_norm_momentum
    update = tf.function(lambda batch: model(batch, training=True))
    for batch, _ in clips.take(config.recalibration_batches):
        update(batch)


def scale_logits(model, factor):
    """Multiplies the logits of a model, whose order stays, by scaling its classifier."""
    for variable in model.get_layer("Conv3d_0c_1x1").variables:
        variable.assign(variable * factor)


def ship(runs, name, dataset, command, *, records=None, scale=1.0, spec_name=None):
    """Writes `NAME.h5` in float16, with the accuracy of this file on the test split inside.

    The preprocessing is that of the first run.
    """
    models = [ki3d.InceptionI3D(weights=run / "weights.h5") for run in runs]
    model = average(models, recalibrated=records is not None)
    if records is not None:
        recalibrate(model, runs[0], records)
    scale_logits(model, scale)
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
    parser.add_argument(
        "--average",
        type=pathlib.Path,
        nargs="+",
        default=[],
        metavar="RUN",
        help="further runs, whose weights are averaged with those of RUN",
    )
    parser.add_argument(
        "--recalibrate",
        type=pathlib.Path,
        metavar="RECORDS",
        help="training clips on which the statistics of batch norm are measured again",
    )
    parser.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="factor of the logits, which weights this stream against the other one",
    )
    parser.add_argument("--spec", metavar="NAME", help="new name of its clip spec")
    options = parser.parse_args()
    test = ki3d.open_dataset(options.dataset).split("test")
    runs = [options.run, *options.average]
    how = {"scale": options.scale, "spec_name": options.spec, "records": options.recalibrate}
    print(ship(runs, options.name, test, options.command, **how))
