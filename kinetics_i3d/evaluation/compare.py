"""Two evaluations together: `combine` adds streams, `compare` lists the videos that changed."""

import collections
import dataclasses
import pathlib

import numpy as np

from kinetics_i3d.core.errors import DatasetError, join_items, list_faults
from kinetics_i3d.evaluation.metrics import mcnemar_test


def combine(rgb_evaluation, flow_evaluation):
    """Adds the logits of two streams that were evaluated separately.

    Args:
        rgb_evaluation: An `Evaluation` of one stream.
        flow_evaluation: An `Evaluation` of the other stream on the same videos, in any order.

    Returns:
        An `Evaluation` of both streams with the videos in the order of `rgb_evaluation`.

    Raises:
        DatasetError: If the labels, the views, the videos or their classes differ; the message
            lists the differences.
        ValueError: If both have a stream of the same name.

    Example:

    >>> from kinetics_i3d.evaluation.result import Evaluation
    >>> rgb = Evaluation(("a", "b"), ("v.mp4",), np.array([1]), {"rgb": np.array([[2.0, 0.0]])})
    >>> flow = Evaluation(("a", "b"), ("v.mp4",), np.array([1]), {"flow": np.array([[0.0, 3.0]])})
    >>> combine(rgb, flow).scores
    array([[2., 3.]])
    """
    first, second = rgb_evaluation, flow_evaluation
    repeated = first.logits.keys() & second.logits.keys()
    if repeated:
        raise ValueError(
            "`flow_evaluation` must be of a different stream than `rgb_evaluation`. Received: "
            f"{sorted(repeated)} in both"
        )
    names = " and ".join("+".join(evaluation.logits) for evaluation in (first, second))
    check_labels(names, first.labels, second.labels)
    if first.views != second.views:
        raise DatasetError(f"{names}: the views differ: {first.views} and {second.views}")
    only = [
        ("only in " + "+".join(evaluation.logits), sorted(set(evaluation.paths) - set(other.paths)))
        for evaluation, other in ((first, second), (second, first))
    ]
    if any(paths for _, paths in only):
        raise DatasetError(f"{names}: the videos differ: {list_faults(dict(only))}")
    duplicates = [
        path
        for evaluation in (first, second)
        for path, times in collections.Counter(evaluation.paths).items()
        if times > 1
    ]
    if duplicates:
        raise DatasetError(f"{names}: videos occur twice: {join_items(duplicates)}")
    rows = {path: row for row, path in enumerate(second.paths)}
    order = [rows[path] for path in first.paths]
    mismatches = [
        f"{path} ({_class_names(first, target)} and {_class_names(first, other)})"
        for path, target, other in zip(
            first.paths, first.targets, second.targets[order], strict=True
        )
        if np.any(target != other)
    ]
    if mismatches:
        raise DatasetError(f"{names}: the classes of videos differ: {join_items(mismatches)}")
    return dataclasses.replace(
        first,
        logits=first.logits | {name: logits[order] for name, logits in second.logits.items()},
        skipped=tuple(dict.fromkeys(first.skipped + second.skipped)),
        specs=first.specs | second.specs,
        digests=first.digests | second.digests,
    )


def _class_names(evaluation, target):
    """The names of a video's class or classes."""
    names = np.array(evaluation.labels)[target]
    return str(names) if np.ndim(target) == 0 else "+".join(names) or "none"


def check_labels(names, first, second):
    """Raises `DatasetError` if two lists of labels differ; `names` identifies both in the error."""
    if tuple(first) == tuple(second):
        return
    differences = [
        f"class {index} is {label!r} and {other!r}"
        for index, (label, other) in enumerate(zip(first, second, strict=False))
        if label != other
    ]
    if len(first) != len(second):
        differences.insert(0, f"{len(first)} and {len(second)} of them")
    raise DatasetError(f"{names}: the labels differ: {join_items(differences)}")


