"""`kinetics-i3d evaluate`: measures a model on the videos of a dataset.

By default every frame of every video counts, as in the paper. A video that cannot be read is listed
and left out. With --output, a call that was stopped goes on where it was.
"""

import json
import pathlib

from kinetics_i3d.cli.arguments import (
    add_dataset_arguments,
    add_labels_argument,
    add_precision_arguments,
    check_precision,
    read_dataset,
    read_labels_option,
    with_labels,
    with_precision,
)
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.canvas import pillow
from kinetics_i3d.core.progress import Progress

VIEWS = ("center", "flips", "clips_3_crops", "ten_crop")  # those of data.views
LOGITS = "logits"
MEASURES = {
    "top1": "top1",
    "top5": "top5",
    "mean_class": "mean class",
    "calibration_error": "calibration error",
}
SHOWN = 20  # changed videos that are printed, of each kind


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    add_dataset_arguments(parser)
    parser.add_argument(
        "--weights",
        required=True,
        metavar="NAME|PATH",
        help="name in the catalog, of one stream or a pair, or a file",
    )
    parser.add_argument(
        "--flow-weights",
        metavar="NAME|PATH",
        help="those of the flow stream beside --weights; the logits of both are added",
    )
    add_labels_argument(parser)
    add_precision_arguments(parser)
    parser.add_argument(
        "--split",
        default="test",
        metavar="NAME",
        help="which videos; source=NAME are those of one source (column source of a table)",
    )
    parser.add_argument(
        "--views",
        choices=VIEWS,
        default="center",
        help="what is taken of each video and averaged: the whole video's middle; that and its "
        "mirror image; 10 clips of 3 places each; or the middle and the corners, mirrored too",
    )
    parser.add_argument(
        "--output",
        metavar="FOLDER",
        help="also write evaluation.json, report.html, confusion.png and worst_mistakes.png there, "
        "and keep the logits",
    )
    parser.add_argument(
        "--compare",
        metavar="FILE",
        help="the evaluation.json of an earlier evaluation, to tell what changed",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the numbers as JSON in place of text"
    )


def run(options):
    """Prints accuracies; returns the exit code."""
    from kinetics_i3d.evaluation.compare import compare
    from kinetics_i3d.evaluation.report import read_report, report_of, write_report
    from kinetics_i3d.weights.read import fetch_weights

    # What can be found wrong at once comes before the seconds that TensorFlow takes to load.
    check_precision(options)
    labels = read_labels_option(options)
    names = member_names(options.weights, options.flow_weights)
    for name, _ in names:
        fetch_weights(name)
    dataset = read_dataset(options).split(options.split)
    earlier = read_report(options.compare) if options.compare else None
    folder = options.output and pathlib.Path(options.output)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        pillow()
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
    report = report_of(
        evaluation,
        dataset=dataset.name,
        split=options.split,
        missing=len(dataset.missing),
        # One file may hold both streams.
        weights={
            stream: names[min(place, len(names) - 1)][0]
            for place, stream in enumerate(evaluation.logits)
        },
    )
    comparison = compare(earlier, report) if earlier else None
    if folder:
        write_report(folder, evaluation, report, comparison=comparison)
    if options.json:
        numbers = evaluation.summary() | {"streams": report["streams"]}
        if comparison:
            numbers["comparison"] = comparison.to_dict()
        print(json.dumps(numbers, indent=2))
    else:
        print(as_text(report))
        if comparison:
            print(f"\n{comparison_text(comparison)}")
    return 0


def member_names(weights, flow_weights=None):
    """The weights of each model that is run, with the stream that it must read.

    Args:
        weights: A name in the catalog, of a pair too, or a path.
        flow_weights: Those of the flow stream beside them, or `None`.

    Returns:
        A list of (name or path, `"rgb"`, `"flow"`, or `None` where any will do).

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
    """The numbers of `report_of` in aligned lines, accuracies in percent, a column a stream."""
    columns = dict(report["streams"])
    if len(columns) > 1:
        columns["both"] = report
    lines = [f"{name:<18}{report[name]:>8}" for name in ("videos", "skipped")]
    if len(columns) > 1:
        lines.append(" " * 18 + "".join(f"{name:>8}  " for name in columns).rstrip())
    for key, name in MEASURES.items():
        cells = [f"{100 * column[key]:>8.2f} %" for column in columns.values()]
        lines.append(f"{name:<18}" + "".join(cells))
    low, high = report["top1_interval"]
    lines.append(f"top1 lies between {100 * low:.2f} and {100 * high:.2f} % (95 % confidence)")
    return "\n".join(lines)


def comparison_text(found):
    """A `Comparison` in lines."""
    lines = [f"{'on ' + str(found.videos) + ' videos':<18}{'before':>8}  {'now':>8}  {'change':>8}"]
    for name in found.new:
        old, new = 100 * found.old[name], 100 * found.new[name]
        lines.append(f"{MEASURES[name]:<18}{old:>8.2f} %{new:>8.2f} %{new - old:>+8.2f}")
    for head, changes in (
        ("right before, wrong now", found.lost),
        ("wrong before, right now", found.won),
    ):
        lines.append(f"{head}: {len(changes)}")
        lines += [
            f"  {each.path} ({each.label}): {each.old} before, {each.new} now"
            for each in changes[:SHOWN]
        ]
        if len(changes) > SHOWN:
            lines.append(f"  and {len(changes) - SHOWN} more")
    for head, paths in (("before", found.only_old), ("now", found.only_new)):
        if paths:
            lines.append(f"tested {head} only: {len(paths)} videos")
    lines.append(f"probability of such a difference by chance (McNemar): {found.p_value:.3g}")
    return "\n".join(lines)
