"""`calibration_clips`: clips of real videos, by which the ranges of a network's numbers are found.

Jacob et al., CVPR 2018, section 3: a hundred clips are enough, if they are such as it was trained
on.
"""

import os
import pathlib
import random

import numpy as np

from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.progress import track
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.views import video_views

CLIPS = 64


def check_precision(precision, calibration, known):
    """Raises `ValueError` where a precision is unknown, or is not the one that is calibrated.

    Args:
        precision: What is asked for.
        calibration: The videos, or `None`.
        known: The precisions of the format.
    """
    if precision not in known:
        raise ValueError(f"`precision` must be one of {known}. Received: precision={precision!r}")
    if (calibration is not None) != (precision == "int8"):
        raise ValueError(
            "`calibration` must be given for precision='int8', and left out for others. "
            f"Received: precision={precision!r}, calibration={calibration!r}"
        )


def calibration_clips(videos, model, sizes, *, count=CLIPS, seed=0):
    """Reads the first clip of each of some videos, as the model reads it.

    Args:
        videos: Whatever `open_dataset` reads, of which the split `"train"` counts if there is one;
            or paths of videos, all of which count.
        model: A `ClipModel`.
        sizes: {stream: (1, frames, height, width, channels)} of the clips.
        count: How many videos of a dataset.
        seed: Chooses them.

    Yields:
        {stream: float32 array of its size}, in the range of its spec; short videos are looped.

    Raises:
        DatasetError: If a dataset cannot be read.
        ExportError: If there is no video, or the model reads clips of another size than its spec.
        VideoError: If a video cannot be read.

    Example:

    >>> clips = calibration_clips([folder / "video.mp4"], model, {"rgb": (1, 9, 224, 224, 3)})
    >>> [clip["rgb"].shape for clip in clips]
    [(1, 9, 224, 224, 3)]
    """
    if isinstance(videos, str | os.PathLike):
        videos = _training_videos(pathlib.Path(videos), count, seed)
    videos = list(videos)
    if not videos:
        raise ExportError("no videos to calibrate by; some that it was trained on are needed")
    window = max(size[1] for size in sizes.values())
    streams = (*model.clip_specs,)
    for path in track(videos, "calibration", total=len(videos), noun="videos"):
        views = video_views(
            path, spec=model.clip_specs, streams=streams, minimum=window, window=window
        )
        clips, _ = next(views)
        views.close()
        clips = clips if isinstance(clips, dict) else {streams[0]: clips}
        for stream, clip in clips.items():
            if clip.shape != tuple(sizes[stream]):
                raise ExportError(
                    f"{path}: a clip of {stream} is of shape {clip.shape}, where the model reads "
                    f"{tuple(sizes[stream])}"
                )
        yield {stream: np.asarray(clips[stream], np.float32) for stream in streams}


def _training_videos(path, count, seed):
    dataset = open_dataset(path)
    if any(video.split == "train" for video in dataset.videos):
        dataset = dataset.split("train")
    videos = sorted(video.location for video in dataset.videos)
    return random.Random(seed).sample(videos, min(count, len(videos)))
