"""`kinetics-i3d inflate`: turns an image network into one of clips.

The twin answers on a repeated image as the image network does.
"""

import dataclasses

from kinetics_i3d.cli.arguments import (
    add_labels_argument,
    count,
    read_labels_option,
    with_labels,
)
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.clip_spec import DEEPMIND


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="imagenet_inception5h or imagenet_slim, which are downloaded; or a checkpoint of "
        "InceptionV1, inception5h.zip, its graph or its folder, or TF-Slim's archive",
    )
    parser.add_argument("output", metavar="OUTPUT", help="the checkpoint to write, such as mine.h5")
    parser.add_argument("--channels", type=int, choices=(2, 3), help="2 reads optical flow")
    parser.add_argument(
        "--classes", type=count, metavar="N", help="put a new classifier in place of the old"
    )
    parser.add_argument(
        "--temporal",
        choices=("average", "center"),
        default="average",
        help="spread kernels over time, or put them in its middle",
    )
    parser.add_argument(
        "--dtype", choices=("float32", "float16"), default="float32", help="of the file"
    )
    add_labels_argument(parser)


def run(options):
    """Writes the inflated checkpoint; returns the exit code."""
    from kinetics_i3d.weights.read import fetch_weights

    fetch_weights(options.source, images=True)
    labels = read_labels_option(options)
    load_keras()
    from kinetics_i3d.models.inception_v1 import InceptionV1
    from kinetics_i3d.models.inflation import inflate
    from kinetics_i3d.models.pretrained import save_weights

    # Flow has a range of its own, whatever that of the images was.
    spec = dataclasses.replace(DEEPMIND, stream="flow") if options.channels == 2 else None
    twin = inflate(
        InceptionV1(weights=options.source),
        channels=options.channels,
        classes=options.classes,
        temporal=options.temporal,
        clip_spec=spec,
    )
    with_labels(twin, labels)
    save_weights(twin, options.output, dtype=options.dtype)
    print(options.output)
    return 0
