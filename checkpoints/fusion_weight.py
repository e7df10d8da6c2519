"""Chooses the weight of flow's logits beside those of rgb, on clips that trained neither network.

python checkpoints/fusion_weight.py split DATASET TABLE
python checkpoints/fusion_weight.py choose RGB_RUN FLOW_RUN TABLE

`split` writes a table of the training videos. A fifth of them, by source within each class, is its
split val. Both runs must be trained on its split train. `choose` prints the weight for the split
val.
"""

import argparse
import dataclasses
import pathlib

import numpy as np

import kinetics_i3d as ki3d

VIEWS = "flips"
WEIGHTS = np.arange(0, 2.01, 0.05)
SCALES = np.geomspace(0.1, 10, 201)


def split(dataset, table, *, share=0.2, seed=2):
    """Writes the training videos as a table with the splits train and val."""
    kept, held_out = ki3d.open_dataset(dataset).split("train").hold_out(share, seed=seed)
    val = (dataclasses.replace(video, split="val") for video in held_out.videos)
    dataclasses.replace(kept, videos=(*kept.videos, *val)).write_table(table)


def best_weight(rgb, flow, targets):
    """The weight w for which the softmax of a * (rgb + w * flow) is most likely, for the best a.

    The likelihood, unlike the accuracy, does not jump with a single clip, and the scale a makes the
    choice independent of how certain the networks are.

    Args:
        rgb: Logits, (videos, classes).
        flow: Logits of the same shape.
        targets: The class of each video.
    """
    losses = {}
    for weight in WEIGHTS:
        logits = rgb + weight * flow
        losses[weight] = min(cross_entropy(scale * logits, targets) for scale in SCALES)
    return min(losses, key=losses.__getitem__)


def cross_entropy(logits, targets):
    """The mean negative log likelihood of the targets."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    return float((log_sums - shifted[np.arange(len(targets)), targets]).mean())


def choose(rgb_run, flow_run, table):
    """Prints the weight for the split val of a table, and the accuracies there."""
    videos = ki3d.open_dataset(table).split("val")
    models = [ki3d.InceptionI3D(weights=run / "weights.h5") for run in (rgb_run, flow_run)]
    tested = ki3d.evaluate(models, videos, views=VIEWS)
    rgb, flow = (np.asarray(tested.logits[stream], np.float64) for stream in ("rgb", "flow"))
    targets = np.asarray(tested.targets)
    weight = best_weight(rgb, flow, targets)
    for name, logits in (("rgb", rgb), ("flow", flow), ("both", rgb + weight * flow)):
        print(f"{name:5} {100 * (logits.argmax(axis=1) == targets).mean():.1f} %")
    print(f"weight of flow: {weight:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    splitting = verbs.add_parser("split", help="write a table with the splits train and val")
    splitting.add_argument("dataset", type=pathlib.Path)
    splitting.add_argument("table", type=pathlib.Path)
    choosing = verbs.add_parser("choose", help="print the weight for the split val")
    for name in ("rgb_run", "flow_run", "table"):
        choosing.add_argument(name, type=pathlib.Path)
    options = parser.parse_args()
    if options.verb == "split":
        split(options.dataset, options.table)
    else:
        choose(options.rgb_run, options.flow_run, options.table)
