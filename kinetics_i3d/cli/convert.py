"""`kinetics-i3d convert`: convert weights from any supported format to another.

Reads TensorFlow and PyTorch checkpoints, safetensors, Keras files, SavedModels and inception5h. The
network is run with both files, and the results are compared, before the new file is renamed to
OUTPUT.
"""

from kinetics_i3d.cli.arguments import (
    add_json_argument,
    add_labels_argument,
    add_output_argument,
    add_weights_arguments,
    print_result,
    read_labels_option,
)
from kinetics_i3d.cli.console import load_keras

EXAMPLES = (
    "kinetics-i3d convert rgb_kinetics400 --output i3d.pt",
    "kinetics-i3d convert theirs.pt --output mine.h5 --labels labels.txt",
)
FORMATS = ("h5", "keras", "weights.h5", "safetensors", "torch")


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_weights_arguments(parser, bare=True, flow=False)
    add_output_argument(
        parser, "FILE", "file to write, such as i3d.pt", required=True, former_word=True
    )
    parser.add_argument(
        "--to", choices=FORMATS, help="format to write (default: from the suffix of --output)"
    )
    parser.add_argument(
        "--architecture",
        metavar="NAME",
        help="architecture of the weights, such as inception_v1, for files that do not name it",
    )
    add_labels_argument(parser)
    add_json_argument(parser)


def run(options):
    """Writes the converted file; returns the exit code."""
    from kinetics_i3d.weights.read import fetch_weights

    fetch_weights(options.weights, images=True)
    labels = read_labels_option(options)
    load_keras()
    from kinetics_i3d.models.convert import convert

    path = convert(
        options.weights,
        options.output,
        to=options.to,
        architecture=options.architecture,
        labels=labels,
    )
    print_result(options, path, {"output": str(path), "weights": options.weights})
    return 0
