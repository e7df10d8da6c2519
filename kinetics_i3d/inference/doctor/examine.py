"""`examine`: finds what spoils predictions before a model is asked.

The most frequent mistakes with I3D are those of preprocessing: range, order of channels, rate.
"""

import dataclasses
import os
import pathlib

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.inference.doctor.array import SUFFIXES, examine_array, read_array
from kinetics_i3d.inference.doctor.flow import compare_flow_with_video, examine_flow_range
from kinetics_i3d.inference.doctor.match import compare_with_video
from kinetics_i3d.inference.doctor.report import Finding, Report
from kinetics_i3d.inference.doctor.video import examine_video
from kinetics_i3d.video.source import check_video

# Of 132 real videos this rule takes 5 (4 %) for BGR as they are, and 53 (40 %) with red and blue
# swapped: no more than a hint. Sky, shade and blue floors are what it is wrong about.
BLUE, WARMER = 0.3, 2


def examine(path, *, spec=DEEPMIND, video=None, frames=None):
    """Looks at a video, or at an array that somebody made of one.

    Args:
        path: A video file, `VideoFrames`, or `*.npy` or `*.npz` with a clip.
        spec: The `ClipSpec` of the model that shall read it.
        video: For an array, the video that it was made from; far more can be told with it.
        frames: Length of the clips that the model was trained on; None where nobody knows.

    Returns:
        A `Report`.

    Raises:
        ValueError: If `video` is given for a video.
        UserError: If the file cannot be read; a `VideoError` if it is a video.

    Example:

    >>> np.save(folder / "clip.npy", np.random.default_rng(0).uniform(0, 1, (9, 224, 224, 3)))
    >>> report = examine(folder / "clip.npy")
    >>> report.wrong, [f.mend for f in report.findings if f.severity == "wrong"]
    (True, ['clip * 2 - 1'])
    """
    if not isinstance(path, (str, os.PathLike)) or not is_array(path):
        path = check_video(path)
        if video is not None:
            raise ValueError(f"`video` must be None for a video. Received: video={str(video)!r}")
        rgb = dataclasses.replace(spec, stream="rgb")
        return Report(str(path), "video", spec, tuple(examine_video(path, spec=rgb, frames=frames)))
    path = os.fspath(path)
    findings, sample = examine_array(read_array(path), spec=spec)
    if sample is not None and frames and sample.count < frames:
        found, wants = f"{sample.count} frames", f"{frames} as in training"
        findings.append(Finding("note", "length", found, wants))
    if sample is not None:
        more = _examine_flow if spec.stream == "flow" else _examine_colour
        findings += more(sample, findings, spec, video)
    return Report(path, "array", spec, tuple(findings))


def is_array(path):
    """Whether a file is an array by its name, so that it is not read as a video."""
    return pathlib.Path(path).suffix.lower() in SUFFIXES


def looks_blue(frames):
    """Whether colours are those that pictures have with red and blue swapped: a hint, no proof.

    Args:
        frames: (frames, height, width, 3), pixels of 0 to 255.

    Returns:
        True if far more of what is not dark is bluish than is reddish: people, earth, wood and
        grass have more red than blue.

    Example:

    >>> skin = np.full((1, 8, 8, 3), (200, 150, 120))
    >>> looks_blue(skin), looks_blue(skin[..., ::-1])
    (False, True)
    """
    values = np.asarray(frames, np.float32)[:, ::4, ::4]
    light = values.sum(-1)
    tint = 3 * (values[..., 0] - values[..., 2]) / (light + 1)
    bright = light > 90
    blue, warm = ((bright & (sign * tint > 0.2)).mean() for sign in (-1, 1))
    return bool(blue > BLUE + WARMER * warm)


def _examine_colour(sample, findings, spec, video):
    if min(sample.frames.shape[1:3]) < 16:
        return
    in_range = all(f.severity == "ok" for f in findings if f.topic == "range")
    if video is not None:
        yield from compare_with_video(sample, video, spec=spec, in_range=in_range)
    elif in_range and looks_blue(spec.denormalize(sample.frames)):
        found = "more blue than pictures have as a rule; the channels may be BGR"
        yield Finding("note", "channels", found, "RGB", "--video FILE tells for certain")


def _examine_flow(sample, findings, spec, video):
    finding, pixels = examine_flow_range(sample.frames, spec)
    yield finding
    if video is not None:
        yield from compare_flow_with_video(sample, pixels, video, spec=spec)
