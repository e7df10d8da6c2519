"""`kinetics-i3d export`: write a model as an artifact that runs without this package.

The artifact takes raw frames and contains its preprocessing and its labels. It is run and compared
with the model before it is renamed to OUTPUT.
"""

from kinetics_i3d.cli.arguments import (
    add_calibration_argument,
    add_json_argument,
    add_labels_argument,
    add_output_argument,
    add_weights_arguments,
    chosen_weights,
    count,
    print_result,
    read_labels_option,
    with_labels,
)
from kinetics_i3d.cli.console import load_keras
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.exporting.export import FORMATS, format_of

EXAMPLES = (
    "kinetics-i3d export rgb_kinetics400 --to savedmodel --output saved",
    "kinetics-i3d export RUN/weights.h5 --output mine.onnx",
)
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_weights_arguments(parser, bare=True)
    parser.add_argument(
        "--to",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"format: {', '.join(FORMATS)} (default: onnx for *.onnx, litert for *.tflite, "
        "otherwise savedmodel)",
    )
    add_output_argument(parser, "PATH", "file or folder to write", required=True, former_word=True)
    add_labels_argument(parser)
    # An option without a default is left to the format: it has its own default, or refuses it.
    parser.add_argument(
        "--top", type=count, metavar="N", help="number of labels in the result (default: 5)"
    )
    parser.add_argument(
        "--endpoints",
        nargs="+",
        metavar="NAME",
        help="activations that the signature `features` returns, such as Mixed_4f (default: the "
        "last one before the classifier)",
    )
    parser.add_argument(
        "--without-top",
        dest="include_top",
        action="store_const",
        const=False,
        help="hub: return features instead of logits, to train a new classifier on",
    )
    name = parser.add_argument(
        "--model-name",
        dest="name",
        metavar="NAME",
        help="serving: name of the model on the server (default: i3d)",
    )
    parser.add_former_option("--name", name)
    parser.add_argument(
        "--model-version",
        dest="version",
        type=count,
        metavar="N",
        help="serving: version number of the model (default: 1)",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="litert and openvino: precision of the network; openvino takes float32 and int8 "
        "(default: float32)",
    )
    parser.add_argument(
        "--frames",
        type=count,
        metavar="N",
        help="litert: frames per clip, of the stream with the fewest (default: 64)",
    )
    add_calibration_argument(parser, "--precision int8")
    parser.add_argument(
        "--report",
        action="store_true",
        default=None,
        help="litert: print how often it uses each operation",
    )
    add_json_argument(parser)


# The formats that take an option, and the options that are named otherwise than their argument.
FORMATS_OF = {
    "top": ("savedmodel", "hub", "serving"),
    "endpoints": ("savedmodel", "hub", "serving"),
    "include_top": ("hub",),
    "name": ("serving",),
    "version": ("serving",),
    "precision": ("litert", "openvino"),
    "frames": ("litert",),
    "calibration": ("litert", "openvino"),
    "report": ("litert",),
}
OPTION_OF = {
    "include_top": "--without-top",
    "name": "--model-name",
    "version": "--model-version",
}
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


def operations_text(operations):
    """The number of operations by name, as aligned lines."""
    width = max(map(len, operations))
    return "\n".join(f"{name:<{width}}  {number:4}" for name, number in operations.items())


def run(options):
    """Writes the artifact; returns the exit code."""
    from kinetics_i3d.core.files import check_free
    from kinetics_i3d.weights.read import fetch_weights

    weights = chosen_weights(options)
    options.to = options.to or format_of(options.output)
    # Checks that need no TensorFlow come first: it takes seconds to load.
    for name, formats in FORMATS_OF.items():
        if getattr(options, name) is not None and options.to not in formats:
            option = OPTION_OF.get(name, f"--{name}")
            allowed = " or ".join(formats)
            raise UserError(f"{option} is for --to {allowed} only. Received: --to {options.to}")
    check_free(options.output)
    fetch_weights(weights, pairs=True)
    labels = read_labels_option(options)
    load_keras()
    from kinetics_i3d.exporting.export import export

    settings = {name: getattr(options, name) for name in OPTIONS}
    settings = {name: value for name, value in settings.items() if value is not None}
    if labels is not None:
        from kinetics_i3d.exporting.model_card import provenance
        from kinetics_i3d.models.load import load_model

        settings["about"] = provenance(weights)
        weights = with_labels(load_model(weights), labels)
    operations: dict = {}
    if options.report:
        settings["report"] = operations.update
    path = export(weights, options.output, to=options.to, **settings)
    result = {"output": str(path), "format": options.to}
    text = str(path)
    if options.report:
        result["operations"] = operations
        text = f"{operations_text(operations)}\n{text}"
    print_result(options, text, result)
    return 0
