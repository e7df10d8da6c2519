"""Reports of an evaluation: evaluation.json, and with the extra `reports` a page and plots."""

import base64
import importlib.metadata
import importlib.util
import io
import json
import os
import pathlib

import numpy as np
from absl import logging

from kinetics_i3d.core.canvas import pillow
from kinetics_i3d.core.errors import DAMAGE, UserError, first_line
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.evaluation.compare import short_name
from kinetics_i3d.evaluation.mistakes import draw_mistakes, mistake_strips
from kinetics_i3d.evaluation.plots import draw_confusion, draw_reliability
from kinetics_i3d.evaluation.result import class_results

JSON, PAGE = "evaluation.json", "report.html"
CONFUSION, MISTAKES, RELIABILITY = "confusion.png", "worst_mistakes.png", "reliability.png"
_FORMAT = 1
_MAX_MISTAKES = 24
_MAX_CHANGES = 20  # changed videos that the page lists, of each kind
_TOP_CLASSES = 5  # of each video with several labels, whose probabilities are reported
_READABLE_CLASSES = 30  # with at most this many, the confusion matrix may be shrunk to fit the page
_JPEG_QUALITY = 85
_EXTRA = {"jinja2": "Jinja2", "matplotlib": "Matplotlib", "PIL": "Pillow"}
_METRICS = {
    "top1": "Top-1",
    "top5": "Top-5",
    "mean_class": "Mean class accuracy",
    "calibration_error": "Calibration error",
}
_MULTI_LABEL_METRICS = {
    "map": "Mean average precision",
    "hit1": "Highest score is a label of the video",
}
# The fields of a video in an evaluation.json that are read.
_ROW = {"path": str, "label": str, "prediction": str, "rank": int}
_RESIZED = {
    "short_side": "short side resized to",
    "height": "height resized to",
    "stretch": "both sides resized to",
}


def make_report(evaluation, *, dataset="", split="", weights=None, missing=0):
    """The content of evaluation.json.

    Args:
        evaluation: An `Evaluation`.
        dataset: Name of the dataset.
        split: Name of the split.
        weights: {stream: name or path of the weights}.
        missing: Number of videos of the dataset that have no file.

    Returns:
        A JSON-ready dictionary: `format` (1), `version` of the package, `dataset`, `split`,
        `missing`, `views`, `weights` ({stream: `name` and `digest`, the checksum of the weights}),
        `clip_specs` ({stream: the fields of a `ClipSpec`}); the keys of `Evaluation.summary`, for
        all streams together; `streams`, the same for each stream; `labels`; `classes` (`label`,
        `videos`, `right`, `accuracy`, `most_frequent_wrong` and `taken_for`, the row of the
        confusion matrix without its zeros and its diagonal); `videos_tested` (`path`, `label`,
        `prediction`, its `probability`, `label_probability`, and `rank` of the label from 1);
        `videos_skipped` (error messages). If videos may have several labels, `multi_label` is True,
        `classes` is `Evaluation.average_precisions`, and `videos_tested` has `path`, `labels` and
        `probabilities`, {label: probability} of the video's own labels and of the best five.

    Example:

    >>> from kinetics_i3d.evaluation.result import Evaluation
    >>> evaluation = Evaluation(("sit", "stand"), ("a.mp4",), np.array([0]), {"rgb": np.eye(2)[:1]})
    >>> make_report(evaluation)["videos_tested"][0]["rank"]
    1
    """
    weights = weights or {}
    names = {stream: name and os.fspath(name) for stream, name in weights.items()}
    if evaluation.multi_label:
        classes = evaluation.average_precisions()
        videos_tested = _multi_label_videos_tested(evaluation)
    else:
        results = class_results(evaluation.confusion(), evaluation.labels)
        classes = [result.to_dict() for result in results]
        videos_tested = _videos_tested(evaluation)
    return {
        "format": _FORMAT,
        "version": importlib.metadata.version("kinetics-i3d"),
        "dataset": dataset,
        "split": split,
        "missing": missing,
        "views": evaluation.views,
        "weights": {
            stream: {"name": names.get(stream), "digest": evaluation.digests.get(stream)}
            for stream in evaluation.logits
        },
        "clip_specs": {stream: spec.to_dict() for stream, spec in evaluation.specs.items()},
        **({"multi_label": True} if evaluation.multi_label else {}),
        **evaluation.summary(),
        "streams": {stream: evaluation.stream(stream).summary() for stream in evaluation.logits},
        "labels": list(evaluation.labels),
        "classes": classes,
        "videos_tested": videos_tested,
        "videos_skipped": list(evaluation.skipped),
    }


