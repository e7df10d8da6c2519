"""`Evaluation`: the logits of every video of a dataset and the metrics computed from them.

The logits of two streams are added with equal weight (Carreira & Zisserman, CVPR 2017, section
2.4). `LogitCache` keeps logits on disk, so that an evaluation can be resumed.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.average_precision import (
    average_precisions,
    hit_at_1,
    mean_average_precision,
)
from kinetics_i3d.core.files import atomic_path, parse_npy
from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.evaluation import metrics

BOTH = "both"
# Part of every key: increment it when the same network and video give different logits.
_CACHE_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The logits of the videos of a dataset.

    Args:
        labels: Class names.
        paths: Paths of the videos tested.
        targets: int array (videos,), or bool array (videos, classes) if a video may have several
            labels or none.
        logits: {stream: float32 array (videos, classes)}. A network that reads both streams at
            once has the single key `"both"`.
        skipped: Error messages of the videos that could not be read.
        views: Name of the views that were averaged.
        specs: {stream: `ClipSpec`}.
        digests: {stream: checksum of the weights}, with the keys of `logits`.

    Example:

    >>> evaluation = Evaluation(
    ...     ("sit", "stand"),
    ...     ("a.mp4", "b.mp4"),
    ...     np.array([0, 1]),
    ...     {"rgb": np.array([[2.0, 0.0], [1.0, 0.0]]), "flow": np.array([[1.0, 0.0], [0.0, 4.0]])},
    ... )
    >>> evaluation.summary()["top1"], evaluation.stream("rgb").summary()["top1"]
    (1.0, 0.5)
    """

    labels: tuple
    paths: tuple
    targets: np.ndarray
    logits: dict
    skipped: tuple = ()
    views: str = "center"
    specs: dict = dataclasses.field(default_factory=dict)
    digests: dict = dataclasses.field(default_factory=dict)

    @property
    def multi_label(self) -> bool:
        """Whether a video may have several labels, or none."""
        return np.ndim(self.targets) == 2

    @functools.cached_property
    def scores(self):
        """float32 (videos, classes): the sum of the streams' logits."""
        return sum(self.logits.values())

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """float64 (videos, classes): softmax of `scores`, or with several labels their sigmoid."""
        return sigmoid(self.scores) if self.multi_label else softmax(self.scores)

    @property
    def predictions(self) -> np.ndarray:
        """Int (videos,): the class with the highest score, the first of equal ones."""
        return self.scores.argmax(axis=1)

    def stream(self, name: str) -> "Evaluation":
        """The `Evaluation` of the single stream `name`; `ValueError` if there is none."""
        if name not in self.logits:
            raise ValueError(f"`name` must be one of {[*self.logits]}. Received: name={name!r}")
        return dataclasses.replace(
            self,
            logits={name: self.logits[name]},
            specs={name: self.specs[name]} if name in self.specs else self.specs,
            digests={name: self.digests[name]} if name in self.digests else {},
        )

    def select(self, paths: Sequence[str]) -> "Evaluation":
        """The `Evaluation` of the videos whose paths are among `paths`, in the order of `self`."""
        chosen = set(paths)
        rows = [row for row, path in enumerate(self.paths) if path in chosen]
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            targets=self.targets[rows],
            logits={stream: logits[rows] for stream, logits in self.logits.items()},
        )

    def summary(self) -> dict[str, Any]:
        """Counts and accuracies (0 to 1) as a JSON-ready dictionary.

        If videos may have several labels: `map`, the mean average precision over the classes that
        have videos, and `hit1`, the share of videos whose highest score is one of their classes.
        """
        if self.multi_label:
            return {
                "videos": len(self.paths),
                "skipped": len(self.skipped),
                "map": mean_average_precision(self.scores, self.targets),
                "hit1": hit_at_1(self.scores, self.targets),
            }
        top1 = metrics.topk_accuracy(self.scores, self.targets, 1)
        videos = len(self.paths)
        return {
            "videos": videos,
            "skipped": len(self.skipped),
            "top1": top1,
            "top5": metrics.topk_accuracy(self.scores, self.targets, 5),
            "mean_class": metrics.mean_class_accuracy(self.scores, self.targets),
            "top1_interval": list(metrics.wilson_interval(round(top1 * videos), videos)),
            "calibration_error": metrics.calibration_error(self.probabilities, self.targets),
        }

    def average_precisions(self):
        """A JSON-ready dictionary for each class, if videos may have several labels.

        The keys are `label`, `videos` and `average_precision` (0 to 1; None without videos).
        """
        precisions = average_precisions(self.scores, self.targets)
        counts = self.targets.sum(axis=0)
        return [
            {
                "label": label,
                "videos": int(count),
                "average_precision": float(precision) if count else None,
            }
            for label, count, precision in zip(self.labels, counts, precisions, strict=True)
        ]

    def confusion(self) -> np.ndarray:
        """int64 (classes, classes): videos by true class (row) and predicted class (column)."""
        return metrics.confusion_matrix(self.scores, self.targets)

    def mistakes(self, count=24):
        """Rows of at most `count` wrong predictions, the most confident first."""
        confidence = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(self.predictions != self.targets)
        return wrong[np.argsort(-confidence[wrong], kind="stable")][:count].tolist()


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """The predictions for the videos of one class.

    Args:
        label: Name of the class.
        videos: Number of its videos.
        right: Number of them that were classified correctly.
        taken_for: {other label: number of videos}, the most frequent first.
    """

    label: str
    videos: int
    right: int
    taken_for: dict

    @property
    def accuracy(self):
        """0 to 1; None without videos."""
        return self.right / self.videos if self.videos else None

    @property
    def most_frequent_wrong(self):
        """The most frequent wrong prediction, the first of equal ones; None without any."""
        return next(iter(self.taken_for), None)

    def to_dict(self):
        """The fields and properties as a JSON-ready dictionary."""
        return {
            "label": self.label,
            "videos": self.videos,
            "right": self.right,
            "accuracy": self.accuracy,
            "most_frequent_wrong": self.most_frequent_wrong,
            "taken_for": self.taken_for,
        }


