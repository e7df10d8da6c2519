"""`compare`: what changed from one evaluation to another, video by video.

McNemar's test tells whether it is more than chance: Psychometrika 12 (1947).
"""

import collections
import dataclasses
import pathlib

import numpy as np

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.evaluation.metrics import sign_test


@dataclasses.dataclass(frozen=True)
class Change:
    """A video that is right in one evaluation and wrong in the other."""

    path: str
    label: str
    old: str
    new: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two evaluations on the videos that both tested.

    Args:
        videos: How many these are.
        old: {measure: accuracy, 0 to 1} on them, of the earlier one.
        new: The same of the later one.
        lost: A `Change` for each video that was right and is wrong now.
        won: Those that were wrong and are right now.
        p_value: The probability of a difference as large as that of `lost` and `won` if both were
            equally good.
        only_old: Videos that the earlier one alone tested.
        only_new: Those that the later one alone tested.
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
    """Holds two evaluations against each other.

    Args:
        old: The dictionary of an evaluation.json, as `read_report` gives it.
        new: That of a later one. Videos are the same by their paths, or, where no path is in both,
            by folder and file name.

    Returns:
        A `Comparison`.

    Raises:
        DatasetError: If no video is in both, videos have another label in one than in the other, or
            may have several.

    Example:

    >>> row = {"path": "a.mp4", "label": "sit", "prediction": "sit", "rank": 1}
    >>> wrong = {**row, "prediction": "stand", "rank": 2}
    >>> found = compare({"videos_tested": [row]}, {"videos_tested": [wrong]})
    >>> found.old["top1"], found.new["top1"], found.lost[0].new, found.p_value
    (1.0, 0.0, 'stand', 1.0)
    """
    if old.get("multi_label") or new.get("multi_label"):
        raise DatasetError(
            "evaluations of videos with several labels cannot be compared video by video; compare "
            "their `map`"
        )
    first, second = _by_name(old["videos_tested"], new["videos_tested"])
    shared = [name for name in first if name in second]
    if not shared:
        one, two = (
            next((row["path"] for row in rows.values()), "none") for rows in (first, second)
        )
        raise DatasetError(
            f"no video is in both evaluations; the earlier one has {one}, the later one {two}"
        )
    other = [name for name in shared if first[name]["label"] != second[name]["label"]]
    if other:
        told = [f"{name} ({first[name]['label']} and {second[name]['label']})" for name in other]
        raise DatasetError(f"videos have other labels than before: {listed(told)}")
    changes: dict[int, list] = {1: [], -1: []}  # won and lost
    for name in shared:
        one, two = first[name], second[name]
        step = (two["rank"] == 1) - (one["rank"] == 1)
        if step:
            change = Change(two["path"], two["label"], one["prediction"], two["prediction"])
            changes[step].append(change)
    won, lost = changes.values()
    return Comparison(
        videos=len(shared),
        old=_accuracies([first[name] for name in shared]),
        new=_accuracies([second[name] for name in shared]),
        lost=tuple(lost),
        won=tuple(won),
        p_value=sign_test(len(lost), len(won)),
        only_old=tuple(row["path"] for name, row in first.items() if name not in second),
        only_new=tuple(row["path"] for name, row in second.items() if name not in first),
    )


def _by_name(first, second):
    """Both lists of rows as {name: row}, by names that find each other."""
    lists = [{row["path"]: row for row in rows} for rows in (first, second)]
    if lists[0].keys() & lists[1].keys():
        return lists
    # The dataset was moved: no two files of one folder share a name.
    short = [{short_name(path): row for path, row in rows.items()} for rows in lists]
    return short if [*map(len, short)] == [*map(len, lists)] else lists


def short_name(path):
    """Folder and file name of a video, which stay where its dataset is moved.

    Args:
        path: The video's.

    Example:

    >>> short_name("there/sit/a.mp4")
    'sit/a.mp4'
    """
    return "/".join(pathlib.PurePath(path).parts[-2:])


