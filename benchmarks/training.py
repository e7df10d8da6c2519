"""Speed of training: the package's loop on real input relative to `fit`, and bfloat16 to float32.

Both train the same network; `fit` repeats one batch from memory.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import argparse
import contextlib
import dataclasses
import itertools
import pathlib
import statistics
import tempfile
import time

import keras
import tensorflow as tf
from report import publish

from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.figures import write_figures
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.errors import StopRequest
from kinetics_i3d.training.loop import Loop
from kinetics_i3d.training.network import build
from kinetics_i3d.training.optimizers import make_optimizer, prepare_optimizer
from kinetics_i3d.training.sources import training_batches
from kinetics_i3d.training.step import Objective, Step

ENDLESS = 10**9
SMALL = TrainConfig(
    frames=16, size=112, test_short_side=128, test_size=112, batch_size=8, steps=ENDLESS, warmup=0.0
)
FULL = TrainConfig(frames=64, batch_size=1, steps=ENDLESS, warmup=0.0)


def make_records(folder, config):
    """Records of the figures dataset."""
    table = write_figures(
        folder / "videos", train_per_action=4, test_per_action=1, size=(128, 170), workers=2
    )
    settings = PrepareConfig(streams=("rgb",), spec=config.specs(("rgb",))["rgb"])
    return prepare(open_dataset(table), folder / "records", settings).split("train")


def network(config, labels):
    """A model and its optimizer, ready to train."""
    model = build(config, labels)
    optimizer = make_optimizer(config)
    prepare_optimizer(optimizer, model)
    return model, optimizer


def our_loop(config, labels, batches, folder):
    """(function that runs a number of steps, the package's loop that it runs)."""
    model, optimizer = network(config, labels)
    step = Step(model, optimizer, objective=Objective(smoothing=config.label_smoothing))
    loop = Loop(config, step, folder, steps_per_epoch=ENDLESS, save_every=ENDLESS)
    iterator = iter(batches)

    def run(steps):
        with contextlib.suppress(StopIteration):  # the loop expects its input to be endless
            loop.run(itertools.islice(iterator, steps), StopRequest())

    return run, loop


def plain_fit(config, labels, batch):
    """A function that runs a number of steps of Keras' `fit` on one batch."""
    model, optimizer = network(config, labels)
    loss = keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=config.label_smoothing
    )
    model.compile(optimizer, loss=loss, metrics=["accuracy"])
    cached = tf.data.Dataset.from_tensors(batch).repeat()
    return lambda steps: model.fit(cached, steps_per_epoch=steps, shuffle=False, verbose=0)


def interleaved(runs, *, steps, rounds):
    """({name: median seconds per step}, {name: seconds}), interleaved after a warm-up round."""
    seconds = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run(steps if number else 2)
            if number:
                seconds[name].append((time.perf_counter() - start) / steps)
    return {name: statistics.median(times) for name, times in seconds.items()}, seconds


def rows_of(medians, config, base, clips):
    """The table rows of one comparison."""
    return [
        {
            "what": name,
            "clips": clips,
            "batch": config.batch_size,
            "clips/s": f"{config.batch_size / median:.2f}",
            "ratio": f"{medians[base] / median:.2f}",
        }
        for name, median in medians.items()
    ]


def compare_with_fit(folder, options):
    """Rows and numbers of the loop on records and of `fit` on one batch in memory."""
    source = make_records(folder, SMALL)
    batches = training_batches(source, SMALL, ("rgb",), batch_size=SMALL.batch_size, seed=0)
    clips, targets, _ = next(iter(batches))
    ours, loop = our_loop(SMALL, source.labels, batches, folder / "loop")
    runs = {
        "`fit` on a batch in memory": plain_fit(SMALL, source.labels, (clips, targets)),
        "`train`'s loop on records": ours,
    }
    medians, seconds = interleaved(runs, steps=options.steps, rounds=options.rounds)
    shape = f"{SMALL.frames}x{SMALL.size}x{SMALL.size}"
    rows = rows_of(medians, SMALL, "`fit` on a batch in memory", shape)
    return rows, {"seconds": seconds, "waiting": loop.meter.rates()["waiting"]}


def compare_with_float32(folder, options):
    """Rows and numbers of the loop in float32 and in bfloat16."""
    clips = tf.random.stateless_normal((1, FULL.frames, FULL.size, FULL.size, 3), (0, 0))
    batch = (clips, tf.one_hot([0], 400), tf.constant([0], tf.int64))
    runs = {}
    for precision in ("float32", "mixed_bfloat16"):
        config = dataclasses.replace(FULL, precision=precision)
        labels = [str(number) for number in range(400)]
        runs[precision], _ = our_loop(config, labels, itertools.repeat(batch), folder / precision)
    medians, seconds = interleaved(runs, steps=options.long_steps, rounds=options.rounds)
    shape = f"{FULL.frames}x{FULL.size}x{FULL.size}"
    return rows_of(medians, FULL, "float32", shape), {"seconds": seconds}


def main(options):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        rows, fit = compare_with_fit(folder, options)
        precision_rows, precision = compare_with_float32(folder, options)
    publish(
        "training",
        "Training an InceptionI3D: the loop relative to `fit`, bfloat16 relative to float32",
        "python benchmarks/training.py",
        [*rows, *precision_rows],
        notes=f"Medians of {options.rounds} interleaved rounds; AdamW, augmentation as in `train`. "
        "The loop reads, decodes and augments its clips while it trains, on the same processors, "
        f"and waits for them {100 * fit['waiting']:.1f} % of its time; `fit` has its batch in "
        "memory. Ratios are relative to the first row with the same clips. No states are saved.",
        data={"fit": fit, "precision": precision},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=8, help="steps per round against `fit`")
    parser.add_argument("--long-steps", type=int, default=3, help="steps per round with 64 frames")
    main(parser.parse_args())
