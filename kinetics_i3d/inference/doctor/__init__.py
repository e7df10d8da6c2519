"""The doctor: finds preprocessing mistakes in a video, or in an array made from one.

The most frequent mistakes with I3D are the range of the values, the order of the channels and the
frame rate. Untrusted arrays are examined in a child process, since a megabyte of an `*.npz` can
hold gigabytes of zeros.
"""

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np

from kinetics_i3d.core.child_process import ChildError, call_in_child
from kinetics_i3d.core.clip_spec import DEEPMIND, ClipSpec, as_spec
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.types import PathLike
from kinetics_i3d.inference.doctor.array import SUFFIXES, examine_array, flow_range, read_array
from kinetics_i3d.inference.doctor.compare import compare_flow_with_video, compare_with_video
from kinetics_i3d.inference.doctor.report import Finding, Report
from kinetics_i3d.inference.doctor.video import examine_video
from kinetics_i3d.video import limits
from kinetics_i3d.video.video_frames import VideoFrames, check_video
from kinetics_i3d.weights.read import resolve_weights

# This rule classifies 5 (4 %) of 132 real videos as BGR, and 53 (40 %) after red and blue are
# swapped, so it is only a hint. Sky, shadow and blue floors mislead it.
_MIN_BLUE, _BLUE_TO_WARM = 0.3, 2
_MIN_SIDE = 16  # pixels, for colors to be compared


def examine(
    path: Any,
    *,
    spec: ClipSpec | str = DEEPMIND,
    video: PathLike | VideoFrames | None = None,
    frames: int | None = None,
) -> Report:
    """Checks a video, or an array made from one, for preprocessing mistakes.

    Args:
        path: A video file, `VideoFrames`, or `*.npy` or `*.npz` with a clip.
        spec: The `ClipSpec` of the model that will read it, or its name, such as `"deepmind"`.
        video: For an array, the video that it was made from, which allows many more checks.
        frames: Length of the clips that the model was trained on; `None` if unknown.

    Returns:
        A `Report`.

    Raises:
        ValueError: If `spec` is unknown, or `video` is given and `path` is a video.
        UserError: If the file cannot be read; a `VideoError` if it is a video.

    Example:

    >>> np.save(folder / "clip.npy", np.random.default_rng(0).uniform(0, 1, (9, 224, 224, 3)))
    >>> report = examine(folder / "clip.npy")
    >>> report.has_errors, [f.fix for f in report.findings if f.severity == "error"]
    (True, ['clip * 2 - 1'])
    """
    spec = as_spec(spec)
    if not isinstance(path, (str, os.PathLike)) or not is_array(path):
        path = check_video(path, argument="path")
        if video is not None:
            raise ValueError(f"`video` must be None for a video. Received: video={str(video)!r}")
        rgb = dataclasses.replace(spec, stream="rgb")
        return Report(str(path), "video", spec, tuple(examine_video(path, spec=rgb, frames=frames)))
    path = os.fspath(path)
    findings, sample = examine_array(read_array(path), spec=spec)
    if sample is not None and frames and sample.count < frames:
        actual, expected = f"{sample.count} frames", f"{frames} as in training"
        findings.append(Finding("warning", "length", actual, expected))
    if sample is not None:
        examine_values = _examine_flow if spec.stream == "flow" else _examine_color
        findings += examine_values(sample, findings, spec, video)
    return Report(path, "array", spec, tuple(findings))


def is_array(path):
    """Whether a file is an array by its suffix, rather than a video."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def spec_of_weights(weights):
    """The `ClipSpec` of weights; the release's if the file stores none.

    It comes from the catalog, or from the file. The arrays of an `.h5` or `.safetensors` of this
    package are not read.

    Args:
        weights: A name in the catalog, or a path to weights of any format.

    Raises:
        WeightsError: If the weights are unknown, or cannot be read.
    """
    (source,) = resolve_weights(weights)
    return source.info().clip_spec or DEEPMIND


def looks_blue(frames):
    """Whether pixels (frames, height, width, 3) look as if red and blue were swapped.

    This is the case if far more bright pixels are bluish than reddish: people, earth, wood and
    grass have more red than blue.
    """
    values = np.asarray(frames, np.float32)[:, ::4, ::4]
    light = values.sum(-1)
    tint = 3 * (values[..., 0] - values[..., 2]) / (light + 1)
    bright = light > 90
    blue, warm = ((bright & (sign * tint > 0.2)).mean() for sign in (-1, 1))
    return bool(blue > _MIN_BLUE + _BLUE_TO_WARM * warm)


def _examine_color(sample, findings, spec, video):
    if min(sample.frames.shape[1:3]) < _MIN_SIDE:
        return
    in_range = all(f.severity == "ok" for f in findings if f.topic == "range")
    if video is not None:
        yield from compare_with_video(sample, video, spec=spec, in_range=in_range)
    elif in_range and looks_blue(spec.denormalize(sample.frames)):
        actual = "more blue than in most pictures; the channels may be BGR"
        yield Finding("warning", "channels", actual, "RGB", "check it with --video FILE")


def _examine_flow(sample, findings, spec, video):
    finding, pixels = flow_range(sample.frames, spec)
    yield finding
    if video is not None:
        yield from compare_flow_with_video(sample, pixels, video, spec=spec)


def examine_array_bounded(path, *, spec):
    """Examines `*.npy` or `*.npz` in a child process with limits on time and memory.

    Args:
        path: The file.
        spec: The `ClipSpec` of the model that will read it.

    Returns:
        A `Report`, as from `examine`.

    Raises:
        UserError: As `examine`, or if the check exceeds the limits of the bounded decoder.
    """
    bounds = limits.current_limits()
    try:
        findings = call_in_child(
            f"{__name__}:findings_of",
            str(path),
            spec.to_dict(),
            seconds=bounds.seconds,
            memory=bounds.memory,
            imports=("numpy",),
        )
    except ChildError as error:
        raise UserError(
            f"{path}: the check of the array {error} "
            f"({limits.VARIABLE}=seconds=N,memory=N sets its limits)"
        ) from error
    return Report(str(path), "array", spec, tuple(Finding(**fields) for fields in findings))


def findings_of(path, spec):
    """The findings about an array as dictionaries; runs in the child process.

    `spec` holds the fields of a `ClipSpec`.
    """
    return [dataclasses.asdict(item) for item in examine(path, spec=ClipSpec(**spec)).findings]
