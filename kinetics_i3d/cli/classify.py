"""`kinetics-i3d classify`: name the actions in videos.

All frames of a video are used; a long video is read in parts, in bounded memory. A video that
cannot be read is reported and skipped: exit code 1 if others could be read, 2 if none could.
"""

import json
import pathlib

from kinetics_i3d.cli.arguments import (
    SOURCES,
    add_json_argument,
    add_labels_argument,
    add_network_arguments,
    add_output_argument,
    add_precision_arguments,
    check_precision,
    chosen_weights,
    count,
    expand_videos,
    read_labels_option,
    with_labels,
    with_precision,
)
from kinetics_i3d.cli.console import complain, inform, load_keras, try_to_draw
from kinetics_i3d.core.canvas import check_picture_path
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.progress import Progress

EXAMPLES = (
    "kinetics-i3d classify video.mp4",
    "kinetics-i3d classify my_videos --weights RUN/weights.h5 --json",
)


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO|FOLDER|LIST", help=SOURCES)
    add_network_arguments(parser)
    parser.add_argument(
        "--top", type=count, default=5, metavar="N", help="number of labels to print per video"
    )
    add_output_argument(
        parser,
        "PNG",
        "also draw the frames and labels; for several videos, the name of each is added before the "
        'suffix; needs the extra "pictures"',
    )
    add_labels_argument(parser)
    add_precision_arguments(parser)
    add_json_argument(parser)


def run(options):
    """Prints the labels of each video; returns the exit code."""
    from kinetics_i3d.flow.cache import FlowFileError
    from kinetics_i3d.video.reader import video_info
    from kinetics_i3d.weights.read import fetch_weights

    # Checks that need no TensorFlow come first: it takes seconds to load.
    check_precision(options)
    options.videos = expand_videos(options.videos)
    labels = read_labels_option(options)
    pictures = picture_paths(options.output, options.videos)
    weights = chosen_weights(options)
    fetch_weights(weights, pairs=True)
    model, results, named = None, [], " and ".join(map(str, names_of(weights)))
    undrawn = 0
    with Progress(len(options.videos), "videos") as progress:
        for video, picture in zip(options.videos, pictures, strict=True):
            try:
                if model is None:
                    video_info(video)
                    model = with_labels(load_model(weights, options.streams), labels)
                    model = with_precision(model, options)
                result = look(video, model, top=options.top)
            except (VideoError, FlowFileError) as error:
                progress.clear()
                complain(error)
                results.append({"path": video, "error": str(error)})
            else:
                if not options.json:
                    progress.clear()
                    if not any("weights" in earlier for earlier in results):
                        actions = model.output_shape[-1]
                        inform(f"weights: {named}, {actions} actions")
                    show(result)
                results.append(result.to_dict() | {"weights": named})
                if picture is not None:
                    progress.clear()
                    undrawn += not draw(picture, video, result, model)
            progress(len(results))
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    failed = undrawn + sum("error" in result for result in results)
    return 0 if not failed else 2 if failed >= len(results) else 1


def names_of(weights):
    """The names or paths of weights, which may be a dictionary."""
    return weights.values() if isinstance(weights, dict) else [weights]


def load_model(weights, streams):
    """The model of weights, see `kinetics_i3d.models.load`."""
    load_keras()
    from kinetics_i3d.models import load

    return load.load_model(weights, streams=streams)


def look(video, model, *, top):
    """Classifies one video."""
    from kinetics_i3d.inference.classify import classify

    return classify(video, model, top=top)


def draw(picture, video, result, model):
    """Draws the frames and labels of a video; returns whether it worked."""
    from kinetics_i3d.inference.classify import draw_filmstrip

    return try_to_draw(draw_filmstrip, picture, video, result, spec=model.clip_spec)


def show(result):
    """Prints a `Classification`."""
    print(result.path)
    for label, probability in result.predictions:
        print(f"  {100 * probability:6.2f} %  {label}", flush=True)


def picture_paths(output, videos):
    """A different path for the picture of each video, or None for each without `output`.

    One video gets `output` itself, several get `<output>_<video>.png`, numbered where they share a
    name.

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
        while name.casefold() in taken:  # some file systems ignore case
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        paths.append(check_picture_path(output.with_name(name + output.suffix)))
    return paths
