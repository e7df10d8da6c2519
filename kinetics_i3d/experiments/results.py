"""`results_of`: all numbers of the tables as one dictionary, with the mean and spread over seeds.

The spread is the sample standard deviation; the keys of tables.json are told at `results_of`.
"""

import collections
import dataclasses
import importlib.metadata
import math
import platform
import statistics

from kinetics_i3d.evaluation.compare import short_name
from kinetics_i3d.experiments.paper import claims_of, paper_number
from kinetics_i3d.experiments.runs import Cell

FORMAT = 1
LIBRARIES = ("kinetics-i3d", "keras", "tensorflow", "numpy")


@dataclasses.dataclass(frozen=True)
class Score:
    """Accuracies of a group of cells that differ by their seeds alone.

    Args:
        top1: Percent of the test videos, one for each seed.
        top5: Likewise.
        seeds: Their seeds.
        videos: How many were tested.
        right: {video: share of the seeds that named it rightly}, of videos that all of them tested.

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
        """The mean of `top1`."""
        return statistics.fmean(self.top1)

    @property
    def mean_top5(self):
        """The mean of `top5`."""
        return statistics.fmean(self.top5)

    @property
    def spread(self):
        """The sample standard deviation of `top1`; `None` of a single seed."""
        return statistics.stdev(self.top1) if len(self.top1) > 1 else None

    @property
    def chance_error(self):
        """The standard error that so few test videos leave, in percent."""
        share = self.mean / 100
        return 100 * math.sqrt(share * (1 - share) / self.videos)


def right_of(report):
    """Which videos a cell named rightly.

    Args:
        report: What its evaluation.json holds.

    Returns:
        {`short_name` of a video: whether it was right}.

    Example:

    >>> right_of({"videos_tested": [{"path": "there/sit/a.mp4", "rank": 1}]})
    {'sit/a.mp4': True}
    """
    return {short_name(row["path"]): row["rank"] == 1 for row in report["videos_tested"]}


def scores_of(done, right):
    """Groups finished cells.

    Args:
        done: {name of a cell: what its cell.json holds}.
        right: {name of a cell: what `right_of` gives}.

    Returns:
        {(system, stream, init, transfer): `Score`}.
    """
    groups = collections.defaultdict(list)
    for name, found in done.items():
        *group, seed = name.split(".")
        groups[tuple(group)].append((int(seed), found, right[name]))
    scores = {}
    for group, rows in groups.items():
        rows.sort(key=lambda row: row[0])
        answers = [answer for *_, answer in rows]
        tested = set(answers[0]).intersection(*answers)
        scores[group] = Score(
            tuple(100 * found["top1"] for _, found, _ in rows),
            tuple(100 * found["top5"] for _, found, _ in rows),
            tuple(seed for seed, *_ in rows),
            min(found["videos"] for _, found, _ in rows),
            {video: statistics.fmean(each[video] for each in answers) for video in tested},
        )
    return scores


def results_of(plan, done, failed, *, about, right):
    """All that the tables say.

    Args:
        plan: A `Plan`.
        done: {name of a cell: what its cell.json holds}.
        failed: {name of a cell: why}.
        about: What was trained and tested on: `dataset`, `kind`, `classes`, `training_videos`,
            `test_videos`, `split`, `imagenet`, `sources`.
        right: As for `scores_of`.

    Returns:
        A JSON-ready dictionary: `format` (1), `versions`, `scale`, `about`; `groups`, for each
        `system`, `stream`, `init` and `transfer` the `seeds` and, in percent, `top1` and `top5` of
        each, `mean`, `spread` (`None` of one seed), `mean_top5`, `chance_error`, and the paper's
        number (`paper`, mostly `None`); `claims`, see `claims_of`; `cells`, what the cell.json of
        each holds; `left_out` and `failed`, {what: why}.
    """
    scores = scores_of(done, right)
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
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {
        "format": FORMAT,
        "versions": {"python": platform.python_version(), **versions},
        "scale": {"name": plan.scale.name, "about": plan.scale.about},
        "about": about,
        "groups": groups,
        "claims": claims_of(scores),
        "cells": [done[job.cell.name] for job in plan.jobs if job.cell.name in done],
        "left_out": plan.left_out,
        "failed": failed,
    }


def cell_of(name):
    """The `Cell` of a name."""
    system, stream, init, transfer, seed = name.split(".")
    return Cell(system, stream, init, transfer, int(seed))
