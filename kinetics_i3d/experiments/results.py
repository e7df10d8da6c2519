"""`make_results`: all numbers of the tables, with mean and standard deviation over seeds."""

import collections
import dataclasses
import importlib.metadata
import math
import platform
import statistics

from kinetics_i3d.evaluation.compare import short_name
from kinetics_i3d.experiments.paper import check_hypotheses, paper_number

_FORMAT = 1
_LIBRARIES = ("kinetics-i3d", "keras", "tensorflow", "numpy")


@dataclasses.dataclass(frozen=True)
class Score:
    """Accuracies of a group of runs that differ only in their seed.

    Args:
        top1: Top-1 accuracies in percent of the test videos, one per seed.
        top5: Top-5 accuracies in percent, one per seed.
        seeds: The seeds.
        videos: Number of test videos.
        right: {video: share of the seeds that classified it correctly}, of the videos that all
            runs tested.

    Example:

    >>> score = Score((50.0, 54.0), (90.0, 92.0), (0, 1), 120)
    >>> score.mean, round(score.spread, 2)
    (52.0, 2.83)
    """

    top1: tuple
    top5: tuple
    seeds: tuple
    videos: int
    right: dict = dataclasses.field(default_factory=dict)

    @property
    def mean(self):
        """Mean of `top1`."""
        return statistics.fmean(self.top1)

    @property
    def mean_top5(self):
        """Mean of `top5`."""
        return statistics.fmean(self.top5)

    @property
    def spread(self):
        """Sample standard deviation of `top1`; `None` for a single seed."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None

    @property
    def chance_error(self):
        """Standard error of the mean due to the number of test videos, in percent."""
        share = self.mean / 100
        return 100 * math.sqrt(share * (1 - share) / self.videos)


def correct_videos(report):
    """{name of a video: whether it was classified correctly}, from an evaluation.json.

    The name is the `short_name`, or the whole path where several videos have that name.

    Example:

    >>> correct_videos({"videos_tested": [{"path": "there/sit/a.mp4", "rank": 1}]})
    {'sit/a.mp4': True}
    """
    rows = report["videos_tested"]
    uses = collections.Counter(short_name(row["path"]) for row in rows)
    correct = {}
    for row in rows:
        name = short_name(row["path"])
        correct[row["path"] if uses[name] > 1 else name] = row["rank"] == 1
    return correct


def group_scores(finished, correct):
    """{(system, stream, init, transfer): `Score`} of finished runs.

    `finished` is {run name: content of its cell.json}, `correct` {run name: `correct_videos`}.
    """
    groups = collections.defaultdict(list)
    for name, numbers in finished.items():
        *group, seed = name.split(".")
        groups[tuple(group)].append((int(seed), numbers, correct[name]))
    scores = {}
    for group, rows in groups.items():
        rows.sort(key=lambda row: row[0])
        by_video = [videos for *_, videos in rows]
        tested = set(by_video[0]).intersection(*by_video)
        scores[group] = Score(
            tuple(100 * numbers["top1"] for _, numbers, _ in rows),
            tuple(100 * numbers["top5"] for _, numbers, _ in rows),
            tuple(seed for seed, *_ in rows),
            min(numbers["videos"] for _, numbers, _ in rows),
            {video: statistics.fmean(run[video] for run in by_video) for video in tested},
        )
    return scores


def make_results(plan, finished, failed, *, about, correct):
    """The content of tables.json.

    Args:
        plan: A `Plan`.
        finished: {run name: content of its cell.json}.
        failed: {run name: error message}.
        about: The data and the initial weights: `dataset`, `kind`, `classes`, `training_videos`,
            `test_videos`, `split`, `frames`, `imagenet`, `sources`.
        correct: {run name: `correct_videos`}.

    Returns:
        A JSON-ready dictionary: `format` (1), `versions`, `scale`, `about`; `groups`, for each
        `system`, `stream`, `init` and `transfer` the `seeds` and, in percent, `top1` and `top5` of
        each, `mean`, `spread` (`None` for one seed), `mean_top5`, `chance_error`, and the paper's
        number (`paper`, or `None`); `claims`, see `check_hypotheses`; `cells`, the cell.json of
        each run; `left_out` and `failed`, {name: reason}.
    """
    scores = group_scores(finished, correct)
    groups = []
    for group, score in scores.items():
        names = dict(zip(("system", "stream", "init", "transfer"), group, strict=True))
        groups.append(
            {
                **names,
                "seeds": list(score.seeds),
                "top1": list(score.top1),
                "top5": list(score.top5),
                "mean": score.mean,
                "spread": score.spread,
                "mean_top5": score.mean_top5,
                "chance_error": score.chance_error,
                "paper": paper_number(about["kind"], group),
            }
        )
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return {
        "format": _FORMAT,
        "versions": {"python": platform.python_version(), **versions},
        "scale": {"name": plan.scale.name, "about": plan.scale.about},
        "about": about,
        "groups": groups,
        "claims": check_hypotheses(scores),
        "cells": [finished[job.run.name] for job in plan.jobs if job.run.name in finished],
        "left_out": plan.left_out,
        "failed": failed,
    }
