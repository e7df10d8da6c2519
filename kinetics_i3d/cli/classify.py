"""`kinetics-i3d classify`: names the action in videos.

Every frame counts; a long video is read in parts. A video that cannot be read is reported and
passed over: exit code 1 if others could be, 2 if none.
"""

import json
import pathlib
import sys

from kinetics_i3d.cli.arguments import (
    SOURCES,
    add_labels_argument,
    add_precision_arguments,
    check_precision,
    count,
    expand_videos,
    read_labels_option,
    with_labels,
    with_precision,
)
from kinetics_i3d.cli.complaints import complain
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.canvas import check_picture_path
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.weights import DEFAULT_WEIGHTS


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO|FOLDER|LIST", help=SOURCES)
    parser.add_argument(
        "--weights",
        metavar="NAME|PATH",
        help="name in the catalog, of one stream or a pair, or a file (default: "
        f"{DEFAULT_WEIGHTS[None]}, 400 actions; with --streams flow {DEFAULT_WEIGHTS['flow']}, "
        f"with --streams both {DEFAULT_WEIGHTS['both']})",
    )
    parser.add_argument(
        "--flow-weights", metavar="NAME|PATH", help="those of the flow stream beside --weights"
    )
    parser.add_argument(
        "--streams",
        choices=("rgb", "flow", "both"),
        help="what the model sees: frames, optical flow, which is computed on the way, or both "
        "(default: what the weights read)",
    )
    add_labels_argument(parser)
    add_precision_arguments(parser)
    parser.add_argument("--top", type=count, default=5, metavar="N", help="labels to tell")
    parser.add_argument(
        "--json", action="store_true", help="print one array of objects in place of text"
    )
    parser.add_argument(
        "--output",
        metavar="PNG",
        help="also draw frames and labels; of several videos, the one of wave.mp4 is PNG with "
        "_wave before its suffix",
    )


def run(options):
    """Prints the labels of each video; returns the exit code."""
    from kinetics_i3d.video.reader import video_info
    from kinetics_i3d.weights.read import fetch_weights

    # What can be found wrong at once comes before the seconds that TensorFlow takes to load.
    check_precision(options)
    options.videos = expand_videos(options.videos)
    labels = read_labels_option(options)
    pictures = picture_paths(options.output, options.videos)
    weights = options.weights or DEFAULT_WEIGHTS[options.streams]
    if options.flow_weights:
        weights = {"rgb": weights, "flow": options.flow_weights}
    fetch_weights(weights, pairs=True)
    model, results, named = None, [], " and ".join(map(str, names_of(weights)))
    with Progress(len(options.videos), "videos") as progress:
        for video, picture in zip(options.videos, pictures, strict=True):
            try:
                if model is None:
                    video_info(video)
                    model = with_labels(load_model(weights, options.streams), labels)
                    model = with_precision(model, options)
                result = look(video, model, top=options.top, picture=picture)
            except VideoError as error:
                progress.clear()
                complain(error)
                results.append({"path": video, "error": str(error)})
            else:
                if not options.json:
                    progress.clear()
                    if not any("weights" in earlier for earlier in results):
                        actions = model.output_shape[-1]
                        print(f"weights: {named}, {actions} actions", file=sys.stderr, flush=True)
                    show(result)
                results.append(result.to_dict() | {"weights": named})
            progress(len(results))
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    failed = sum("error" in result for result in results)
    return 0 if not failed else 2 if failed == len(results) else 1


def names_of(weights):
    """The names or paths of weights, of a dictionary those of its streams."""
    return weights.values() if isinstance(weights, dict) else [weights]


def load_model(weights, streams):
    """The model of weights, see `kinetics_i3d.models.load`."""
    load_keras()
    from kinetics_i3d.models import load

    return load.load_model(weights, streams=streams)


def look(video, model, *, top, picture=None):
    """Classifies one video and draws its picture, if there shall be one."""
    from kinetics_i3d.inference.classify import classify
    from kinetics_i3d.inference.filmstrip import draw_filmstrip

    result = classify(video, model, top=top)
    if picture is not None:
        draw_filmstrip(picture, video, result, spec=model.clip_spec)
    return result


def show(result):
    """Prints a `Classification`."""
    print(result.path)
    for label, probability in result.predictions:
        print(f"  {100 * probability:6.2f} %  {label}", flush=True)


def picture_paths(output, videos):
    """Where the picture of each video goes, no two to one place.

    Args:
        output: The path that was asked for, or `None` for no pictures.
        videos: The paths of the videos.

    Returns:
        A list of a path, or `None`, for each video: `output` itself for a single one, else
        `<output>_<video>.png`, numbered where videos share a name.

    Raises:
        UserError: If a path cannot be a picture, or Pillow is missing.

    Example:

    >>> [path.name for path in picture_paths("out.png", ["a/wave.mp4", "b/wave.mp4"])]
    ['out_wave.png', 'out_wave_2.png']
    """
    if output is None:
        return [None] * len(videos)
    output = check_picture_path(output)
    if len(videos) == 1:
        return [output]
    taken, paths = set(), []
    for video in videos:
        stem = name = f"{output.stem}_{pathlib.Path(video).stem}"
        number = 1
        while name.casefold() in taken:  # some file systems do not tell a from A
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        paths.append(check_picture_path(output.with_name(name + output.suffix)))
    return paths
