"""Evaluation by the whole-video protocol.

Carreira & Zisserman, CVPR 2017, section 2.5: every frame, centre crop, averaged over time.
"""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from absl import logging

from kinetics_i3d.core.errors import DatasetError, VideoError
from kinetics_i3d.data.views import whole_video
from kinetics_i3d.evaluation import metrics


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model made of a dataset.

    Args:
        labels: Class names.
        paths: The videos that were tested.
        targets: int array (videos,).
        scores: float32 array (videos, classes), logits.
        skipped: Messages of videos that could not be decoded.
    """

    labels: tuple
    paths: tuple
    targets: np.ndarray
    scores: np.ndarray
    skipped: tuple = ()

    def summary(self):
        """Counts and accuracies (0 to 1) as a JSON-ready dictionary."""
        return {
            "videos": len(self.paths),
            "skipped": len(self.skipped),
            "top1": metrics.topk_accuracy(self.scores, self.targets, 1),
            "top5": metrics.topk_accuracy(self.scores, self.targets, 5),
            "mean_class": metrics.mean_class_accuracy(self.scores, self.targets),
        }

    def confusion(self):
        """int64 array (classes, classes): videos by target and best class."""
        return metrics.confusion_matrix(self.scores, self.targets)


def evaluate(model, dataset, *, progress=None):
    """Tests a model on every video of a dataset, whole.

    Args:
        model: A `ClipModel` with logits in the order of `dataset.labels`.
        dataset: A `VideoDataset`.
        progress: Called with the number of videos done.

    Returns:
        An `Evaluation`. Videos that cannot be decoded are logged, listed and left out.

    Raises:
        DatasetError: If the labels or their number differ, or not one video can be decoded.
    """
    if model.output_shape[-1] != len(dataset.labels):
        raise DatasetError(
            f"{dataset.name} has {len(dataset.labels)} classes, the model {model.output_shape[-1]}"
        )
    if model.labels and model.labels != dataset.labels:
        raise DatasetError(
            f"{dataset.name} has the labels {dataset.labels}, the model {model.labels}"
        )
    done, skipped = [], []

    def read(video):
        try:
            views = whole_video(video.path, spec=model.clip_spec, minimum=model.minimum[0])
            return next(views), views
        except VideoError as error:
            return error

    # One video is decoded while another is predicted; long ones are read on as they are predicted.
    with ThreadPoolExecutor(1) as pool:
        ahead = pool.submit(read, dataset.videos[0])
        for number, video in enumerate(dataset.videos):
            result = ahead.result()
            if number + 1 < len(dataset.videos):
                ahead = pool.submit(read, dataset.videos[number + 1])
            if isinstance(result, VideoError):
                logging.warning("skipped: %s", result)
                skipped.append(str(result))
            else:
                first, rest = result
                scores = model.predict_views(view for part in ([first], rest) for view in part)
                done.append((str(video.path), dataset.labels.index(video.label), scores))
            if progress:
                progress(number + 1)
    if not done:
        raise DatasetError(f"{dataset.name}: none of {len(skipped)} videos could be decoded")
    paths, targets, scores = zip(*done, strict=True)
    return Evaluation(dataset.labels, paths, np.array(targets), np.stack(scores), tuple(skipped))
