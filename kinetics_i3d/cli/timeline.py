"""`kinetics-i3d timeline`: name the actions along a long video, and when each begins and ends.

Windows of frames slide over the video, and predictions of the same label are merged into segments.
Without --output they are printed. With it wave.mp4 gets wave.jsonl, the best labels of each window;
wave.segments.jsonl; and wave.logits.npz, the logits of all classes, which are kept as long as the
video, the weights and the options are the same: rerunning a command that was stopped completes it,
and segments are merged again without running the network. A video that cannot be read is skipped
and reported at the end: exit code 1 if others could be read, 2 if none could.
"""

import dataclasses
import json

from kinetics_i3d.cli.arguments import (
    SOURCES,
    add_json_argument,
    add_labels_argument,
    add_network_arguments,
    add_output_argument,
    add_precision_arguments,
    add_window_arguments,
    check_precision,
    chosen_weights,
    count,
    read_labels_option,
    seconds,
    with_labels,
    with_precision,
)
from kinetics_i3d.cli.console import complain, load_keras, windows_progress
from kinetics_i3d.core.canvas import check_picture_path
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.figure import check_matplotlib
from kinetics_i3d.flow.cache import FlowFileError

EXAMPLES = (
    "kinetics-i3d timeline talk.mp4 --segments",
    "kinetics-i3d timeline my_videos --output my_timelines --window 2.56s --stride 0.64s --picture",
)
TOP = 5
FORMATS = ("jsonl", "csv")  # as the library has them, so that --help loads no Keras


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument("sources", nargs="+", metavar="VIDEO|FOLDER|LIST", help=SOURCES)
    add_output_argument(
        parser, "FOLDER", "folder for the files, in the same subfolders as the videos"
    )
    add_network_arguments(parser)
    add_labels_argument(parser)
    add_window_arguments(parser, "with predictions for 16 frames every 8 frames")
    parser.add_argument(
        "--top",
        type=count,
        metavar="N",
        help=f"number of labels per window (default: {TOP} in files and JSON, 1 in the text)",
    )
    group = parser.add_argument_group("segments")
    group.add_argument(
        "--segments", action="store_true", help="print the segments instead of the windows"
    )
    group.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        metavar="P",
        help="lowest probability of a label in a segment, averaged over the windows that "
        "overlap; anything below is background",
    )
    for name, text in (
        ("--min-length", "leave out shorter segments"),
        ("--max-gap", "join segments of one label with at most this much background between them"),
    ):
        group.add_argument(name, type=seconds, default=1.0, metavar="SECONDS", help=text)
    group.add_argument(
        "--format",
        choices=FORMATS,
        help="format of the files: JSON Lines or csv (default: jsonl); needs --output",
    )
    group.add_argument(
        "--picture",
        action="store_true",
        help="also draw wave.png, the probabilities and segments over time; needs the extra "
        '"reports", and --output',
    )
    add_precision_arguments(parser)
    add_json_argument(parser)


def run(options):
    """Prints or writes the predictions over time of each video; returns the exit code."""
    from kinetics_i3d.data.datasets import find_videos
    from kinetics_i3d.weights.read import fetch_weights

    # Checks that need no TensorFlow come first: it takes seconds to load.
    check_precision(options)
    if options.precision == "int8" and options.window == "whole":
        raise UserError(
            "--window must be frames or seconds with --precision int8, whose network has no "
            "logits of single time steps. Received: --window whole"
        )
    if options.picture:
        if options.output is None:
            raise UserError("--picture needs --output FOLDER to write the picture to")
        check_matplotlib()
    if options.format and options.output is None:
        raise UserError("--format sets the format of the output files; add --output FOLDER")
    labels = read_labels_option(options)
    trees = [find_videos(source) for source in options.sources]
    weights = chosen_weights(options)
    fetch_weights(weights, pairs=True)
    load_keras()
    from kinetics_i3d.inference.classify import class_names
    from kinetics_i3d.inference.extract_features import make_extractor
    from kinetics_i3d.inference.features_files import FeatureJob, feature_jobs
    from kinetics_i3d.inference.timeline import check_merging, timeline_options
    from kinetics_i3d.models.load import load_model

    merging = {name: getattr(options, name) for name in ("threshold", "min_length", "max_gap")}
    check_merging(**merging)
    names = ("window", "stride", "tail", "short", "streams")
    chosen = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    if options.precision != "float32":
        weights = with_precision(load_model(weights, streams=options.streams), options)
    extractor = make_extractor(weights, timeline_options(**chosen))
    class_names(with_labels(extractor.model, labels))
    if options.output is None:
        videos = dict.fromkeys(video for _, paths in trees for video in paths)
        jobs = [FeatureJob(video, None) for video in videos]
    else:
        jobs = feature_jobs(trees, options.output, content="timeline")
        check_segment_names(jobs)
    results: list = []
    failures = []
    with windows_progress(jobs, extractor, results) as (progress, show):
        for job, timeline in _timelines(jobs, extractor, options, show):
            progress.clear()
            if isinstance(timeline, UserError):
                failures.append(timeline)
                results.append({"video": job.video, "error": str(timeline)})
            else:
                results.append(_finish(job, timeline, merging, options))
            if progress.noun == "videos":
                progress(len(results))
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))
    for error in failures:
        complain(error)
    return 0 if not failures else 2 if len(failures) == len(results) else 1


