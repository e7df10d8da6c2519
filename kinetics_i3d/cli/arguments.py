"""Options that several verbs share, with the same spelling and meaning in each."""

import argparse
import json
import pathlib

from kinetics_i3d.cli.console import inform, load_keras, notify
from kinetics_i3d.cli.parser import FORMER
from kinetics_i3d.core.clip_spec import STREAMS, as_streams
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.data.layouts.formats import KINDS
from kinetics_i3d.data.records.addresses import Address, path_or_address
from kinetics_i3d.weights import DEFAULT_WEIGHTS

SOURCES = (
    "a video, or a part of one (talk.mp4#t=5,15); a folder of frames; a folder of videos, searched "
    "recursively; a quoted pattern; or a list or csv table of videos"
)
TAILS = ("pad", "drop", "overlap")
SHORTS = ("loop", "pad", "error")


def count(text):
    """Reads a whole number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {number}")
    return number


count.__name__ = "whole number"  # shown by argparse in "invalid whole number value: 'x'"


def seconds(text):
    """Reads a number of seconds, with or without the unit: 1.5 or 1.5s."""
    return float(text.removesuffix("s"))


seconds.__name__ = "number of seconds"


def streams(text):
    """Reads names of streams with commas between them."""
    if text == "both":
        notify(f"--streams both is now --streams {','.join(STREAMS)}; {FORMER}")
        return STREAMS
    try:
        return as_streams(text)
    except ValueError as error:
        message = f"must be rgb, flow or rgb,flow, not {text}"
        raise argparse.ArgumentTypeError(message) from error


# --data


def add_dataset_arguments(parser, *, bare=True, records=False):
    """Adds the options of `read_dataset`: --data, --kind, --videos and --split-number.

    Args:
        parser: A `Parser`.
        bare: Whether the dataset may also be given as a bare word.
        records: Whether the verb also reads prepared records.

    Returns:
        The group of these options, for further ones about the dataset.
    """
    group = parser.add_argument_group("data")
    action = group.add_argument(
        "--data",
        dest="dataset",
        required=True,
        metavar="DATASET",
        help="a folder with one subfolder per class, a csv table of videos, or the folder of a "
        "public dataset such as UCF-101"
        + ("; or the folder or address of prepared records" if records else ""),
    )
    if bare:
        parser.take_word(action)
    group.add_argument(
        "--kind",
        choices=KINDS,
        help=f"format of the dataset: {', '.join(KINDS)} (default: recognized by its files)",
        metavar="NAME",
    )
    group.add_argument(
        "--videos", metavar="FOLDER", help="folder of the videos (default: the folder of the lists)"
    )
    group.add_argument(
        "--split-number",
        type=count,
        default=1,
        metavar="N",
        help="number of the official split of UCF-101, HMDB-51 or J-HMDB to read",
    )
    return group


def read_dataset(options):
    """The dataset that the options of `add_dataset_arguments` name, all splits of it."""
    from kinetics_i3d.data.datasets import open_dataset

    if isinstance(path_or_address(options.dataset), Address):
        load_keras()  # silences TensorFlow, which reads addresses
    return open_dataset(
        options.dataset,
        kind=options.kind,
        videos=options.videos,
        split_number=options.split_number,
    )


def expand_videos(sources):
    """The paths of the videos that arguments name, as `SOURCES` describes them.

    Example:

    >>> expand_videos(["a.mp4", "b.mp4"])
    ['a.mp4', 'b.mp4']
    """
    from kinetics_i3d.data.datasets import find_videos

    return [path for source in sources for path in find_videos(source)[1]]


def add_split_argument(group, *, default, purpose, default_text=None):
    """Adds --split, a part of the dataset by name.

    Args:
        group: A parser, or a group of a parser.
        default: The name of the default, or None.
        purpose: What the videos are for, such as "to test on".
        default_text: The default in words, if it is not a name.
    """
    note = f" (default: {default_text})" if default_text else ""
    group.add_argument(
        "--split",
        default=default,
        metavar="NAME",
        help=f"videos {purpose}: the name of a split, `all` if the dataset has none, or "
        f"source=NAME for the videos of one source (the column `source` of a table){note}",
    )


# --weights


def add_weights_arguments(parser, *, bare=False, required=False, default=None, flow=True):
    """Adds --weights, and --flow-weights for the second stream.

    Args:
        parser: A `Parser`.
        bare: Whether the weights may also be given as a bare word.
        required: Whether they have no default.
        default: The default in words.
        flow: Whether to add --flow-weights.
    """
    note = f" (default: {default})" if default else ""
    action = parser.add_argument(
        "--weights",
        required=required or bare,
        metavar="NAME|PATH",
        help="weights of the model, for one stream or two: a file, or a name that `kinetics-i3d "
        f"weights` lists{note}",
    )
    if bare:
        parser.take_word(action)
    if flow:
        parser.add_argument(
            "--flow-weights",
            metavar="NAME|PATH",
            help="weights of the flow stream, if --weights are for rgb; the logits of the two "
            "streams are added",
        )


def add_network_arguments(parser, *, flow="where no flow file exists"):
    """Adds --weights, --flow-weights and --streams of a verb that has default weights.

    Args:
        parser: A `Parser`.
        flow: A phrase that completes "flow is computed".
    """
    add_weights_arguments(
        parser,
        default=f"{DEFAULT_WEIGHTS[None]}, the 400 actions of Kinetics; "
        f"{DEFAULT_WEIGHTS[('flow',)]} with --streams flow, {DEFAULT_WEIGHTS[STREAMS]} with "
        "--streams rgb,flow",
    )
    add_streams_argument(
        parser,
        purpose="streams that the model reads",
        default_text=f"the streams of the weights; flow is computed {flow}",
    )


def default_weights(streams):
    """The name of the default weights for --streams."""
    return DEFAULT_WEIGHTS[streams]


def chosen_weights(options):
    """The weights of --weights and --flow-weights, or the default ones of --streams."""
    streams = getattr(options, "streams", None)  # `export` has no such option
    if not options.flow_weights:
        return options.weights or default_weights(streams)
    if streams == ("flow",):
        raise UserError(
            "--flow-weights adds a flow stream to one of rgb; for flow alone use --weights "
            f"{options.flow_weights}"
        )
    return {"rgb": options.weights or default_weights(None), "flow": options.flow_weights}


def add_labels_argument(parser):
    """Adds --labels, the class names of weights without them."""
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="class names as text, csv or JSON, in place of those of the weights",
    )


def read_labels_option(options):
    """The class names that --labels gives, or None."""
    if options.labels is None:
        return None
    from kinetics_i3d.core.label_files import read_labels

    path = pathlib.Path(options.labels)
    if not path.is_file():
        raise UserError(f"--labels {path}: there is no such file")
    return read_labels(path)


def with_labels(model, labels):
    """The model with the class names of --labels; unchanged for None."""
    from kinetics_i3d.models.clip_model import set_labels

    if labels is not None:
        set_labels(model, labels)
    return model


# --precision


def add_precision_arguments(parser):
    """Adds --precision for inference, and --calibration."""
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "int8", "auto"),
        default="float32",
        help="precision of the network. bfloat16 takes about half the time on processors that "
        "support it and longer on others, and changes the probabilities slightly. int8 "
        "takes about a third of the time, runs in OpenVINO, and needs --calibration. auto is "
        "bfloat16 on processors that support it, otherwise float32",
    )
    add_calibration_argument(parser, "int8")


def add_calibration_argument(parser, precision):
    """Adds --calibration, the videos that set the ranges of 8-bit numbers."""
    parser.add_argument(
        "--calibration",
        metavar="DATASET",
        help=f"for {precision}: the dataset that the weights were trained on; its training videos "
        "set the ranges of the 8-bit numbers",
    )


def check_precision(options):
    """Raises `UserError` if --precision and --calibration do not match."""
    if (options.calibration is None) == (options.precision == "int8"):
        raise UserError(
            "--calibration DATASET must be given with --precision int8, and only then. Received: "
            f"--precision {options.precision}, --calibration {options.calibration}"
        )


def with_precision(model, options):
    """The model in the precision of --precision; Keras must have been loaded."""
    if options.precision == "float32":
        return model
    from kinetics_i3d.inference.optimize import has_bfloat16, optimize

    precision = options.precision
    if precision == "auto":
        precision = "bfloat16" if has_bfloat16() else "float32"
        inform(f"precision: {precision}")
        if precision == "float32":
            return model
    return optimize(model, precision=precision, calibration=options.calibration)


# --bounded-decoder


def add_decoder_argument(parser, *, default=None):
    """Adds --bounded-decoder, which `main` passes to `set_bounded_decoder`."""
    parser.add_argument(
        "--bounded-decoder",
        action=argparse.BooleanOptionalAction,
        default=default,
        help="decode videos in a child process with time and memory limits, so that a video that "
        "hangs the decoder or exhausts memory is reported and skipped (default: "
        f"{'yes' if default else 'no, or the variable KINETICS_I3D_BOUNDED_DECODER'})",
    )


# --streams, --output, --json


def add_streams_argument(parser, *, purpose, default=None, default_text=None):
    """Adds --streams rgb, flow or rgb,flow."""
    note = f" (default: {default_text})" if default_text else ""
    parser.add_argument(
        "--streams",
        type=streams,
        default=default,
        metavar="NAMES",
        help=f"{purpose}: rgb (frames), flow (optical flow) or rgb,flow{note}",
    )


def add_output_argument(parser, metavar, text, *, required=False, former_word=False):
    """Adds --output PATH.

    Args:
        parser: A `Parser`.
        metavar: FOLDER, FILE, PNG or PATH.
        text: A description of the output.
        required: Whether it is required.
        former_word: Whether a bare word is a deprecated spelling of it.
    """
    action = parser.add_argument("--output", required=required, metavar=metavar, help=text)
    if former_word:
        parser.take_word(action, former=True)
    return action


def add_json_argument(parser):
    """Adds --json."""
    parser.add_argument(
        "--json", action="store_true", help="print the result as JSON instead of text"
    )


def print_result(options, text, result):
    """Prints a verb's result on stdout: `result` as JSON with --json, else `text`."""
    # Flushed: libraries with threads of their own may end the process before Python does.
    print(json.dumps(result, indent=2, ensure_ascii=False) if options.json else text, flush=True)


def add_window_arguments(parser, rows):
    """Adds --window, --stride, --tail and --short, as `extract_features` takes them.

    Args:
        parser: A `Parser`.
        rows: A description of the rows with --window whole.
    """
    parser.add_argument(
        "--window",
        type=length,
        metavar="FRAMES|SECONDSs|whole",
        help="length of a window: frames; seconds, such as 2.56s; or whole: one pass over the "
        f"whole video, {rows} (default: 64)",
    )
    parser.add_argument(
        "--stride",
        type=length,
        metavar="FRAMES|SECONDSs",
        help="frames from one window to the next, or seconds such as 0.64s (default: 16)",
    )
    parser.add_argument(
        "--tail",
        choices=TAILS,
        help="frames after the last whole window: pad repeats the last frame to fill a window, "
        "drop leaves them out, overlap adds a window that ends with the video (default: pad)",
    )
    parser.add_argument(
        "--short",
        choices=SHORTS,
        help="a video shorter than a window: loop repeats it from its beginning, pad repeats its "
        "last frame, error rejects it (default: loop)",
    )


def length(text):
    """A number of frames, or other text, which the library reads."""
    return int(text) if text.isdecimal() else text
