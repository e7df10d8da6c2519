"""`kinetics-i3d inflate`: turn an image network into a video network.

With --temporal center, a clip that repeats one image gives the logits of the image network. With
average, the paper's method, this holds only where no receptive field reaches beyond the clip.
"""

from kinetics_i3d.cli.arguments import (
    add_json_argument,
    add_labels_argument,
    add_output_argument,
    count,
    print_result,
    read_labels_option,
    with_labels,
)
from kinetics_i3d.cli.console import load_keras
from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW

EXAMPLES = (
    "kinetics-i3d inflate imagenet_inception5h --output start.h5 --classes 21",
    "kinetics-i3d inflate imagenet_slim --output flow.h5 --channels 2",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    weights = parser.add_argument(
        "--weights",
        required=True,
        metavar="NAME|PATH",
        help="weights of an image network: imagenet_inception5h or imagenet_slim, which are "
        "downloaded; a checkpoint of InceptionV1; inception5h.zip, its graph or its folder; or "
        "TF-Slim's archive",
    )
    parser.take_word(weights)
    add_output_argument(
        parser, "FILE", "checkpoint to write, such as mine.h5", required=True, former_word=True
    )
    parser.add_argument(
        "--channels",
        type=int,
        choices=(2, 3),
        help="channels of the clips: 3 for rgb, 2 for optical flow (default: the channels of the "
        "images)",
    )
    parser.add_argument(
        "--classes",
        type=count,
        metavar="N",
        help="replace the classifier with a new one for N classes (default: keep it)",
    )
    parser.add_argument(
        "--temporal",
        choices=("average", "center"),
        default="average",
        help="spread each kernel evenly over time, or put it at the middle frame",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "float16"),
        default="float32",
        help="precision of the numbers in the file",
    )
    add_labels_argument(parser)
    add_json_argument(parser)


def run(options):
    """Writes the inflated checkpoint; returns the exit code."""
    from kinetics_i3d.weights.read import fetch_weights

    fetch_weights(options.weights, images=True)
    labels = read_labels_option(options)
    load_keras()
    from kinetics_i3d.models.inception_v1 import InceptionV1
    from kinetics_i3d.models.inflation import inflate
    from kinetics_i3d.models.pretrained import save_weights

    # Flow has its own range of values, independent of that of the images.
    spec = DEEPMIND_FLOW if options.channels == 2 else None
    model = inflate(
        InceptionV1(weights=options.weights),
        channels=options.channels,
        classes=options.classes,
        temporal=options.temporal,
        clip_spec=spec,
    )
    with_labels(model, labels)
    save_weights(model, options.output, dtype=options.dtype)
    print_result(
        options, options.output, {"output": str(options.output), "weights": options.weights}
    )
    return 0
