"""`kinetics-i3d convert`: turns weights of any known kind into another format.

Reads TensorFlow and PyTorch checkpoints, safetensors, Keras files, SavedModels and inception5h. The
network runs from both files before the new one gets its name.
"""

from kinetics_i3d.cli.arguments import add_labels_argument, read_labels_option
from kinetics_i3d.cli.quiet import load_keras

FORMATS = ("h5", "keras", "weights.h5", "safetensors", "torch")


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "source", metavar="SOURCE", help="a name in the catalog, a file or a folder"
    )
    parser.add_argument("output", metavar="OUTPUT", help="the file to write, such as i3d.pt")
    parser.add_argument(
        "--to", choices=FORMATS, help="the format; by default what OUTPUT's ending says"
    )
    parser.add_argument(
        "--architecture", metavar="NAME", help="the row that built SOURCE, where it does not say so"
    )
    add_labels_argument(parser)


def run(options):
    """Writes the converted file; returns the exit code."""
    from kinetics_i3d.weights.read import fetch_weights

    fetch_weights(options.source, images=True)
    labels = read_labels_option(options)
    load_keras()
    from kinetics_i3d.models.convert import convert

    chosen = {"to": options.to, "architecture": options.architecture, "labels": labels}
    print(convert(options.source, options.output, **chosen))
    return 0
