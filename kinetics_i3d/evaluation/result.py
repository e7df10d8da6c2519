"""`Evaluation`: what a model made of each video of a dataset, and the table of its classes.

Carreira & Zisserman, CVPR 2017, section 2.4: the logits of both streams are added, equal in weight.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import pathlib

import numpy as np
from absl import logging

from kinetics_i3d.core.files import atomic_path, parse_npy
from kinetics_i3d.core.labels import softmax
from kinetics_i3d.evaluation import metrics

BOTH = "both"


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The logits of the videos of a dataset, and all that is measured with them.

    Args:
        labels: Class names.
        paths: The videos that were tested.
        targets: int array (videos,).
        logits: {stream: float32 array (videos, classes)}. What one network makes of both streams
            together is called `"both"`.
        skipped: Messages of videos that could not be read.
        views: Name of the views that were averaged.
        specs: {stream: `ClipSpec`} of the clips.
        digests: {stream: checksum of the weights}, with the keys of `logits`.

    Example:

    >>> found = Evaluation(
    ...     ("sit", "stand"),
    ...     ("a.mp4", "b.mp4"),
    ...     np.array([0, 1]),
    ...     {"rgb": np.array([[2.0, 0.0], [1.0, 0.0]]), "flow": np.array([[1.0, 0.0], [0.0, 4.0]])},
    ... )
    >>> found.summary()["top1"], found.stream("rgb").summary()["top1"]
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

    @functools.cached_property
    def scores(self):
        """float32 array (videos, classes): the sum of the streams' logits."""
        return sum(self.logits.values())

    @functools.cached_property
    def probabilities(self):
        """float64 array (videos, classes)."""
        return softmax(self.scores)

    @property
    def predictions(self):
        """Best class of each video, int array (videos,); of equal ones the first."""
        return self.scores.argmax(axis=1)

    def stream(self, name):
        """The `Evaluation` of one stream alone.

        Args:
            name: One of `logits`.

        Returns:
            An `Evaluation` of the same videos.

        Raises:
            ValueError: If there is no such stream.
        """
        if name not in self.logits:
            raise ValueError(f"`name` must be one of {[*self.logits]}. Received: name={name!r}")
        return dataclasses.replace(
            self,
            logits={name: self.logits[name]},
            specs={name: self.specs[name]} if name in self.specs else self.specs,
            digests={name: self.digests[name]} if name in self.digests else {},
        )

    def only(self, paths):
        """The `Evaluation` of those videos alone whose paths are among `paths`."""
        chosen = set(paths)
        keep = [index for index, path in enumerate(self.paths) if path in chosen]
        return dataclasses.replace(
            self,
            paths=tuple(self.paths[index] for index in keep),
            targets=self.targets[keep],
            logits={stream: logits[keep] for stream, logits in self.logits.items()},
        )

    def summary(self):
        """Counts and accuracies (0 to 1) as a JSON-ready dictionary."""
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

    def confusion(self):
        """int64 array (classes, classes): videos by target and best class."""
        return metrics.confusion_matrix(self.scores, self.targets)

    def mistakes(self, count=24):
        """The wrong predictions that the model was surest of.

        Args:
            count: How many at most.

        Returns:
            A list of rows in the evaluation, the most probable prediction first.
        """
        sure = self.probabilities.max(axis=1)
        wrong = np.flatnonzero(self.predictions != self.targets)
        return wrong[np.argsort(-sure[wrong], kind="stable")][:count].tolist()


@dataclasses.dataclass(frozen=True)
class ClassResult:
    """How one class fared.

    Args:
        label: Its name.
        videos: How many it has.
        right: How many of them were recognised.
        taken_for: {other label: number of its videos}, the most frequent first.
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
        """The label that it was most often taken for, the first of several; None without one."""
        return next(iter(self.taken_for), None)

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return {
            "label": self.label,
            "videos": self.videos,
            "right": self.right,
            "accuracy": self.accuracy,
            "most_frequent_wrong": self.most_frequent_wrong,
            "taken_for": self.taken_for,
        }


def class_results(counts, labels):
    """The table of the classes.

    Args:
        counts: Whole numbers (classes, classes), rows by true class: `Evaluation.confusion()`.
        labels: Class names.

    Returns:
        A list of a `ClassResult` for each class.

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


FORMAT = 1  # a new one when the same network and video would give other logits


class LogitCache:
    """A folder of logits. Several processes may use it at once.

    Args:
        folder: Where; it is made with the first logits.
        depends: JSON-ready dictionary of what all logits asked for depend on beside the video:
            weights, views, specs.
        classes: How many logits a video has.

    Example:

    >>> cache = LogitCache(folder / "logits", depends={"weights": "1234"}, classes=2)
    >>> cache.get({"bytes": 10}) is None
    True
    >>> cache.put({"bytes": 10}, np.array([0.5, 2.0], np.float32))
    >>> cache.get({"bytes": 10})
    array([0.5, 2. ], dtype=float32)
    """

    def __init__(self, folder, *, depends, classes):
        self.folder = pathlib.Path(folder)
        self.classes = classes
        self._depends = {
            "format": FORMAT,
            "version": importlib.metadata.version("kinetics-i3d"),
            **depends,
        }

    def path(self, video):
        """The file of a video's logits.

        Args:
            video: JSON-ready dictionary that the video is known again by: `fingerprint(path)`.

        Returns:
            A `pathlib.Path`, whether there is a file or not.
        """
        text = json.dumps({**self._depends, "video": video}, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.npy"

    def get(self, video):
        """The logits of a video: float32 array (classes,), or None where there are none.

        A damaged file counts as none, and is told in the log.
        """
        path = self.path(video)
        try:
            logits = parse_npy(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            logging.warning("%s: damaged, so computed again (%s)", path, error)
            return None
        if logits.shape != (self.classes,) or logits.dtype != np.float32:
            logging.warning("%s: not %d logits, so computed again", path, self.classes)
            return None
        return logits

    def put(self, video, logits):
        """Keeps the logits of a video, float32 (classes,)."""
        with atomic_path(self.path(video)) as temporary:
            np.save(temporary, logits)
