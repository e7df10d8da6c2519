"""`kinetics-i3d train`: trains a network on the videos of a dataset, or on prepared records.

Every field of `TrainConfig` is an option. A run that was stopped or killed goes on when it is
started again. Exit code 75: it was asked to end (SIGTERM), has saved its state, and waits for that.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import re
import shlex
import sys
import types
import typing

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_labels_argument,
    count,
    read_dataset,
    read_labels_option,
    read_records,
)
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.data.records.manifest import is_records
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.distribute import DISTRIBUTE
from kinetics_i3d.training.errors import TrainingStopped
from kinetics_i3d.training.recipes import RECIPES, config_from_recipe

COME_AGAIN = os.EX_TEMPFAIL  # 75, what schedulers know as "try again"


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "system",
        metavar="SYSTEM",
        help="InceptionI3D, or a system of the paper, as `kinetics-i3d systems` lists them",
    )
    add_dataset_arguments(parser, dataset="--data")
    parser.add_argument(
        "--output",
        required=True,
        metavar="FOLDER",
        help="where weights.h5, config.json, history.csv and the states go",
    )
    parser.add_argument(
        "--name",
        default="custom",
        metavar="NAME",
        help="what the clip spec of the weights is called",
    )
    parser.add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        help="settings to start from; those below change them, and those that contradict --weights "
        "give way",
    )
    parser.add_argument(
        "--distribute", choices=DISTRIBUTE, default="none", help="over which devices and processes"
    )
    parser.add_argument(
        "--save-every", type=count, default=500, metavar="STEPS", help="steps between states"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", help="write the curves for TensorBoard too"
    )
    add_labels_argument(parser)
    add_fields(parser.add_argument_group("settings of the run"), TrainConfig, leave_out=("system",))


def run(options):
    """Trains, and prints the path of the weights; returns the exit code."""
    from kinetics_i3d.weights.catalog import PAIRS
    from kinetics_i3d.weights.read import fetch_weights

    config = config_from_recipe(options.recipe, **read_fields(options, TrainConfig))
    labels = _labels_of_weights(options, config)
    if config.inflate is not None:
        fetch_weights(config.inflate, images=True)
    if config.weights is not None and config.weights not in PAIRS:
        fetch_weights(config.weights)
    dataset = read_source(options)
    load_keras()
    from kinetics_i3d.training.train import train

    about = {"command": shlex.join(options.command)}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout holds the result alone
            train(
                dataset,
                config,
                options.output,
                spec_name=options.name,
                about=about,
                distribute=options.distribute,
                save_every=options.save_every,
                tensorboard=options.tensorboard,
                weights_labels=labels,
            )
    except TrainingStopped as stopped:
        print(stopped, file=sys.stderr)
        return COME_AGAIN
    print(pathlib.Path(options.output) / "weights.h5")
    return 0


def _labels_of_weights(options, config):
    """The class names of --weights that --labels gives, or None.

    The names of the trained classes are those of the dataset; `--head keep` is the only case in
    which those of the weights count.
    """
    labels = read_labels_option(options)
    if labels is not None and (config.weights is None or config.head != "keep"):
        raise UserError(
            "--labels names the classes of --weights with --head keep; otherwise the classes are "
            "those of --data"
        )
    return labels


def read_source(options):
    """The `Records` or the `VideoDataset` at `options.dataset`, all splits of it."""
    if is_records(options.dataset):
        return read_records(options.dataset)
    return read_dataset(options)


def add_fields(parser, config_class, *, leave_out=()):
    """Adds an option for each field of a dataclass, with its type and documented meaning.

    Args:
        parser: A parser or a group of one.
        config_class: A dataclass whose fields have defaults and are str, int, float or bool, one of
            them or `None`, or a tuple.
        leave_out: Fields that get no option.

    Raises:
        TypeError: If a field is of another type.
    """
    kinds = typing.get_type_hints(config_class)
    meanings = documented_fields(config_class)
    for field in dataclasses.fields(config_class):
        if field.name in leave_out:
            continue
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=meanings.get(field.name, "").replace("%", "%%"),
            **_how_to_read(field, kinds[field.name]),
        )


def read_fields(options, config_class):
    """The fields of a dataclass that the options name, {name: value}."""
    names = {field.name for field in dataclasses.fields(config_class)}
    given = {name: value for name, value in vars(options).items() if name in names}
    tuples = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return given | tuples


def documented_fields(config_class):
    """What the docstring's `Args:` say of each field, {name: text}."""
    section = re.search(r"Args:\n(.*?)(?:\n\s*\n|\Z)", config_class.__doc__ or "", re.DOTALL)
    meanings: dict = {}
    entries = re.split(r"\n(?=        \S)", section[1]) if section else []
    for entry in entries:
        names, _, text = " ".join(entry.split()).partition(": ")
        meanings |= dict.fromkeys(names.split(", "), text.replace("`", ""))
    return meanings


def _how_to_read(field, kind):
    if isinstance(kind, types.UnionType) and type(None) in typing.get_args(kind):
        (kind,) = (each for each in typing.get_args(kind) if each is not type(None))
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    metavar = field.name.upper()
    if kind in (str, int, float):
        return {"type": kind, "metavar": metavar}
    if kind is tuple and field.default:
        how_many = len(field.default)
        return {"type": type(field.default[0]), "nargs": how_many, "metavar": metavar}
    if kind is tuple:
        return {"type": str, "nargs": "*", "metavar": metavar}
    raise TypeError(f"{field.name}: no option can be made of {kind}")