def _accuracies(rows):
    """The measures of `Evaluation.summary` that compare, from the ranks of the labels."""
    classes = collections.defaultdict(list)
    for row in rows:
        classes[row["label"]].append(row["rank"] == 1)
    return {
        "top1": sum(row["rank"] == 1 for row in rows) / len(rows),
        "top5": sum(row["rank"] <= 5 for row in rows) / len(rows),
        "mean_class": sum(sum(hits) / len(hits) for hits in classes.values()) / len(classes),
    }


SHOWN = 5  # differences that an error lists


def combine(rgb_evaluation, flow_evaluation):
    """Adds the logits of two streams that were evaluated one by one.

    Args:
        rgb_evaluation: An `Evaluation` of one stream.
        flow_evaluation: That of the other, on the same videos in any order.

    Returns:
        An `Evaluation` with both streams, in the order of the videos of rgb.

    Raises:
        DatasetError: If the labels, the views, the videos or their classes differ; the difference
            is listed.
        ValueError: If both have a stream of the same name.

    Example:

    >>> from kinetics_i3d.evaluation.result import Evaluation
    >>> rgb = Evaluation(("a", "b"), ("v.mp4",), np.array([1]), {"rgb": np.array([[2.0, 0.0]])})
    >>> flow = Evaluation(("a", "b"), ("v.mp4",), np.array([1]), {"flow": np.array([[0.0, 3.0]])})
    >>> combine(rgb, flow).scores
    array([[2., 3.]])
    """
    first, second = rgb_evaluation, flow_evaluation
    again = first.logits.keys() & second.logits.keys()
    if again:
        raise ValueError(
            "`flow_evaluation` must be of another stream than `rgb_evaluation`. "
            f"Received: {sorted(again)} in both"
        )
    names = " and ".join("+".join(one.logits) for one in (first, second))
    check_labels(names, first.labels, second.labels)
    if first.views != second.views:
        raise DatasetError(f"{names}: the views differ: {first.views} and {second.views}")
    places = {path: place for place, path in enumerate(second.paths)}
    lists = [
        ("only in " + "+".join(one.logits), sorted(set(one.paths) - set(other.paths)))
        for one, other in ((first, second), (second, first))
    ]
    if any(paths for _, paths in lists):
        told = "; ".join(f"{where}: {listed(paths)}" for where, paths in lists if paths)
        raise DatasetError(f"{names}: the videos differ: {told}")
    twice = [
        path
        for one in (first, second)
        for path, times in collections.Counter(one.paths).items()
        if times > 1
    ]
    if twice:
        raise DatasetError(f"{names}: videos occur twice: {listed(twice)}")
    order = [places[path] for path in first.paths]
    other = [
        f"{path} ({_classes(first, one)} and {_classes(first, two)})"
        for path, one, two in zip(first.paths, first.targets, second.targets[order], strict=True)
        if np.any(one != two)
    ]
    if other:
        raise DatasetError(f"{names}: the classes of videos differ: {listed(other)}")
    return dataclasses.replace(
        first,
        logits=first.logits | {name: logits[order] for name, logits in second.logits.items()},
        skipped=tuple(dict.fromkeys(first.skipped + second.skipped)),
        specs=first.specs | second.specs,
        digests=first.digests | second.digests,
    )


def _classes(evaluation, target):
    """The names of a video's class or classes."""
    names = np.array(evaluation.labels)[target]
    return str(names) if np.ndim(target) == 0 else "+".join(names) or "none"


def check_labels(names, first, second):
    """Raises `DatasetError` where two models' labels differ, with the difference.

    Args:
        names: What the error calls the two.
        first: Class names in order.
        second: Those of the other.

    Raises:
        DatasetError: If they are not the same in the same order.
    """
    if tuple(first) == tuple(second):
        return
    pairs = [
        f"class {place} is {one!r} and {two!r}"
        for place, (one, two) in enumerate(zip(first, second, strict=False))
        if one != two
    ]
    if len(first) != len(second):
        pairs.insert(0, f"{len(first)} and {len(second)} of them")
    raise DatasetError(f"{names}: the labels differ: {listed(pairs)}")


def listed(items):
    """The first of some texts in one, and how many more there are.

    Example:

    >>> listed(list("abcdefg"))
    'a, b, c, d, e and 2 more'
    """
    rest = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + rest
