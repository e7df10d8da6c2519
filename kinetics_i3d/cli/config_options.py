"""The options of `kinetics-i3d train` for the fields of `TrainConfig`, a row each."""

import argparse
import dataclasses
import types
import typing

from kinetics_i3d.cli.arguments import (
    streams,
)
from kinetics_i3d.training.config import CHOICES, RENAMED_FIELDS

DATA, START, CLIPS, OPTIMIZATION, DEVICES, CHECKPOINTS = (
    "data",
    "network and start",
    "clips and augmentation",
    "optimization",
    "devices and precision",
    "checkpoints",
)


@dataclasses.dataclass(frozen=True)
class Field:
    """An option for a field of `TrainConfig`; its type, choices and default are the field's."""

    name: str
    topic: str
    metavar: str | None
    help: str


# The common ones of each topic first.
FIELDS = (
    Field("split", DATA, "NAME", "videos to train on: a split, or `all` to hold none out"),
    Field(
        "validation",
        DATA,
        "NAME|SHARE",
        "videos to validate on: a split, or a share of the training videos such as 0.1 (default: "
        "none; a fifth of a dataset without splits)",
    ),
    Field(
        "weights",
        START,
        "NAME|PATH",
        "weights to start from: a name that `kinetics-i3d weights` lists, or a file (default: "
        "random weights)",
    ),
    Field(
        "transfer",
        START,
        None,
        "what is trained: original trains all layers from scratch, full fine-tunes all layers of "
        "--weights, fixed trains only the classifier, on features that are computed once (default: "
        "full with --weights, otherwise original)",
    ),
    Field(
        "head",
        START,
        None,
        "classifier on --weights: new for other classes, or keep for the same classes",
    ),
    Field(
        "freeze",
        START,
        "NAME",
        "layers to freeze, by prefixes of their names, such as Conv3d Mixed_3 (default: none)",
    ),
    Field(
        "streams",
        START,
        "NAMES",
        "stream that InceptionI3D reads: rgb (frames) or flow (optical flow); other systems have "
        "fixed streams (default: the stream of --weights, else rgb)",
    ),
    Field(
        "architecture",
        START,
        "NAME",
        "architecture, such as inception_v1 or inception_v1_quarter (default: that of --weights, "
        "else that of the system)",
    ),
    Field(
        "inflate",
        START,
        "NAME|PATH",
        "weights of an image network to start from, such as imagenet_inception5h (default: none)",
    ),
    Field(
        "temporal",
        START,
        None,
        "how --inflate makes 3D kernels: spread evenly over time, or put at the middle frame",
    ),
    Field("dropout", START, "SHARE", "share of the features that dropout sets to 0, 0 to 1"),
    Field(
        "batch_norm",
        START,
        None,
        "batch norm: train uses and updates the statistics of each batch; freeze keeps statistics "
        "and offsets as they are; recalibrate trains, and measures the statistics again at the end",
    ),
    Field(
        "batch_norm_momentum",
        START,
        "DECAY",
        "decay per step of batch norm's moving statistics, 0 to 1; short runs need less",
    ),
    Field("recalibration_batches", START, "N", "batches that --batch-norm recalibrate measures"),
    Field(
        "feature_passes",
        START,
        "N",
        "clips per video whose features --transfer fixed computes, each cropped differently",
    ),
    Field("frames", CLIPS, "N", "frames per training clip; of flow if both streams are read"),
    Field("size", CLIPS, "PIXELS", "height and width of a training clip"),
    Field("fps", CLIPS, "N", "frames per second of the clips"),
    Field(
        "test_size", CLIPS, "PIXELS", "height and width of the center crop of the finished model"
    ),
    Field(
        "test_short_side",
        CLIPS,
        "PIXELS",
        "shorter side that the finished model resizes videos to, before the crop",
    ),
    Field("flip", CLIPS, None, "mirror clips left to right, at random"),
    Field("color", CLIPS, None, "change brightness, contrast and saturation at random"),
    Field(
        "crop",
        CLIPS,
        None,
        "resized cuts a random area and resizes it to --size; plain cuts a random square of --size",
    ),
    Field(
        "area",
        CLIPS,
        "SHARE",
        "smallest and largest area of --crop resized, as shares of the largest square",
    ),
    Field(
        "mixup",
        CLIPS,
        "ALPHA",
        "alpha of mixup, which blends pairs of clips and their labels; 0 for none",
    ),
    Field(
        "stride",
        CLIPS,
        "N",
        "frames of the video per frame of a clip: 5 for ConvNetLSTM; flow frames per rgb frame: 10 "
        "for TwoStream and TwoStreamFused",
    ),
    Field(
        "epochs",
        OPTIMIZATION,
        "N",
        "passes over the training videos (default: 20; 60 with --transfer fixed)",
    ),
    Field("batch_size", OPTIMIZATION, "N", "clips per step, on all devices together"),
    Field(
        "learning_rate",
        OPTIMIZATION,
        "RATE",
        "largest learning rate (default: 0.0001; 0.003 with --transfer fixed)",
    ),
    Field("steps", OPTIMIZATION, "N", "training steps, instead of --epochs; 0 uses --epochs"),
    Field("optimizer", OPTIMIZATION, None, "adamw, or sgd with momentum 0.9"),
    Field("schedule", OPTIMIZATION, None, "how the learning rate changes over the run"),
    Field(
        "warmup",
        OPTIMIZATION,
        "EPOCHS",
        "epochs in which the learning rate rises linearly from 0",
    ),
    Field(
        "linear_probe",
        OPTIMIZATION,
        "EPOCHS",
        "epochs that train the classifier alone before the other layers",
    ),
    Field(
        "weight_decay",
        OPTIMIZATION,
        "SHARE",
        "decoupled weight decay: each step shrinks the kernels by this share of the learning "
        "rate; biases and batch norm are not decayed",
    ),
    Field(
        "label_smoothing",
        OPTIMIZATION,
        "SHARE",
        "share of each target that is spread over all classes, 0 to 1 (default: 0.1; 0 with --loss "
        "sigmoid)",
    ),
    Field(
        "loss",
        OPTIMIZATION,
        None,
        "softmax for one class per video, sigmoid for several or none; auto chooses from the "
        "dataset",
    ),
    Field(
        "class_weight",
        OPTIMIZATION,
        None,
        "balanced weights each clip's loss by the inverse frequency of its class; none weights "
        "all clips equally",
    ),
    Field(
        "global_clipnorm",
        OPTIMIZATION,
        "NORM",
        "largest global norm of the gradients; 0 for no limit",
    ),
    Field(
        "ema",
        OPTIMIZATION,
        "DECAY",
        "decay per step of an exponential moving average of the weights, which is evaluated and "
        "saved; 0 saves the last weights",
    ),
    Field(
        "patience",
        OPTIMIZATION,
        "N",
        "validations without progress before the schedules plateau and paper divide the rate by 10",
    ),
    Field("seed", OPTIMIZATION, "N", "seed of all randomness"),
    Field(
        "precision",
        DEVICES,
        None,
        "precision of the computation; mixed_bfloat16 is faster where processors support it, "
        "mixed_float16 is for GPUs",
    ),
    Field(
        "accumulate",
        DEVICES,
        "N",
        "number of parts that each batch is split into and computed one after another, to save "
        "memory",
    ),
    Field(
        "synchronize_batch_norm",
        DEVICES,
        None,
        "compute batch norm's statistics over the clips of all devices together",
    ),
    Field("validate_every", CHECKPOINTS, "EPOCHS", "epochs between validations"),
    Field(
        "keep",
        CHECKPOINTS,
        "N",
        "number of latest epochs whose weights are kept, besides the best by validation",
    ),
)


