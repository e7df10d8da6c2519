"""--window, --stride, --tail, --short: the windows of features and of predictions over time."""

TAILS = ("pad", "drop", "overlap")
SHORTS = ("loop", "pad", "error")


def add_window_arguments(parser, rows):
    """Adds --window, --stride, --tail and --short, as `extract_features` takes them.

    Args:
        parser: A `Parser`.
        rows: A description of the rows with --window whole.
    """
    parser.add_argument(
        "--window",
        type=_length,
        metavar="FRAMES|SECONDSs|whole",
        help="length of a window: frames; seconds, such as 2.56s; or whole: one pass over the "
        f"whole video, {rows} (default: 64)",
    )
    parser.add_argument(
        "--stride",
        type=_length,
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


def _length(text):
    """A number of frames, or other text, which the library reads."""
    return int(text) if text.isdecimal() else text