@dataclasses.dataclass(frozen=True)
class Change:
    """A video that is right in one of two evaluations and wrong in the other."""

    path: str
    label: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two evaluations on the videos they share.

    Args:
        videos: Number of shared videos.
        old: {metric: accuracy, 0 to 1} of the earlier evaluation on them.
        new: The same of the later evaluation.
        lost: A `Change` for each video that was right and is now wrong.
        won: A `Change` for each video that was wrong and is now right.
        p_value: Probability of a difference at least as large as that between `lost` and `won` if
            both models were equally good (McNemar).
        only_old: Videos that only the earlier evaluation tested.
        only_new: Videos that only the later evaluation tested.
    """

    videos: int
    old: dict
    new: dict
    lost: tuple
    won: tuple
    p_value: float
    only_old: tuple = ()
    only_new: tuple = ()

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return dataclasses.asdict(self)


def compare(old, new):
    """Compares two evaluations video by video.

    Args:
        old: The report of the earlier evaluation, as `read_report` returns it.
        new: The report of the later one. Videos are matched by path or, if the reports share no
            path, by folder and file name.

    Returns:
        A `Comparison`.

    Raises:
        DatasetError: If the reports share no video, a video has different labels in them, or videos
            may have several labels.

    Example:

    >>> row = {"path": "a.mp4", "label": "sit", "prediction": "sit", "rank": 1}
    >>> wrong = {**row, "prediction": "stand", "rank": 2}
    >>> result = compare({"videos_tested": [row]}, {"videos_tested": [wrong]})
    >>> result.old["top1"], result.new["top1"], result.lost[0].new, result.p_value
    (1.0, 0.0, 'stand', 1.0)
    """
    if old.get("multi_label") or new.get("multi_label"):
        raise DatasetError(
            "evaluations of videos with several labels cannot be compared video by video; compare "
            "their `map`"
        )
    first, second = _rows_by_name(old["videos_tested"], new["videos_tested"])
    shared = [name for name in first if name in second]
    if not shared:
        old_path, new_path = (
            next((row["path"] for row in rows.values()), "none") for rows in (first, second)
        )
        raise DatasetError(
            "the evaluations share no video; the earlier one has "
            f"{old_path}, the later one {new_path}"
        )
    mismatches = [
        f"{name} ({first[name]['label']} and {second[name]['label']})"
        for name in shared
        if first[name]["label"] != second[name]["label"]
    ]
    if mismatches:
        raise DatasetError(f"videos have different labels than before: {join_items(mismatches)}")
    won: list[Change] = []
    lost: list[Change] = []
    for name in shared:
        before, after = first[name], second[name]
        if (before["rank"] == 1) != (after["rank"] == 1):
            change = Change(
                after["path"], after["label"], before["prediction"], after["prediction"]
            )
            (won if after["rank"] == 1 else lost).append(change)
    return Comparison(
        videos=len(shared),
        old=_accuracies([first[name] for name in shared]),
        new=_accuracies([second[name] for name in shared]),
        lost=tuple(lost),
        won=tuple(won),
        p_value=mcnemar_test(len(lost), len(won)),
        only_old=tuple(row["path"] for name, row in first.items() if name not in second),
        only_new=tuple(row["path"] for name, row in second.items() if name not in first),
    )


def _rows_by_name(first, second):
    """Both lists of rows as {name: row}, with names under which they match."""
    by_path = [{row["path"]: row for row in rows} for rows in (first, second)]
    if by_path[0].keys() & by_path[1].keys():
        return by_path
    # The dataset was moved. Short names serve only if no two files of an evaluation share one.
    by_name = [{short_name(path): row for path, row in rows.items()} for rows in by_path]
    return by_name if [*map(len, by_name)] == [*map(len, by_path)] else by_path


def short_name(path):
    """Folder and file name of a video, which stay the same if its dataset is moved.

    Example:

    >>> short_name("there/sit/a.mp4")
    'sit/a.mp4'
    """
    return "/".join(pathlib.PurePath(path).parts[-2:])


def _accuracies(rows):
    """The metrics of `Evaluation.summary` that follow from the ranks of the labels."""
    classes = collections.defaultdict(list)
    for row in rows:
        classes[row["label"]].append(row["rank"] == 1)
    return {
        "top1": sum(row["rank"] == 1 for row in rows) / len(rows),
        "top5": sum(row["rank"] <= 5 for row in rows) / len(rows),
        "mean_class": sum(sum(hits) / len(hits) for hits in classes.values()) / len(classes),
    }
