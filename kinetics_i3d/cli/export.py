"""`kinetics-i3d export`: writes weights as an artifact that serves without this package.

It takes raw frames, carries its preprocessing and its labels, and is run and compared with the
model before it gets its name.
"""

from kinetics_i3d.cli.arguments import (
    add_labels_argument,
    count,
    read_labels_option,
    with_labels,
)
from kinetics_i3d.cli.quiet import load_keras

FORMATS = ("savedmodel", "hub", "serving", "litert", "onnx", "openvino")
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "weights", metavar="WEIGHTS", help="a name in the catalog, of a pair too, or a file"
    )
    parser.add_argument("output", metavar="OUT", help="the folder or the file to write")
    parser.add_argument("--to", choices=FORMATS, required=True, help="the format")
    parser.add_argument(
        "--flow-weights", metavar="NAME|PATH", help="those of the flow stream beside WEIGHTS"
    )
    add_labels_argument(parser)
    # Left out, an option is the format's own business: its default, or none of its options.
    parser.add_argument("--top", type=count, metavar="N", help="labels that it tells (5)")
    parser.add_argument(
        "--endpoints",
        nargs="+",
        metavar="NAME",
        help="activations that the signature `features` gives, such as Mixed_4f (the last one "
        "before the classifier)",
    )
    parser.add_argument(
        "--without-top",
        dest="include_top",
        action="store_const",
        const=False,
        help="hub: a call gives features in place of logits, for a classifier of other classes",
    )
    parser.add_argument("--name", metavar="NAME", help="serving: what the server calls it (i3d)")
    parser.add_argument(
        "--model-version", dest="version", type=count, metavar="N", help="serving: its number (1)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="litert: of its numbers (float32); openvino: float32 or int8",
    )
    parser.add_argument(
        "--frames", type=count, metavar="N", help="litert: of a clip, of the slowest stream (64)"
    )
    parser.add_argument(
        "--calibration",
        metavar="DATASET",
        help="in int8: a csv table or a folder of the videos that it was trained on, by "
        "which the ranges of its numbers are found",
    )
    parser.add_argument(
        "--report", action="store_true", help="litert: print how many of which operations it has"
    )


OPTIONS = (
    "top",
    "endpoints",
    "include_top",
    "name",
    "version",
    "precision",
    "frames",
    "calibration",
)


def print_report(operations):
    """Prints a table of operations and how often each stands in the file."""
    width = max(map(len, operations))
    for name, often in operations.items():
        print(f"{name:<{width}}  {often:4}")


def run(options):
    """Writes the artifact; returns the exit code."""
    from kinetics_i3d.core.files import check_free
    from kinetics_i3d.weights.read import fetch_weights

    weights = options.weights
    if options.flow_weights:
        weights = {"rgb": weights, "flow": options.flow_weights}
    # What can be found wrong at once comes before the seconds that TensorFlow takes to load.
    check_free(options.output)
    fetch_weights(weights, pairs=True)
    labels = read_labels_option(options)
    load_keras()
    from kinetics_i3d.exporting.export import export

    if labels is not None:
        from kinetics_i3d.models.load import load_model

        weights = with_labels(load_model(weights), labels)

    given = {name: getattr(options, name) for name in OPTIONS}
    given = {name: value for name, value in given.items() if value is not None}
    if options.report:
        given["report"] = print_report
    print(export(weights, options.output, to=options.to, **given))
    return 0
