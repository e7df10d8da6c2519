"""`kinetics-i3d features`: compute features of videos, each row with its start and end in seconds.

Windows of frames slide over each video, or the network runs once over the whole video. wave.mp4
gets wave.npz with the arrays features, start, end and center (seconds of the video) and the
metadata as JSON. A file is kept as long as the video, the weights and the options are the same:
rerunning a command that was stopped completes it. A video that cannot be read is skipped and
reported at the end: exit code 1 if others could be read, 2 if none could.
"""

import dataclasses
import json

from kinetics_i3d.cli.arguments import (
    SHORTS,
    SOURCES,
    TAILS,
    add_json_argument,
    add_network_arguments,
    add_output_argument,
    add_window_arguments,
    chosen_weights,
    count,
)
from kinetics_i3d.cli.console import complain, load_keras, windows_progress

EXAMPLES = (
    "kinetics-i3d features my_videos --output my_features",
    "kinetics-i3d features talk.mp4 --output my_features --window 2.56s --stride 0.64s",
)
# As `extract_features` has them, so that --help loads no Keras; a test compares them.
CHOICES = {
    "pool": ("all", "spatial", "none"),
    "align": ("start", "center"),
    "views": ("center", "three_crop", "ten_crop"),
    "tail": TAILS,
    "short": SHORTS,
}
FORMATS = ("npz", "npy", "hdf5", "parquet")
PRESETS = (
    "video_features",
    "actionformer_thumos",
    "actionformer_anet",
    "opentad_thumos",
    "opentad_anet",
    "mstcn",
    "sign_language",
    "rtfm",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("sources", nargs="+", metavar="VIDEO|FOLDER|LIST", help=SOURCES)
    add_output_argument(
        parser,
        "FOLDER",
        "folder for the features, in the same subfolders as the videos",
        required=True,
    )
    add_network_arguments(parser)
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="layout of a public tool: format, file names, and the defaults of the options below",
    )
    add_feature_arguments(parser)
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="format of the files. npy has its metadata in a .json file beside it; parquet needs "
        "pyarrow (default: npz)",
    )
    add_json_argument(parser)


def add_feature_arguments(parser):
    """Adds the options that `feature_options` reads."""
    parser.add_argument(
        "--endpoint", metavar="NAME", help="activation, by the paper's name (default: Mixed_5c)"
    )
    parser.add_argument(
        "--pool",
        choices=CHOICES["pool"],
        help="average over time and space, over space alone, or not at all (default: all)",
    )
    add_window_arguments(parser, "with a row for each time step of the endpoint")
    parser.add_argument(
        "--fps",
        type=_rate,
        metavar="RATE|source",
        help="frame rate to sample at, or source for each file's own rate (default: the rate of "
        "the weights' clip spec, 25)",
    )
    parser.add_argument(
        "--align",
        choices=CHOICES["align"],
        help="begin the first window with the video, or center a window on every stride-th "
        "frame, repeating the first and last frames at the ends (default: start)",
    )
    parser.add_argument(
        "--views", choices=CHOICES["views"], help="crops of each window (default: center)"
    )
    parser.add_argument(
        "--batch-frames",
        type=count,
        metavar="N",
        help="maximum number of frames per call of the network; a higher number needs more "
        "memory and gives the same features (default: 250)",
    )


def feature_options(options, defaults):
    """The `FeatureOptions` of the command line; `defaults` are those of a preset."""
    from kinetics_i3d.inference.feature_options import WHOLE, FeatureOptions

    if options.window == WHOLE:  # it has no windows to place
        defaults = {k: v for k, v in defaults.items() if k not in ("stride", "align", "tail")}
    names = [field.name for field in dataclasses.fields(FeatureOptions)]
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    return FeatureOptions(**{**defaults, **chosen})


def run(options):
    """Writes the files and prints their paths; returns the exit code."""
    from kinetics_i3d.data.datasets import find_videos
    from kinetics_i3d.weights.read import fetch_weights

    # Checks that need no TensorFlow come first: it takes seconds to load.
    trees = [find_videos(source) for source in options.sources]
    weights = chosen_weights(options)
    fetch_weights(weights, pairs=True)
    load_keras()
    from kinetics_i3d.inference import features_files
    from kinetics_i3d.inference.extract_features import make_extractor

    preset = features_files.PRESETS[options.preset] if options.preset else None
    file_format = options.format or ("npy" if preset else "npz")
    features_files.check_format(file_format, options.preset)
    settings = feature_options(options, preset.options if preset else {})
    jobs = features_files.feature_jobs(trees, options.output, one_folder=preset is not None)
    extractor = make_extractor(weights, settings)
    results: list = []
    failures = []
    with windows_progress(jobs, extractor, results) as (progress, show):
        for result in features_files.write_feature_files(
            jobs,
            extractor,
            output=options.output,
            file_format=file_format,
            preset=options.preset,
            progress=show,
        ):
            results.append(result.to_dict())
            if result.error is not None:
                failures.append(result.error)
            elif not options.json:
                progress.clear()
                kept = "" if result.made else " (kept)"
                rows = f"{result.rows} row{'' if result.rows == 1 else 's'}"
                print(f"{result.paths[0]}: {rows}{kept}", flush=True)
            if progress.noun == "videos":
                progress(len(results))
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    for error in failures:
        complain(error)
    return 0 if not failures else 2 if len(failures) == len(results) else 1


def _rate(text):
    """A number, or the text itself, which the library then checks."""
    try:
        return float(text)
    except ValueError:
        return text
