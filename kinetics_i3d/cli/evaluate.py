"""`kinetics-i3d evaluate`: measures a model on the videos of a dataset.

Every frame of every video counts, as in the paper.
"""

import json
import pathlib

from kinetics_i3d.cli.progress import Progress
from kinetics_i3d.cli.quiet import load_keras
from kinetics_i3d.core.canvas import check_picture_path
from kinetics_i3d.core.files import atomic_path


def add_arguments(parser):
    """Adds this verb's arguments to `parser`."""
    parser.add_argument(
        "dataset", metavar="DATASET", help="a csv table of videos, or a folder with one"
    )
    parser.add_argument(
        "--weights", required=True, metavar="NAME|PATH", help="name in the catalog, or a file"
    )
    parser.add_argument("--split", default="test", metavar="NAME", help="which videos")
    parser.add_argument(
        "--output", metavar="FOLDER", help="also write evaluation.json and confusion.png there"
    )
    parser.add_argument(
        "--json", action="store_true", help="print the numbers as JSON in place of text"
    )


def run(options):
    """Prints accuracies; returns the exit code."""
    from kinetics_i3d.data.datasets import open_dataset
    from kinetics_i3d.weights.catalog import find_weights

    find_weights(options.weights)
    dataset = open_dataset(options.dataset).split(options.split)
    folder = options.output and pathlib.Path(options.output)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        check_picture_path(folder / "confusion.png")
    load_keras()
    from kinetics_i3d.evaluation.protocols import evaluate
    from kinetics_i3d.models.inception_i3d import InceptionI3D

    model = InceptionI3D(weights=options.weights)
    evaluation = evaluate(model, dataset, progress=Progress(len(dataset), "videos"))
    summary = evaluation.summary()
    if folder:
        about = {
            "dataset": dataset.name,
            "split": options.split,
            "weights": options.weights,
            "clip_spec": model.clip_spec.to_dict(),
        }
        write_evaluation(folder, evaluation, about=about)
    print(json.dumps(summary, indent=2) if options.json else as_text(summary))
    return 0


def as_text(summary):
    """The numbers of `Evaluation.summary` in aligned lines; accuracies in percent."""
    lines = [f"{name:<11}{summary[name]:>6}" for name in ("videos", "skipped")]
    for name, value in summary.items():
        if isinstance(value, float):
            lines.append(f"{name.replace('_', ' '):<11}{100 * value:>6.2f} %")
    return "\n".join(lines)


def write_evaluation(folder, evaluation, *, about):
    """Writes `evaluation.json` and `confusion.png`, each whole or not at all.

    Args:
        folder: A `pathlib.Path`.
        evaluation: An `Evaluation`.
        about: A JSON-ready dictionary of what was evaluated.
    """
    from kinetics_i3d.evaluation.picture import draw_confusion

    labels = evaluation.labels
    rows = zip(evaluation.paths, evaluation.targets, evaluation.scores.argmax(axis=1), strict=True)
    report = {
        **about,
        **evaluation.summary(),
        "videos_tested": [
            {"path": path, "label": labels[target], "prediction": labels[best]}
            for path, target, best in rows
        ],
        "videos_skipped": list(evaluation.skipped),
    }
    with atomic_path(folder / "evaluation.json") as path:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    title = f"{about['weights']} on {about['dataset']}, {about['split']}"
    draw_confusion(folder / "confusion.png", evaluation.confusion(), labels, title=title)
