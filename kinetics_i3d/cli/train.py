"""`kinetics-i3d train`: trains a network on the videos of a dataset.

Every field of `TrainConfig` is an option. A run that was stopped goes on when it is started again.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import re
import shlex
import sys
import types
import typing

from kinetics_i3d.cli.arguments import add_dataset_arguments, read_dataset
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.recipes import RECIPES


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_dataset_arguments(parser)
    parser.add_argument(
        "output", metavar="OUTPUT", help="folder of weights.h5, config.json and history.csv"
    )
    parser.add_argument("--split", default="train", metavar="NAME", help="which videos")
    parser.add_argument(
        "--name",
        default="custom",
        metavar="NAME",
        help="what the clip spec of the weights is called",
    )
    parser.add_argument(
        "--recipe", choices=sorted(RECIPES), help="settings to start from; those below change them"
    )
    add_fields(parser.add_argument_group("settings of the run"), TrainConfig)


def run(options):
    """Trains, and prints the path of the weights; returns the exit code."""
    from kinetics_i3d.weights.catalog import find_weights

    config = read_fields(options, RECIPES.get(options.recipe, TrainConfig()))
    if config.inflate is not None:
        find_weights(config.inflate)
    dataset = read_dataset(options).split(options.split)
    load_keras()
    from kinetics_i3d.training.train import train

    about = {"command": shlex.join(options.command)}
    with contextlib.redirect_stdout(sys.stderr):  # Keras prints its epochs to stdout
        train(dataset, config, options.output, spec_name=options.name, about=about)
    print(pathlib.Path(options.output) / "weights.h5")
    return 0


def add_fields(parser, config_class):
    """Adds an option for each field of a dataclass, with its type and documented meaning.

    Args:
        parser: A parser or a group of one.
        config_class: A dataclass whose fields have defaults and are str, int, float or bool, one of
            them or `None`, or a tuple.

    Raises:
        TypeError: If a field is of another type.
    """
    kinds = typing.get_type_hints(config_class)
    meanings = documented_fields(config_class)
    for field in dataclasses.fields(config_class):
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=meanings.get(field.name, "").replace("%", "%%"),
            **_how_to_read(field, kinds[field.name]),
        )


def read_fields(options, config):
    """`config` with the fields that `add_fields` read in place of its own.

    Raises:
        ValueError: As the dataclass itself.
    """
    names = {field.name for field in dataclasses.fields(config)}
    given = {name: value for name, value in vars(options).items() if name in names}
    tuples = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return dataclasses.replace(config, **given | tuples)


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