def check_segment_names(jobs):
    """Raises `UserError` if the segments of a video would replace the windows of another one."""
    videos = {job.path: job.video for job in jobs}
    for path, video in videos.items():
        other = videos.get(path.with_name(f"{path.name}.segments"))
        if other is not None:
            raise UserError(
                f"{other}: its file would have the name of the segments of {video}; rename one"
            )


def _timelines(jobs, extractor, options, progress):
    """Yields (job, `Timeline` or the error) for each video."""
    from kinetics_i3d.inference.classify import class_names
    from kinetics_i3d.inference.features_files import read_features, write_feature_files
    from kinetics_i3d.inference.timeline import timeline_of

    labels = class_names(extractor.model)

    def timeline(job, features):
        return timeline_of(features, extractor.model, labels, path=job.video)

    if options.output is None:
        for job in jobs:
            try:
                features = extractor.extract(job.video)
            except (VideoError, FlowFileError) as error:
                yield job, error
            else:
                yield job, timeline(job, features)
        return
    plain = {job.video: job for job in jobs}
    # Separate names, so that files of `kinetics-i3d features` in the same folder are kept.
    logits = [
        dataclasses.replace(job, path=job.path.with_name(f"{job.path.name}.logits")) for job in jobs
    ]
    written = write_feature_files(logits, extractor, output=options.output, progress=progress)
    for result in written:
        job = plain[result.job.video]
        if result.error is not None:
            yield job, result.error
        else:
            yield job, timeline(job, read_features(result.paths[0]))


def _finish(job, timeline, merging, options):
    """Prints and writes the result for a video; returns it as a dictionary."""
    from kinetics_i3d.inference.timeline import find_segments, write_timeline
    from kinetics_i3d.inference.timeline_picture import draw_timeline

    segments = find_segments(timeline, **merging)
    paths = []
    if options.output is not None:
        settings = {"file_format": options.format or FORMATS[0], "top": options.top or TOP}
        paths = write_timeline(job.path, timeline, segments, **settings)
        if options.picture:
            paths.append(check_picture_path(job.path.with_name(f"{job.path.name}.png")))
            draw_timeline(paths[-1], timeline, segments)
    if not options.json:
        _show(timeline, segments, paths, options)
    result = {"video": job.video, "paths": [str(path) for path in paths]}
    if options.json and not options.segments:  # they are many, and only printed
        result["windows"] = list(timeline.to_dicts(options.top or TOP))
    return result | {"segments": [segment.to_dict() for segment in segments]}


def _show(timeline, segments, paths, options):
    """Prints the paths of the files, or else the windows or the segments of a video."""
    if paths:
        counts = {"window": len(timeline), "segment": len(segments)}
        texts = [f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()]
        print(f"{paths[0]}: {', '.join(texts)}", flush=True)
        if not options.segments:
            return
    else:
        print(timeline.path)
    if options.segments:
        rows = [(row.start, row.end, row.score, row.label) for row in segments]
        if not rows:
            print("  no segments", flush=True)
    else:
        rows = [
            (row["start"], row["end"], best["probability"], best["label"])
            for row in timeline.to_dicts(top=options.top or 1)
            for best in row["predictions"]
        ]
    for start, end, share, label in rows:
        print(f"  {start:9.2f} – {end:9.2f} s  {100 * share:6.2f} %  {label}", flush=True)
