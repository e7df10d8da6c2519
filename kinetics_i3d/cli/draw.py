"""`kinetics-i3d draw`: draw a picture that explains a prediction, a network or a training run.

`draw KIND SOURCE --output FILE` writes one file, whose suffix is its format. grad-cam and flow are
written as a video (.mp4), an animation (.gif) or a picture of eight frames (.png), the other kinds
as .png. All of them but grad-cam, flow and filmstrip need the extra "reports".
"""

import json
import pathlib

from kinetics_i3d.cli.arguments import (
    SOURCES,
    add_decoder_argument,
    add_json_argument,
    add_labels_argument,
    add_network_arguments,
    add_output_argument,
    chosen_weights,
    count,
    expand_videos,
    print_result,
    read_labels_option,
    with_labels,
)
from kinetics_i3d.cli.console import complain, load_keras, load_keras_for_flow
from kinetics_i3d.core.canvas import check_picture_path
from kinetics_i3d.core.clip_spec import STREAMS
from kinetics_i3d.core.errors import DatasetError, UserError, VideoError
from kinetics_i3d.core.figure import check_matplotlib
from kinetics_i3d.core.files import read_text
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.flow.cache import FlowFileError

EXAMPLES = (
    "kinetics-i3d draw grad-cam video.mp4 --output grad_cam.gif",
    "kinetics-i3d draw curves RUN --output curves.png",
)
KINDS = {
    "filmstrip": ("VIDEO", "the frames that the network sees, and its labels", "video.mp4", "png"),
    "grad-cam": ("VIDEO", "where and when the network sees a class", "video.mp4", "gif"),
    "flow": ("VIDEO", "the frames beside their optical flow in colors", "video.mp4", "mp4"),
    "timeline": ("VIDEO", "the probabilities and segments over time", "talk.mp4", "png"),
    "kernels": (None, "the kernels of the first convolution over time", "", "png"),
    "confusion": (
        *("FOLDER", "the confusion matrix of an evaluation that `evaluate --output` wrote"),
        *("my_evaluation", "png"),
    ),
    "curves": ("RUN", "the loss, accuracy and learning rate of training runs", "RUN", "png"),
    "embedding": (
        *("VIDEO|FOLDER", "the features of videos on a plane, labeled by their folders"),
        *("my_videos", "png"),
    ),
}
SEVERAL = ("curves", "embedding")
DECODING = ("filmstrip", "grad-cam", "flow", "timeline", "embedding")
PLOTS = ("timeline", "kernels", "confusion", "curves", "embedding")  # by Matplotlib
_SOURCES = {
    "VIDEO": "video file",
    "VIDEO|FOLDER": SOURCES,
    "FOLDER": "folder that holds evaluation.json, or that file",
    "RUN": "folder of a training run, or several to compare",
}


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    for name, (source, text, example, suffix) in KINDS.items():
        words = " ".join(filter(None, ["kinetics-i3d draw", name, example]))
        examples = (f"{words} --output {name.replace('-', '_')}.{suffix}",)
        kind = kinds.add_parser(name, help=text, description=f"Draw {text}.", examples=examples)
        if source is not None:
            several = {"nargs": "+"} if name in SEVERAL else {}
            kind.add_argument("source", metavar=source, help=_SOURCES[source], **several)
        frames = name in ("grad-cam", "flow")
        file_text = "file to write: .mp4, .gif or .png" if frames else "picture to write: .png"
        add_output_argument(kind, "FILE", file_text, required=True)
        if name not in ("flow", "confusion", "curves"):
            add_network_arguments(kind)
        if name in ("filmstrip", "grad-cam", "timeline"):
            add_labels_argument(kind)
        _ADD.get(name, lambda _: None)(kind)
        if name in DECODING:
            add_decoder_argument(kind)
        add_json_argument(kind)


def _add_grad_cam(parser):
    parser.add_argument(
        "--label", metavar="NAME", help="class to explain (default: the most probable one)"
    )
    parser.add_argument(
        "--endpoint",
        metavar="NAME",
        help="activation of the map (default: the last grid before the classifier, Mixed_5c)",
    )
    parser.add_argument(
        "--map-stream",
        dest="stream",
        choices=STREAMS,
        help="for a model of two streams: the stream whose map is drawn (default: rgb)",
    )


def _add_embedding(parser):
    parser.add_argument(
        "--method",
        choices=("pca", "tsne"),
        default="pca",
        help="principal components, or t-SNE with scikit-learn",
    )
    most = parser.add_argument(
        "--max-videos",
        type=count,
        default=200,
        metavar="N",
        help="maximum number of videos, 2 or more; a larger set is sampled evenly",
    )
    parser.add_former_option("--most", most)


def _add_flow(parser):
    parser.add_argument(
        "--frames",
        type=count,
        default=250,
        metavar="N",
        help="maximum number of frames, at 25 per second",
    )


