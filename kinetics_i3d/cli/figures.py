"""`kinetics-i3d figures`: render a dataset of figures that perform 12 actions.

It needs no download, and the same settings give the same videos. Rerunning a command that was
stopped completes the dataset.
"""

from kinetics_i3d.cli.arguments import (
    add_json_argument,
    add_output_argument,
    count,
    print_result,
)

EXAMPLES = (
    "kinetics-i3d figures --output figures",
    "kinetics-i3d figures --output small --train-per-action 4 --test-per-action 2",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_output_argument(
        parser, "FOLDER", "folder of the videos and their table", required=True, former_word=True
    )
    parser.add_argument(
        "--train-per-action", type=int, default=40, metavar="N", help="training videos per action"
    )
    parser.add_argument(
        "--test-per-action", type=int, default=10, metavar="N", help="test videos per action"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of figures, backgrounds and motions"
    )
    parser.add_argument("--frames", type=count, default=64, metavar="N", help="frames per video")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(120, 160),
        metavar=("HEIGHT", "WIDTH"),
        help="size of the frames in pixels (default: 120 160)",
    )
    parser.add_argument(
        "--workers", type=count, default=2, metavar="N", help="videos rendered at the same time"
    )
    add_json_argument(parser)


def run(options):
    """Writes the dataset and prints the path of its table; returns the exit code."""
    from kinetics_i3d.figures import write_figures

    table = write_figures(
        options.output,
        train_per_action=options.train_per_action,
        test_per_action=options.test_per_action,
        seed=options.seed,
        frames=options.frames,
        size=tuple(options.size),
        workers=options.workers,
    )
    print_result(options, table, {"output": str(table)})
    return 0
