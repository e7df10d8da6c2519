"""`Parser` and the argument types that verbs share."""

import argparse
import importlib.metadata
import os
import pathlib
import sys

from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.data.layouts import KINDS
from kinetics_i3d.data.records.addresses import Address, path_or_address

SOURCES = (
    "a video, also a part of one (talk.mp4#t=5,15) or a folder of frames; a folder of videos, "
    "which is searched with all folders inside; a pattern in quotes; or a list or csv table"
)
PROGRAM = "kinetics-i3d"


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Tells every default that says something."""

    def _get_help_string(self, action):
        silent = action.default is None or action.default is False or action.default == ()
        return action.help if silent else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that complains by `UserError`, so that `main` prints all errors alike."""

    def __init__(self, **kwargs):
        # Abbreviations would break scripts as soon as a second option begins alike.
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **kwargs)

    def error(self, message):
        named = [word for word in sys.argv[1:] if word.startswith("-") and os.path.exists(word)]
        if named:
            message = f"{message}; write ./{named[0]} for a file that begins with a hyphen"
        raise UserError(f"{message}; see {self.prog} --help")


class ShowVersion(argparse.Action):
    """`--version`, looked up only when it is asked for."""

    def __init__(self, option_strings, dest, **kwargs):
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **kwargs)

    def __call__(self, parser, *_):
        print(PROGRAM, importlib.metadata.version(PROGRAM))
        parser.exit()


def count(text):
    """Reads a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


count.__name__ = "whole number"  # what argparse calls it in "invalid whole number value: 'x'"


def add_precision_arguments(parser):
    """Adds --precision, what a model that only answers may compute in, and --calibration."""
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "int8"),
        default="float32",
        help="bfloat16 takes about half the time on processors that know it, longer on others, and "
        "its probabilities differ a little; int8 takes about a third, runs on OpenVINO, and reads "
        "--calibration first",
    )
    parser.add_argument(
        "--calibration",
        metavar="DATASET",
        help="for int8: a csv table or a folder of the videos that the weights were trained on, by "
        "which the ranges of its numbers are found",
    )


def check_precision(options):
    """Raises `UserError` where --precision and --calibration do not go together."""
    if (options.calibration is None) == (options.precision == "int8"):
        raise UserError(
            "--precision int8 needs --calibration DATASET, which is for nothing else. "
            f"Received: --precision {options.precision}, --calibration {options.calibration}"
        )


def with_precision(model, options):
    """The model as --precision asks for it, for which Keras has to be loaded."""
    if options.precision == "float32":
        return model
    from kinetics_i3d.inference.optimize import optimize

    return optimize(model, precision=options.precision, calibration=options.calibration)


def add_labels_argument(parser):
    """Adds --labels, the class names of weights that bring none."""
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="label file with the class names of weights that bring none: text, csv or JSON",
    )


def read_labels_option(options):
    """The class names that --labels gives, or None.

    Raises:
        DatasetError: If the file cannot be read.
        UserError: If there is no such file.
    """
    if options.labels is None:
        return None
    from kinetics_i3d.core.label_files import read_labels

    path = pathlib.Path(options.labels)
    if not path.is_file():
        raise UserError(f"--labels {path}: there is no such file")
    return read_labels(path)


def with_labels(model, labels):
    """The model with other class names, or as it is for None.

    Raises:
        UserError: If they are not as many as its outputs.
    """
    if labels is None:
        return model
    classes = model.output_shape[-1]
    if len(labels) != classes:
        raise UserError(f"--labels names {len(labels)} classes; the weights have {classes}")
    model.labels = tuple(labels)
    return model


def add_dataset_arguments(parser, *, dataset="dataset", number="--split-number"):
    """Adds what `read_dataset` reads: DATASET, --kind, --videos and the number of a split.

    Args:
        parser: A parser or a group of one.
        dataset: What DATASET is called: an option where it begins with dashes.
        number: What the option of the number is called; most verbs have a --split of names.
    """
    option = {"dest": "dataset", "required": True} if dataset.startswith("-") else {}
    parser.add_argument(
        dataset,
        metavar="DATASET",
        help="a csv table of videos, or the folder of a dataset; `kinetics-i3d datasets DATASET` "
        "tells what is found there",
        **option,
    )
    parser.add_argument(
        "--kind", choices=KINDS, help="what DATASET is, where its files fit several"
    )
    parser.add_argument(
        "--videos", metavar="FOLDER", help="where its videos are, if not beside its lists"
    )
    parser.add_argument(
        number,
        dest="split_number",
        type=count,
        default=1,
        metavar="N",
        help="which of the official splits of UCF-101, HMDB-51 and J-HMDB",
    )


def expand_videos(sources):
    """The videos that arguments name: files, folders, patterns, lists and tables.

    Args:
        sources: The arguments, as `SOURCES` describes them.

    Returns:
        A list of paths; a file that is named twice is there twice.

    Raises:
        UserError: As `find_videos`.

    Example:

    >>> expand_videos(["a.mp4", "b.mp4"])
    ['a.mp4', 'b.mp4']
    """
    from kinetics_i3d.data.find_videos import find_videos

    return [path for source in sources for path in find_videos(source)[1]]


def read_dataset(options):
    """The `VideoDataset` that the options of `add_dataset_arguments` name, all splits of it.

    Raises:
        DatasetError: As `open_dataset`.
    """
    from kinetics_i3d.data.datasets import open_dataset

    return open_dataset(
        options.dataset, kind=options.kind, videos=options.videos, split=options.split_number
    )


def read_records(path):
    """The `Records` at a path or an address.

    Raises:
        DatasetError: As `open_records`.
    """
    from kinetics_i3d.data.records.reader import open_records

    if isinstance(path_or_address(path), Address):
        load_keras()  # keeps TensorFlow quiet, which a manifest here is read without
    return open_records(path)
