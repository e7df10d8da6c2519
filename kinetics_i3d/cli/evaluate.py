"""`kinetics-i3d evaluate`: measure the accuracy of a model on the videos of a dataset.

By default every frame of every video counts, as in the paper. A video that cannot be read is listed
and left out. With --output, rerunning a command that was stopped resumes it.
"""

import pathlib

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_json_argument,
    add_labels_argument,
    add_output_argument,
    add_precision_arguments,
    add_split_argument,
    add_weights_arguments,
    check_precision,
    print_result,
    read_dataset,
    read_labels_option,
    with_labels,
    with_precision,
)
from kinetics_i3d.cli.console import load_keras, notify
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.progress import Progress
from kinetics_i3d.data.layouts.listing import UNDIVIDED

EXAMPLES = (
    "kinetics-i3d evaluate path/to/HMDB51 --weights RUN/weights.h5",
    "kinetics-i3d evaluate RUN/videos.csv --split val --weights RUN/weights.h5 --output report",
)
VIEWS = ("center", "flips", "clips_3_crops", "ten_crop")  # those of data.views
LOGITS = "logits"
MEASURES = {
    "top1": "top1",
    "top5": "top5",
    "mean_class": "mean class",
    "calibration_error": "calibration error",
}
MULTI_LABEL_MEASURES = {"map": "mAP", "hit1": "hit@1"}
SHOWN = 20  # changed videos that are printed, of each kind


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    data = add_dataset_arguments(parser)
    add_split_argument(
        data,
        default=None,
        purpose="to evaluate",
        default_text="test; all videos of a dataset without splits",
    )
    add_weights_arguments(parser, required=True)
    parser.add_argument(
        "--views",
        choices=VIEWS,
        default="center",
        help="views of each video whose logits are averaged. center: the center crop of the whole "
        "video; flips: that and its mirror image; clips_3_crops: 10 clips of 3 crops each; "
        "ten_crop: the center and the four corners, each also mirrored",
    )
    add_output_argument(
        parser,
        "FOLDER",
        "also write evaluation.json and the logits to this folder; with the extra `reports` also "
        "report.html, confusion.png, reliability.png and worst_mistakes.png",
    )
    parser.add_argument(
        "--compare",
        metavar="FILE",
        help="evaluation.json of an earlier evaluation to compare with",
    )
    add_labels_argument(parser)
    add_precision_arguments(parser)
    add_json_argument(parser)


def run(options):
    """Prints accuracies; returns the exit code."""
    from kinetics_i3d.evaluation.compare import compare
    from kinetics_i3d.evaluation.report import make_report, read_report, write_report
    from kinetics_i3d.weights.read import fetch_weights

    # Checks that need no TensorFlow come first: it takes seconds to load.
    check_precision(options)
    labels = read_labels_option(options)
    names = member_names(options.weights, options.flow_weights)
    for name, _ in names:
        fetch_weights(name)
    dataset, split = choose_videos(read_dataset(options), options.split)
    earlier = read_report(options.compare) if options.compare else None
    folder = options.output and pathlib.Path(options.output)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    load_keras()
    from kinetics_i3d.evaluation.protocols import evaluate, networks_of
    from kinetics_i3d.models.load import load_model

    models = [with_labels(load_model(name, streams=stream), labels) for name, stream in names]
    models = [with_precision(model, options) for model in models]
    runs = sum(len(networks_of(model)) for model in models)
    with Progress(runs * len(dataset), "videos") as progress:
        evaluation = evaluate(
            models,
            dataset,
            views=options.views,
            cache=folder and folder / LOGITS,
            progress=progress,
        )
    report = make_report(
        evaluation,
        dataset=dataset.name,
        split=split,
        missing=len(dataset.missing),
        # One file may hold both streams.
        weights={
            stream: names[min(number, len(names) - 1)][0]
            for number, stream in enumerate(evaluation.logits)
        },
    )
    comparison = mismatch = None
    try:
        comparison = compare(earlier, report) if earlier else None
    except DatasetError as error:  # the results are kept
        mismatch = error
    if folder:
        write_report(folder, evaluation, report, comparison=comparison)
    numbers = evaluation.summary() | {
        "streams": report["streams"],
        "missing": report["missing"],
        "videos_skipped": report["videos_skipped"],
    }
    text = as_text(report)
    if comparison:
        numbers["comparison"] = comparison.to_dict()
        text += f"\n\n{comparison_text(comparison)}"
    print_result(options, text, numbers)
    if mismatch is not None:
        raise mismatch
    return 1 if evaluation.skipped else 0


