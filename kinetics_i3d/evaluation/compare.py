"""`compare`: what changed from one evaluation to another, video by video.

McNemar's test tells whether it is more than chance: Psychometrika 12 (1947).
"""

import collections
import dataclasses
import pathlib

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.evaluation.combine import listed
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