def _videos_tested(evaluation):
    labels, scores = evaluation.labels, evaluation.scores
    rows = []
    for row, path in enumerate(evaluation.paths):
        target, predicted = evaluation.targets[row], evaluation.predictions[row]
        score = scores[row, target]
        # Ties go to the lower class number, as in `topk_accuracy`.
        before = (scores[row] > score).sum() + (scores[row, :target] == score).sum()
        rows.append(
            {
                "path": path,
                "label": labels[target],
                "prediction": labels[predicted],
                "probability": float(evaluation.probabilities[row, predicted]),
                "label_probability": float(evaluation.probabilities[row, target]),
                "rank": int(before) + 1,
            }
        )
    return rows


def _multi_label_videos_tested(evaluation):
    labels = evaluation.labels
    rows = []
    for path, target, probabilities in zip(
        evaluation.paths, evaluation.targets, evaluation.probabilities, strict=True
    ):
        ranking = np.argsort(-probabilities, kind="stable")
        shown = [
            index for rank, index in enumerate(ranking) if rank < _TOP_CLASSES or target[index]
        ]
        rows.append(
            {
                "path": path,
                "labels": [labels[index] for index in np.flatnonzero(target)],
                "probabilities": {labels[index]: float(probabilities[index]) for index in shown},
            }
        )
    return rows


def write_report(folder, evaluation, report, *, comparison=None):
    """Writes evaluation.json and, with the extra `reports`, report.html and its plots.

    The plots are confusion.png, reliability.png and worst_mistakes.png. Every file is written
    atomically. Without the extra, a warning says how to install it. If videos may have several
    labels, there are no plots.

    Args:
        folder: Output folder, created if missing.
        evaluation: An `Evaluation`.
        report: The result of `make_report` for it.
        comparison: A `Comparison` with an earlier evaluation, for the page.

    Returns:
        The path of report.html, or without the extra that of evaluation.json.
    """
    folder = pathlib.Path(folder)
    with atomic_path(folder / JSON) as path:
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    if not reports_installed(f"{PAGE} and its plots"):
        return folder / JSON
    title = _title(report)
    plots = {}
    if not evaluation.multi_label:
        draw_confusion(folder / CONFUSION, evaluation.confusion(), evaluation.labels, title=title)
        draw_reliability(
            folder / RELIABILITY, evaluation.probabilities, evaluation.targets, title=title
        )
        rows = evaluation.mistakes(_MAX_MISTAKES)
        strips = mistake_strips(evaluation, rows)
        options = {"count": _MAX_MISTAKES, "title": title, "strips": strips}
        draw_mistakes(folder / MISTAKES, evaluation, **options)
        plots = {
            "confusion": (folder / CONFUSION).read_bytes(),
            "reliability": (folder / RELIABILITY).read_bytes(),
            "mistakes": [
                (report["videos_tested"][row], strip)
                for row, strip in zip(rows, strips, strict=True)
            ],
        }
    page = _page(report, title=title, comparison=comparison, **plots)
    with atomic_path(folder / PAGE) as path:
        # File names need not be valid text.
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    return folder / PAGE


def reports_installed(what):
    """Whether the extra `reports` is installed; if not, logs that `what` is not written."""
    missing = [name for module, name in _EXTRA.items() if importlib.util.find_spec(module) is None]
    if missing:
        logging.warning(
            '%s not written: %s missing; install with: pip install "kinetics-i3d[reports]"',
            what,
            " and ".join(missing),
        )
    return not missing