def add_fields(parser, topics, config_class, fields=FIELDS):
    """Adds an option for each field of a dataclass to the group of its topic.

    Args:
        parser: The parser, for the former names of the options.
        topics: {topic: group of a parser}.
        config_class: A dataclass whose fields have defaults and are str, int, float or bool, one of
            them or None, or a tuple.
        fields: A `Field` for each that becomes an option.
    """
    kinds = typing.get_type_hints(config_class)
    defaults = {field.name: field.default for field in dataclasses.fields(config_class)}
    options = {}
    for field in fields:
        default = defaults[field.name]
        text = field.help
        if "(default" not in text and default not in (None, ()):
            text += f" (default: {_as_words(default)})"
        options[field.name] = topics[field.topic].add_argument(
            f"--{field.name.replace('_', '-')}",
            default=argparse.SUPPRESS,  # unset fields are those of the recipe
            help=text.replace("%", "%%"),
            **_how_to_read(field, kinds[field.name], default),
        )
    for former, name in RENAMED_FIELDS.items():
        if name in options and options[name].nargs != 0:  # a flag
            parser.add_former_option(f"--{former.replace('_', '-')}", options[name])


def _as_words(default):
    if isinstance(default, bool):
        return "yes" if default else "no"
    return " ".join(map(str, default)) if isinstance(default, tuple) else default


def read_fields(options, config_class):
    """The fields of a dataclass that the options set, {name: value}."""
    names = {field.name for field in dataclasses.fields(config_class)}
    values = {name: value for name, value in vars(options).items() if name in names}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }


def _how_to_read(field, kind, default):
    """The options of `add_argument` for a field of a type."""
    if isinstance(kind, types.UnionType) and type(None) in typing.get_args(kind):
        (kind,) = (member for member in typing.get_args(kind) if member is not type(None))
    if kind is bool:
        return {"action": argparse.BooleanOptionalAction}
    if field.name in CHOICES:
        return {"metavar": "|".join(CHOICES[field.name])}
    if field.name == "streams":
        return {"type": streams, "metavar": field.metavar}
    if kind in (str, int, float):
        return {"type": kind, "metavar": field.metavar}
    kind = typing.get_origin(kind) or kind
    if kind is tuple and default:
        return {"type": type(default[0]), "nargs": len(default), "metavar": field.metavar}
    if kind is tuple:
        return {"type": str, "nargs": "*", "metavar": field.metavar}
    raise TypeError(f"{field.name}: no option can be made of {kind}")