_ADD = {"grad-cam": _add_grad_cam, "flow": _add_flow, "embedding": _add_embedding}


def run(options):
    """Draws a picture and prints its path; returns the exit code."""
    # Checks that need no TensorFlow come first: it takes seconds to load.
    if options.kind in ("grad-cam", "flow"):
        from kinetics_i3d.visualization.frame_files import check_frames_path

        path = check_frames_path(options.output)
    else:
        path = check_picture_path(options.output)
    if options.kind in PLOTS:
        check_matplotlib()
    code = _DRAW[options.kind](path, options)
    print_result(options, path, {"kind": options.kind, "output": str(path)})
    return code or 0


def _model(options):
    """The model of the options, after the checks that need no TensorFlow."""
    from kinetics_i3d.video.reader import video_info
    from kinetics_i3d.weights.read import fetch_weights

    has_labels = hasattr(options, "labels")
    labels = read_labels_option(options) if has_labels else None
    if has_labels:
        video_info(options.source)
    weights = chosen_weights(options)
    fetch_weights(weights, pairs=True)
    load_keras()
    from kinetics_i3d.models.load import load_model

    return with_labels(load_model(weights, streams=options.streams), labels)


def _filmstrip(path, options):
    model = _model(options)
    from kinetics_i3d.inference.classify import classify, draw_filmstrip

    draw_filmstrip(path, options.source, classify(options.source, model))


def _grad_cam(path, options):
    model = _model(options)
    from kinetics_i3d.visualization.grad_cam import draw_grad_cam, grad_cam

    choices = {"label": options.label, "endpoint": options.endpoint, "stream": options.stream}
    draw_grad_cam(path, grad_cam(model, options.source, **choices))


def _flow(path, options):
    load_keras_for_flow()
    from kinetics_i3d.visualization.flow_frames import draw_flow

    draw_flow(path, options.source, frames=options.frames)


def _timeline(path, options):
    model = _model(options)
    from kinetics_i3d.inference.timeline import classify_over_time
    from kinetics_i3d.inference.timeline_picture import draw_timeline

    draw_timeline(path, classify_over_time(options.source, model))


def _kernels(path, options):
    model = _model(options)
    from kinetics_i3d.visualization.kernels import draw_kernels

    draw_kernels(path, model)


def _confusion(path, options):
    from kinetics_i3d.evaluation.plots import draw_confusion

    file = pathlib.Path(options.source)
    file = file / "evaluation.json" if file.is_dir() else file
    counts, labels = _read_confusion(file)
    draw_confusion(path, counts, labels, title=str(options.source))


def _read_confusion(file):
    """(counts, labels) of an evaluation.json."""
    try:
        report = json.loads(read_text(file))
        labels = report["labels"]
        if report.get("multi_label"):
            raise UserError(
                f"{file}: a dataset with several labels per video has no confusion matrix"
            )
        counts = [[0] * len(labels) for _ in labels]
        for row in report["classes"]:
            index = labels.index(row["label"])
            counts[index][index] = row["right"]
            for label, videos in row["taken_for"].items():
                counts[index][labels.index(label)] = videos
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetError(f"{file}: not an evaluation.json of `evaluate --output`") from error
    return counts, labels


def _curves(path, options):
    load_keras()
    from kinetics_i3d.visualization.training_curves import draw_training_curves

    draw_training_curves(path, options.source)


def _embedding(path, options):
    if options.max_videos < 2:
        raise UserError(f"--max-videos must be 2 or more. Received: {options.max_videos}")
    videos = expand_videos(options.source)
    if len(videos) > options.max_videos:
        videos = [
            videos[row * len(videos) // options.max_videos] for row in range(options.max_videos)
        ]
    model = _model(options)
    from kinetics_i3d.inference.extract_features import extract_features
    from kinetics_i3d.visualization.embedding import draw_embedding

    features = {}
    with Progress(len(videos), "videos") as progress:
        for done, video in enumerate(videos, 1):
            try:
                features[video] = extract_features(video, model).features.mean(axis=0).ravel()
            except (VideoError, FlowFileError) as error:
                progress.clear()
                complain(error)
            progress(done)
    if len(features) < 2:
        raise UserError(f"{options.source[0]}: needs at least two videos that can be read")
    labels = [pathlib.Path(video).parent.name for video in features]
    rows = list(features.values())
    draw_embedding(path, rows, labels=labels, videos=[*features], method=options.method)
    return int(len(features) < len(videos))


_DRAW = {
    "filmstrip": _filmstrip,
    "grad-cam": _grad_cam,
    "flow": _flow,
    "timeline": _timeline,
    "kernels": _kernels,
    "confusion": _confusion,
    "curves": _curves,
    "embedding": _embedding,
}
