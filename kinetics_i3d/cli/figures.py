"""`kinetics-i3d figures`: renders figures, a dataset of 12 actions.

It needs no download, and the same settings give the same videos. A call that was stopped is
finished by repeating it.
"""

from kinetics_i3d.cli.arguments import count


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("output", metavar="OUTPUT", help="folder of the videos and their table")
    parser.add_argument(
        "--train-per-action", type=int, default=40, metavar="N", help="videos to train with"
    )
    parser.add_argument(
        "--test-per-action", type=int, default=10, metavar="N", help="videos to test with"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another one, other worlds"
    )
    parser.add_argument("--frames", type=count, default=64, metavar="N", help="frames a video")
    parser.add_argument(
        "--size", type=int, nargs=2, default=(120, 160), metavar=("HEIGHT", "WIDTH"), help="pixels"
    )
    parser.add_argument(
        "--workers", type=count, default=2, metavar="N", help="videos rendered at a time"
    )


def run(options):
    """Writes the dataset and prints the path of its table; returns the exit code."""
    from kinetics_i3d.figures import write_dataset

    table = write_dataset(
        options.output,
        train_per_action=options.train_per_action,
        test_per_action=options.test_per_action,
        seed=options.seed,
        frames=options.frames,
        size=tuple(options.size),
        workers=options.workers,
    )
    print(table)
    return 0
