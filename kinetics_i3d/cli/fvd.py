"""`kinetics-i3d fvd`: compare generated videos with real ones using Fréchet Video Distance.

Results from different protocols, or from very different numbers of videos, cannot be compared. Exit
code 1 if some videos were skipped.
"""

from kinetics_i3d.cli.arguments import add_json_argument, print_result
from kinetics_i3d.cli.console import complain, load_keras
from kinetics_i3d.core.errors import UserError

EXAMPLES = (
    "kinetics-i3d fvd real/ generated/",
    "kinetics-i3d fvd real.npz generated.npy --protocol stylegan_v --all-metrics",
)
SOURCES = "a folder of videos, an array of videos (.npy, .npz), or previously saved features (.npz)"


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("real", metavar="REAL", help=f"real videos: {SOURCES}")
    parser.add_argument(
        "generated", metavar="GENERATED", help="generated videos, in any of the same forms"
    )
    parser.add_argument(
        "--protocol",
        default="reference",
        metavar="NAME",
        help="reference (16 frames, TensorFlow's code), stylegan_v (16 frames, random start), "
        "stylegan_v_128 (128 frames) or avg_pool (features of the last pooling layer) "
        "(default: reference)",
    )
    parser.add_argument(
        "--frames", type=int, metavar="N", help="frames of each video (default: the protocol's)"
    )
    parser.add_argument(
        "--weights",
        default="rgb_kinetics400",
        metavar="NAME|PATH",
        help="an RGB I3D with 400 classes (default: rgb_kinetics400, the network of FVD)",
    )
    parser.add_argument(
        "--all-metrics", action="store_true", help="also print KVD, precision and recall"
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=0,
        metavar="N",
        help="bootstrap samples for the standard deviation of FVD, 2 or more (default: 0, none)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the random frames and samples (default: 0)",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=8,
        metavar="N",
        help="clips per call of the network (default: 8)",
    )
    parser.add_argument(
        "--save-real",
        metavar="NPZ",
        help="also save the features of REAL to this file, which can be passed as REAL later",
    )
    parser.add_argument(
        "--save-generated", metavar="NPZ", help="also save the features of GENERATED"
    )
    add_json_argument(parser)


def run(options):
    """Prints the distances; returns the exit code."""
    for path in (options.save_real, options.save_generated):
        if path is not None and not path.endswith(".npz"):
            option = "--save-real" if path is options.save_real else "--save-generated"
            raise UserError(f"{option} must name a file that ends in .npz. Received: {path}")
    load_keras()
    from kinetics_i3d.evaluation.fvd import check_resamples, fvd
    from kinetics_i3d.evaluation.fvd_features import features_of_both
    from kinetics_i3d.evaluation.fvd_protocols import find_protocol

    check_resamples(options.resamples)
    protocol = find_protocol(options.protocol, frames=options.frames)
    how = {
        "protocol": protocol,
        "weights": options.weights,
        "seed": options.seed,
        "batch_size": options.batch_size,
    }
    sets = features_of_both(options.real, options.generated, **how)
    unsaved = None
    for features, path in zip(sets, (options.save_real, options.save_generated), strict=True):
        if path is not None:
            try:
                features.save(path)
            except OSError as error:  # a full disk must not cost the result
                unsaved = error
    result = fvd(*sets, **how, all_metrics=options.all_metrics, resamples=options.resamples)
    print_result(options, _text(result), result.to_dict())
    if unsaved is not None:
        raise unsaved
    if result.skipped:
        complain(f"{len(result.skipped)} videos were skipped")
    return 1 if result.skipped else 0


def _text(result):
    spread = "" if result.spread is None else f" ± {result.spread:.2f}"
    lines = [f"FVD        {result.fvd:.4f}{spread}"]
    for name in ("kvd", "precision", "recall"):
        value = getattr(result, name)
        if value is not None:
            label = "KVD" if name == "kvd" else name
            lines.append(f"{label:10} {value:.4f}")
    real, generated = result.videos
    lines.append(f"protocol   {result.protocol.name}, {result.protocol.frames} frames")
    lines.append(f"videos     {real} real, {generated} generated")
    return "\n".join(lines)
