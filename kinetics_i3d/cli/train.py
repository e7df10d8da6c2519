"""`kinetics-i3d train`: train a model on the videos of a dataset, or on prepared records.

Rerunning a command that was stopped or killed resumes the run, which ends with the same weights.
Exit code 75: the run was stopped by SIGTERM and has saved its state.
"""

import argparse
import contextlib
import os
import pathlib
import shlex
import sys

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_json_argument,
    add_labels_argument,
    add_output_argument,
    count,
    print_result,
    read_dataset,
    read_labels_option,
)
from kinetics_i3d.cli.config_options import (
    CHECKPOINTS,
    CLIPS,
    DATA,
    DEVICES,
    OPTIMIZATION,
    START,
    add_fields,
    read_fields,
)
from kinetics_i3d.cli.console import load_keras
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.distribute import DISTRIBUTE
from kinetics_i3d.training.errors import TrainingStopped
from kinetics_i3d.training.recipes import RECIPES, config_from_recipe

EXAMPLES = (
    "kinetics-i3d train InceptionI3D --data my_videos --output RUN --recipe finetune_kinetics",
    "kinetics-i3d train InceptionI3D --data my_videos --output RUN --weights rgb_kinetics400 "
    "--transfer fixed",
)
TRY_AGAIN = os.EX_TEMPFAIL  # 75, the exit code for "try again"


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "system",
        nargs="?",
        default=argparse.SUPPRESS,  # that of the recipe
        metavar="SYSTEM",
        help="one of the paper's systems that `kinetics-i3d systems` lists, or InceptionI3D "
        "(default: that of --recipe, otherwise InceptionI3D)",
    )
    topics = {DATA: add_dataset_arguments(parser, bare=False, records=True)}
    for topic in (START, CLIPS, OPTIMIZATION, DEVICES, CHECKPOINTS):
        topics[topic] = parser.add_argument_group(topic)
    topics[START].add_argument(
        "--recipe",
        choices=sorted(RECIPES),
        metavar="NAME",
        help="settings to start from; the other options override them, and settings that "
        f"contradict --weights follow the weights: {', '.join(sorted(RECIPES))} "
        "(default: none)",
    )
    add_output_argument(
        topics[CHECKPOINTS],
        "FOLDER",
        "folder of weights.h5, config.json, history.csv and the saved states; a run in it is "
        "resumed",
        required=True,
    )
    add_fields(parser, topics, TrainConfig)
    add_labels_argument(topics[START])
    topics[DEVICES].add_argument(
        "--distribute",
        choices=DISTRIBUTE,
        default="none",
        help="devices to train on: none uses one; mirrored all GPUs of this process; multiworker "
        "the GPUs of all processes in TF_CONFIG; auto chooses",
    )
    topics[CHECKPOINTS].add_argument(
        "--save-every",
        type=count,
        default=500,
        metavar="STEPS",
        help="training steps between saved states",
    )
    name = topics[CHECKPOINTS].add_argument(
        "--spec-name",
        default="custom",
        metavar="NAME",
        help="name of the clip spec in the finished weights",
    )
    parser.add_former_option("--name", name)
    topics[CHECKPOINTS].add_argument(
        "--tensorboard", action="store_true", help="also write the curves for TensorBoard"
    )
    add_json_argument(parser)


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
    dataset = read_dataset(options)
    load_keras()
    from kinetics_i3d.training.train import train

    about = {"command": shlex.join(options.command)}
    try:
        with contextlib.redirect_stdout(sys.stderr):  # stdout holds the result alone
            train(
                dataset,
                config,
                options.output,
                spec_name=options.spec_name,
                about=about,
                distribute=options.distribute,
                save_every=options.save_every,
                tensorboard=options.tensorboard,
                weights_labels=labels,
            )
    except TrainingStopped as stopped:
        print(stopped, file=sys.stderr)
        return TRY_AGAIN
    path = str(pathlib.Path(options.output) / "weights.h5")
    print_result(options, path, {"output": path})
    return 0


def _labels_of_weights(options, config):
    """The class names of --weights that --labels gives, or None.

    The trained classes are named by the dataset; only with `--head keep` do the names in the
    weights count.
    """
    labels = read_labels_option(options)
    if labels is not None and (config.weights is None or config.head != "keep"):
        raise UserError(
            "--labels can be used only with --weights and --head keep; otherwise the classes are "
            "those of the dataset"
        )
    return labels