def _title(report):
    """The weights and the dataset, such as `rgb_figures on figures, test`."""
    names = " + ".join(
        pathlib.Path(weights["name"] or stream).name
        for stream, weights in report["weights"].items()
    )
    dataset = ", ".join(part for part in (report["dataset"], report["split"]) if part)
    return f"{names} on {dataset}" if dataset else names


def _page(report, *, title, comparison, **plots):
    """The HTML of report.html."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=_percent, short_name=short_name, file_name=lambda path: pathlib.PurePath(path).name
    )
    multi_label = report.get("multi_label", False)
    columns = dict(report["streams"])
    if len(columns) > 1:
        columns["both, logits added"] = report
    order = "average_precision" if multi_label else "accuracy"
    classes = [result for result in report["classes"] if result["videos"]]
    variables = {} if multi_label else _single_label_variables(report, **plots)
    return environment.get_template("report.html.jinja").render(
        report=report,
        title=title,
        multi_label=multi_label,
        columns=columns,
        metrics=_MULTI_LABEL_METRICS if multi_label else _METRICS,
        comparison=comparison,
        max_changes=_MAX_CHANGES,
        classes=sorted(classes, key=lambda result: (result[order], result["label"])),
        absent=len(report["classes"]) - len(classes),
        specs={
            stream: [
                spec
                for name, spec in report["clip_specs"].items()
                if name == stream or stream not in report["clip_specs"]
            ]
            for stream in report["weights"]
        },
        resized=_RESIZED,
        **variables,
    )


def _single_label_variables(report, *, confusion, reliability, mistakes):
    """The template's variables for mistakes and plots; the plots are bytes of PNGs."""
    confusions = [
        (times, result["label"], prediction)
        for result in report["classes"]
        for prediction, times in result["taken_for"].items()
    ]
    width = int.from_bytes(confusion[16:20])  # PNG, https://www.w3.org/TR/png-3/, 11.2.1
    min_width = width * 7 // 10 if len(report["labels"]) <= _READABLE_CLASSES else width
    return {
        "wrong": report["videos"] - sum(result["right"] for result in report["classes"]),
        "mistakes": [(row, *_jpeg(strip)) for row, strip in mistakes],
        "confusion": {"uri": _uri("png", confusion), "min_width": min_width},
        "confusions": sorted(confusions, key=lambda row: -row[0])[:3],
        "reliability": {"uri": _uri("png", reliability)},
    }


def _percent(share, digits=1):
    return f"{100 * share:.{digits}f}\N{NO-BREAK SPACE}%"


def _uri(kind, data):
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


def _jpeg(pixels):
    """(data URI, width, height) of a filmstrip; three times None without one."""
    if pixels is None:
        return None, None, None
    data = io.BytesIO()
    pillow()[0].fromarray(pixels).save(data, format="JPEG", quality=_JPEG_QUALITY)
    return _uri("jpeg", data.getvalue()), pixels.shape[1], pixels.shape[0]


def read_report(path):
    """Reads an evaluation.json.

    Args:
        path: The file, or the folder that contains it.

    Returns:
        A dictionary as `make_report` returns it.

    Raises:
        UserError: If the file is missing or not a report.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        path = path / JSON
    try:
        report = parse_object(path.read_text(encoding="utf-8"))
        if report["format"] != _FORMAT:
            raise ValueError(f"its format is {report['format']}, not {_FORMAT}")
        for row in () if report.get("multi_label") else report["videos_tested"]:
            if not isinstance(row, dict) or not _ROW.keys() <= row.keys():
                raise ValueError("a video without rank, path, label or prediction")
            check_fields("videos_tested", {name: row[name] for name in _ROW}, _ROW)
            if row["rank"] < 1:
                raise ValueError(f"`rank` must be 1 or more. Received: rank={row['rank']!r}")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except DAMAGE as error:
        raise UserError(
            f"{path}: not an evaluation of kinetics-i3d ({first_line(error)}); it must be the "
            f"{JSON} that `kinetics-i3d evaluate --output` writes"
        ) from error
    return report
