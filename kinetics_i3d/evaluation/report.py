"""`write_report`: an evaluation as evaluation.json, report.html and two pictures.

The keys of evaluation.json are told at `report_of`; `read_report` reads it back.
"""

import importlib.metadata
import json
import pathlib

import numpy as np

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.evaluation.mistakes import draw_mistakes, mistake_strips
from kinetics_i3d.evaluation.page import make_multi_label_page, make_page
from kinetics_i3d.evaluation.plots import draw_confusion
from kinetics_i3d.evaluation.result import class_results

FORMAT = 1
JSON, PAGE = "evaluation.json", "report.html"
CONFUSION, MISTAKES = "confusion.png", "worst_mistakes.png"
MOST_MISTAKES = 24
BEST = 5  # classes of each video of several labels whose probabilities are told


def report_of(evaluation, *, dataset="", split="", weights=None, missing=0):
    """What evaluation.json holds.

    Args:
        evaluation: An `Evaluation`.
        dataset: Its name.
        split: Which of its splits.
        weights: {stream: name or path of the weights}.
        missing: How many of the dataset's videos have no file.

    Returns:
        A JSON-ready dictionary: `format` (1), `version` of the package, `dataset`, `split`,
        `missing`, `views`, `weights` ({stream: `name` and `digest`, the checksum of the weights}),
        `clip_specs` ({stream: the fields of a `ClipSpec`}); what `Evaluation.summary` gives, of all
        streams together; `streams`, the same of each stream; `labels`; `classes` (`label`,
        `videos`, `right`, `accuracy`, `most_frequent_wrong` and `taken_for`, which is a row of the
        confusion matrix without its zeros and its diagonal); `videos_tested` (`path`, `label`,
        `prediction`, `probability` of that, `label_probability`, and `rank` of the label from 1);
        `videos_skipped` (a message each). Of videos that may have several labels: `multi_label`,
        True; `classes` is `Evaluation.average_precisions`; `videos_tested` has `path`, `labels`,
        and `probabilities`, {label: probability} of the video's own labels and of the best five.

    Example:

    >>> from kinetics_i3d.evaluation.result import Evaluation
    >>> found = Evaluation(("sit", "stand"), ("a.mp4",), np.array([0]), {"rgb": np.eye(2)[:1]})
    >>> report_of(found)["videos_tested"][0]["rank"]
    1
    """
    multi_label = evaluation.multi_label
    tested = _tested_multi_label(evaluation) if multi_label else _tested(evaluation)
    if multi_label:
        classes = evaluation.average_precisions()
    else:
        classes = [
            each.to_dict() for each in class_results(evaluation.confusion(), evaluation.labels)
        ]
    weights = weights or {}
    return {
        "format": FORMAT,
        "version": importlib.metadata.version("kinetics-i3d"),
        "dataset": dataset,
        "split": split,
        "missing": missing,
        "views": evaluation.views,
        "weights": {
            stream: {"name": weights.get(stream), "digest": evaluation.digests.get(stream)}
            for stream in evaluation.logits
        },
        "clip_specs": {stream: spec.to_dict() for stream, spec in evaluation.specs.items()},
        **({"multi_label": True} if multi_label else {}),
        **evaluation.summary(),
        "streams": {stream: evaluation.stream(stream).summary() for stream in evaluation.logits},
        "labels": list(evaluation.labels),
        "classes": classes,
        "videos_tested": tested,
        "videos_skipped": list(evaluation.skipped),
    }


def _tested_multi_label(evaluation):
    """A row of `videos_tested` for each video of several labels."""
    labels, chances = evaluation.labels, evaluation.probabilities
    rows = []
    for path, target, chance in zip(evaluation.paths, evaluation.targets, chances, strict=True):
        best = np.argsort(-chance, kind="stable")
        shown = [number for place, number in enumerate(best) if place < BEST or target[number]]
        rows.append(
            {
                "path": path,
                "labels": [labels[number] for number in np.flatnonzero(target)],
                "probabilities": {labels[number]: float(chance[number]) for number in shown},
            }
        )
    return rows


def _tested(evaluation):
    """A row of `videos_tested` for each video of one label."""
    labels, scores = evaluation.labels, evaluation.scores
    chances = evaluation.probabilities
    tested = []
    for row, path in enumerate(evaluation.paths):
        target, best = evaluation.targets[row], evaluation.predictions[row]
        own = scores[row, target]
        # Of equal scores the lower class comes first, as in `topk_accuracy`.
        before = (scores[row] > own).sum() + (scores[row, :target] == own).sum()
        tested.append(
            {
                "path": path,
                "label": labels[target],
                "prediction": labels[best],
                "probability": float(chances[row, best]),
                "label_probability": float(chances[row, target]),
                "rank": int(before) + 1,
            }
        )
    return tested


def write_report(folder, evaluation, report, *, comparison=None):
    """Writes evaluation.json, report.html, confusion.png and worst_mistakes.png.

    Each appears whole or not at all. Of videos that may have several labels there are no pictures.

    Args:
        folder: Where to; it is made.
        evaluation: An `Evaluation`.
        report: What `report_of` made of it.
        comparison: A `Comparison` with an earlier one, to be told in the page.

    Returns:
        The path of the page.

    Raises:
        UserError: If Pillow is missing.
    """
    folder = pathlib.Path(folder)
    with atomic_path(folder / JSON) as path:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    title = title_of(report)
    if evaluation.multi_label:
        return _write_page(folder, make_multi_label_page(report, title=title))
    draw_confusion(folder / CONFUSION, evaluation.confusion(), evaluation.labels, title=title)
    rows = evaluation.mistakes(MOST_MISTAKES)
    strips = mistake_strips(evaluation, rows)
    draw_mistakes(folder / MISTAKES, evaluation, count=MOST_MISTAKES, title=title, strips=strips)
    shown = zip((report["videos_tested"][row] for row in rows), strips, strict=True)
    page = make_page(
        report,
        title=title,
        confusion=(folder / CONFUSION).read_bytes(),
        mistakes=list(shown),
        comparison=comparison,
    )
    return _write_page(folder, page)


def _write_page(folder, page):
    with atomic_path(folder / PAGE) as path:
        # File names need not be valid text.
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return folder / PAGE


def title_of(report):
    """What was evaluated, in a line, such as `rgb_figures on figures, test`."""
    names = " + ".join(
        pathlib.Path(part["name"] or stream).name for stream, part in report["weights"].items()
    )
    place = ", ".join(part for part in (report["dataset"], report["split"]) if part)
    return f"{names} on {place}" if place else names


def read_report(path):
    """Reads an evaluation.json.

    Args:
        path: The file, or the folder that it is in.

    Returns:
        The dictionary of `report_of`.

    Raises:
        UserError: If it is missing or is none; the line says why.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        path = path / JSON
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if report["format"] != FORMAT:
            raise ValueError(f"its format is {report['format']}, not {FORMAT}")
        for row in () if report.get("multi_label") else report["videos_tested"]:
            if not isinstance(row["rank"], int) or not {"path", "label", "prediction"} <= {*row}:
                raise ValueError("a video without rank, path, label or prediction")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: not an evaluation of kinetics-i3d ({first_line(error)}); it must be the "
            f"{JSON} that `kinetics-i3d evaluate --output` writes"
        ) from error
    return report