def class_results(counts, labels):
    """A `ClassResult` for each class of a confusion matrix (true classes in rows).

    Example:

    >>> class_results([[3, 1], [0, 0]], ("sit", "stand"))[0]
    ClassResult(label='sit', videos=4, right=3, taken_for={'stand': 1})
    """
    results = []
    for index, label in enumerate(labels):
        row = np.array(counts[index])
        videos, right = int(row.sum()), int(row[index])
        row[index] = 0
        order = np.argsort(-row, kind="stable")[: np.count_nonzero(row)]
        taken_for = {labels[other]: int(row[other]) for other in order}
        results.append(ClassResult(label, videos, right, taken_for))
    return results


class LogitCache:
    """A folder of logits, one file per video and network; safe with several processes.

    Args:
        folder: The folder, created with the first file.
        depends_on: JSON-ready dictionary of everything except the video that the logits depend on:
            weights, views, specs.
        classes: Number of logits of a video.

    Example:

    >>> cache = LogitCache(folder / "logits", depends_on={"weights": "1234"}, classes=2)
    >>> cache.get({"bytes": 10}) is None
    True
    >>> cache.put({"bytes": 10}, np.array([0.5, 2.0], np.float32))
    >>> cache.get({"bytes": 10})
    array([0.5, 2. ], dtype=float32)
    """

    def __init__(self, folder, *, depends_on, classes):
        self.folder = pathlib.Path(folder)
        self.classes = classes
        self._depends_on = {
            "format": _CACHE_FORMAT,
            "version": importlib.metadata.version("kinetics-i3d"),
            **depends_on,
        }

    def path(self, video):
        """The file for a video, given its fingerprint (a JSON-ready dictionary)."""
        text = json.dumps({**self._depends_on, "video": video}, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, video):
        """The logits of a video, float32 (classes,); None if there is no valid file."""
        path = self.path(video)
        try:
            logits = parse_npy(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logging.warning("%s: damaged, recomputing (%s)", path, error)
            return None
        if logits.shape != (self.classes,) or logits.dtype != np.float32:
            logging.warning("%s: not %d float32 logits, recomputing", path, self.classes)
            return None
        return logits

    def put(self, video, logits):
        """Stores the logits of a video, float32 (classes,)."""
        with atomic_path(self.path(video)) as temporary:
            np.save(temporary, logits)
