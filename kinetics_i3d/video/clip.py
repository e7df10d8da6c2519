"""`load_clip`: reads a video file as the input of a model.

The release's recipe: https://github.com/google-deepmind/kinetics-i3d (README, "Sample data and
preprocessing"); looping of short videos: https://arxiv.org/abs/1705.07750, section 2.5.
"""

import itertools
import warnings

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND, ClipSpec, as_spec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.types import PathLike, check_count
from kinetics_i3d.video import reader
from kinetics_i3d.video.video_frames import VideoFrames

_OUTSIDE = 0.5  # brightness outside the center crop


def load_clip(
    path: PathLike | VideoFrames,
    *,
    spec: ClipSpec | str = DEEPMIND,
    start: float = 0.0,
    frames: int | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Reads a video as a batch of one clip, ready for a model.

    Args:
        path: A local video file, or `VideoFrames`.
        spec: A `ClipSpec`, such as `model.clip_spec`, or the name of one.
        start: Seconds from the first picture.
        frames: Number of frames to return. A shorter video is looped as often as needed, as in the
            paper; if `start` leaves too few frames, a warning is issued. None returns all frames to
            the end. Models raise an error for fewer frames than they can read.
        threads: Threads of the decoder.

    Returns:
        float32 array (1, frames, spec.size, spec.size, 3), `spec.low` to `spec.high`: the center
        crop of frames sampled at `spec.fps` and resized as the spec says.

    Raises:
        ValueError: If `spec` is unknown or not for rgb, or a number is outside its range.
        VideoError: If the file is not a video, has no picture that can be decoded, ends before
            `start`, or is too narrow for a spec that only sets the height.

    Example:

    >>> load_clip(folder / "video.mp4", spec="deepmind", frames=16).shape
    (1, 16, 224, 224, 3)
    """
    rgb = _rgb_spec(spec)
    clip = read_clip(path, spec=rgb, start=start, frames=frames, threads=threads)
    return rgb.normalize(clip)[np.newaxis]


def read_clip(path, *, spec=DEEPMIND, start=0.0, frames=None, threads=1):
    """As `load_clip`, but returns pixels: uint8 array (frames, spec.size, spec.size, 3), RGB."""
    spec = _rgb_spec(spec)
    if frames is not None:
        check_count("frames", frames)
    frames_read = reader.read_frames(path, start=start, threads=threads, **spec.reading)
    stream = crop_frames(frames_read, spec=spec, path=path)
    try:
        clip = np.stack(list(itertools.islice(stream, frames)))
    finally:
        stream.close()
    if frames is None:
        return clip
    if start and len(clip) < frames:
        warnings.warn(
            f"{path}: only {len(clip)} frames are left after start={start:g} seconds; they are "
            f"repeated to fill {frames}",
            stacklevel=3,
        )
    return loop_frames(clip, frames)


def crop_frames(frames, *, spec, path):
    """Yields the center crops of a generator of frames, which it closes at the end."""
    try:
        for frame in frames:
            check_width(frame, spec=spec, path=path)
            # A view would keep the whole frame in memory.
            yield center_crop(frame, spec.size).copy()
    finally:
        frames.close()


def check_width(frame, *, spec, path):
    """Raises `VideoError` if a frame is narrower than the crop, as `resize="height"` allows."""
    height, width = frame.shape[:2]
    if width < spec.size:
        raise VideoError(
            f"{path}: {width} pixels wide at a height of {height}, and the spec {spec.name!r} "
            f"crops {spec.size}; use a spec that resizes the short side for portrait videos"
        )


def center_crop(clip, size):
    """A view of the center square of (..., height, width, channels), rounded to the top left."""
    check_count("size", size)
    height, width = np.shape(clip)[-3:-1]
    if size > min(height, width):
        raise ValueError(
            f"`size` must be no more than either side. Received: size={size!r} for a clip of "
            f"shape {np.shape(clip)}"
        )
    top, left = (height - size) // 2, (width - size) // 2
    return clip[..., top : top + size, left : left + size, :]


def loop_frames(clip, frames):
    """Loops or cuts a clip (frames, height, width, channels) to a number of frames."""
    check_count("frames", frames)
    if not len(clip):
        raise ValueError(f"`clip` must hold a frame. Received: shape {np.shape(clip)}")
    if len(clip) == frames:
        return clip
    return clip[np.arange(frames) % len(clip)]


def darken_outside_crop(frame, spec):
    """The frame with everything outside the center crop of `spec` darkened; uint8."""
    height, width, _ = frame.shape
    new_height, new_width = spec.resized(height, width)
    top = round(height * (1 - spec.size / new_height) / 2)
    left = round(width * (1 - spec.size / new_width) / 2)
    shown = (frame * _OUTSIDE).astype(np.uint8)
    inside = (slice(top, height - top), slice(left, width - left))
    shown[inside] = frame[inside]
    return shown


def _rgb_spec(spec):
    """The spec, looked up if it is a name; refuses specs of flow."""
    spec = as_spec(spec)
    if spec.stream != "rgb":
        raise ValueError(
            f"`spec` must be for the rgb stream; load_streams() reads flow. Received: spec={spec!r}"
        )
    return spec