def choose_videos(dataset, split):
    """(the videos to evaluate, the name of their split); without `split` all, or those of test."""
    splits = sorted({video.split for video in dataset.videos})
    if split is None and splits == [UNDIVIDED]:
        notify(
            f"{dataset.name} has no splits: evaluating all {len(dataset)} videos, including those "
            "that the model may have been trained on. To evaluate only the videos that `train` "
            "held out, use RUN/videos.csv --split val"
        )
        return dataset, UNDIVIDED
    try:
        return dataset.split(split or "test"), split or "test"
    except DatasetError as error:
        if "=" in (split or ""):
            raise
        choices = " or ".join(f"--split {name}" for name in splits)
        raise DatasetError(f"{error}; use {choices}") from error


def member_names(weights, flow_weights=None):
    """[(name or path of the weights, stream that they must read or None)], one per model.

    Example:

    >>> member_names("kinetics400")
    [('rgb_kinetics400', 'rgb'), ('flow_kinetics400', 'flow')]
    """
    from kinetics_i3d.weights.catalog import PAIRS

    if flow_weights is not None:
        return [(weights, "rgb"), (flow_weights, "flow")]
    if weights in PAIRS:
        return list(zip(PAIRS[weights].members, ("rgb", "flow"), strict=True))
    return [(weights, None)]


def as_text(report):
    """The numbers of `make_report` in aligned lines: accuracies in percent, a column per stream."""
    columns = dict(report["streams"])
    if len(columns) > 1:
        columns["both"] = report
    lines = [f"{name:<18}{report[name]:>8}" for name in ("videos", "skipped")]
    if len(columns) > 1:
        lines.append(" " * 18 + "".join(f"{name:>8}  " for name in columns).rstrip())
    multi_label = report.get("multi_label", False)
    for key, name in (MULTI_LABEL_MEASURES if multi_label else MEASURES).items():
        percents = [f"{100 * column[key]:>8.2f} %" for column in columns.values()]
        lines.append(f"{name:<18}" + "".join(percents))
    if multi_label:
        return "\n".join(lines)
    low, high = report["top1_interval"]
    lines.append(f"top1 lies between {100 * low:.2f} and {100 * high:.2f} % (95 % confidence)")
    return "\n".join(lines)


def comparison_text(comparison):
    """A `Comparison` in lines."""
    head = f"on {comparison.videos} videos"
    lines = [f"{head:<18}{'before':>8}  {'now':>8}  {'change':>8}"]
    for name in comparison.new:
        old, new = 100 * comparison.old[name], 100 * comparison.new[name]
        lines.append(f"{MEASURES[name]:<18}{old:>8.2f} %{new:>8.2f} %{new - old:>+8.2f}")
    for head, changes in (
        ("right before, wrong now", comparison.lost),
        ("wrong before, right now", comparison.won),
    ):
        lines.append(f"{head}: {len(changes)}")
        lines += [
            f"  {change.path} ({change.label}): {change.old} before, {change.new} now"
            for change in changes[:SHOWN]
        ]
        if len(changes) > SHOWN:
            lines.append(f"  and {len(changes) - SHOWN} more")
    for head, paths in (("before", comparison.only_old), ("now", comparison.only_new)):
        if paths:
            lines.append(f"tested {head} only: {len(paths)} videos")
    lines.append(f"probability of such a difference by chance (McNemar): {comparison.p_value:.3g}")
    return "\n".join(lines)
