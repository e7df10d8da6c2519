"""`load_clip`: a video file to the values that a model reads.

The release's recipe: https://github.com/google-deepmind/kinetics-i3d (README, "Sample data and
preprocessing"); looping of short videos: https://arxiv.org/abs/1705.07750, section 2.5.
"""

import difflib
import itertools
import warnings

import numpy as np

from kinetics_i3d.core import clip_spec
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.types import PathLike
from kinetics_i3d.video import reader
from kinetics_i3d.video.source import VideoFrames

OUTSIDE = 0.5  # brightness of what a model does not see


def load_clip(
    path: PathLike | VideoFrames,
    *,
    spec: clip_spec.ClipSpec = clip_spec.DEEPMIND,
    start: float = 0.0,
    frames: int | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Reads a video as a batch of one clip, ready for a model.

    Args:
        path: A local video file, or `VideoFrames`.
        spec: A `ClipSpec`, as models carry theirs (`model.clip_spec`), or the name of one.
        start: Seconds from the first picture.
        frames: How many frames to give. A shorter video is looped as often as needed, as in the
            paper, and a rest of it after `start` with a warning. None gives all to the end; how few
            a model can read is the model's to say.
        threads: Threads of the decoder.

    Returns:
        float32 array (1, frames, spec.size, spec.size, 3), `spec.low` to `spec.high`: the centre
        crop of frames sampled at `spec.fps` and resized as the spec says.

    Raises:
        ValueError: If `spec` is unknown or not for rgb, or a number is out of its range.
        VideoError: If the file is no video, holds no picture that can be decoded, ends before
            `start`, or is too narrow for a spec that sets the height alone.

    Example:

    >>> load_clip(folder / "video.mp4", spec="deepmind", frames=16).shape
    (1, 16, 224, 224, 3)
    """
    spec = _rgb_spec(spec)
    clip = read_clip(path, spec=spec, start=start, frames=frames, threads=threads)
    return spec.normalize(clip)[np.newaxis]


def read_clip(path, *, spec=clip_spec.DEEPMIND, start=0.0, frames=None, threads=1):
    """Reads a video as one clip of pixels; `load_clip` before scaling and batching.

    Args:
        path: A local video file, or `VideoFrames`.
        spec: A `ClipSpec` or the name of one.
        start: Seconds from the first picture.
        frames: How many frames to give, looping a shorter video; None gives all to the end.
        threads: Threads of the decoder.

    Returns:
        uint8 array (frames, spec.size, spec.size, 3), RGB, 0 to 255.

    Raises:
        ValueError: As `load_clip`.
        VideoError: As `load_clip`.

    Example:

    >>> read_clip(folder / "video.mp4").dtype
    dtype('uint8')
    """
    spec = _rgb_spec(spec)
    if frames is not None:
        _check_count("frames", frames)
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
            f"{path}: {len(clip)} frames are left after start={start:g} seconds, and are repeated "
            f"to fill the {frames} that were asked for",
            stacklevel=3,
        )
    return loop_frames(clip, frames)


def crop_frames(frames, *, spec, path):
    """Cuts the middle out of frames, one after the other.

    Args:
        frames: A generator of uint8 arrays (height, width, 3), sized as the spec says; it is closed
            at the end.
        spec: A `ClipSpec`.
        path: The video, to name in an error.

    Yields:
        uint8 arrays (spec.size, spec.size, 3).

    Raises:
        VideoError: If the frames are narrower than the crop.

    Example:

    >>> frames = reader.read_frames(folder / "video.mp4", short_side=256)
    >>> next(crop_frames(frames, spec=clip_spec.DEEPMIND, path="video.mp4")).shape
    (224, 224, 3)
    """
    try:
        for frame in frames:
            # Only `resize="height"` leaves a side that the spec does not bound.
            if frame.shape[1] < spec.size:
                raise VideoError(
                    f"{path}: {frame.shape[1]} pixels wide at a height of {spec.short_side}, and "
                    f"the spec {spec.name!r} crops {spec.size}; one that resizes the short side "
                    "reads upright videos"
                )
            # The copy lets go of the whole frame around the crop.
            yield center_crop(frame, spec.size).copy()
    finally:
        frames.close()


def center_crop(clip, size):
    """Cuts the square in the middle.

    Args:
        clip: Array (..., height, width, channels).
        size: Pixels of the square's side; no more than either side. Where the rest is odd, the
            extra pixel is cut from the bottom and the right.

    Returns:
        A view (..., size, size, channels).

    Raises:
        ValueError: If the square does not fit.

    Example:

    >>> center_crop(np.zeros((4, 256, 341, 3)), 224).shape
    (4, 224, 224, 3)
    """
    _check_count("size", size)
    height, width = np.shape(clip)[-3:-1]
    if size > min(height, width):
        raise ValueError(
            f"`size` must be no more than either side. Received: size={size!r} for a clip of "
            f"shape {np.shape(clip)}"
        )
    top, left = (height - size) // 2, (width - size) // 2
    return clip[..., top : top + size, left : left + size, :]


def loop_frames(clip, frames):
    """Repeats a clip from its beginning until it has a number of frames, or cuts it to that.

    Args:
        clip: Array (any number of frames above 0, height, width, channels).
        frames: How many frames to give.

    Returns:
        Array (frames, height, width, channels).

    Raises:
        ValueError: If there is no frame to repeat.

    Example:

    >>> loop_frames(np.arange(3).reshape(3, 1, 1, 1), 5).ravel()
    array([0, 1, 2, 0, 1])
    """
    _check_count("frames", frames)
    if not len(clip):
        raise ValueError(f"`clip` must hold a frame. Received: shape {np.shape(clip)}")
    if len(clip) == frames:
        return clip
    return clip[np.arange(frames) % len(clip)]


def seen(frame, spec):
    """The frame with all that lies outside the centre crop of `spec` darkened; uint8."""
    height, width, _ = frame.shape
    new_height, new_width = spec.resized(height, width)
    top = round(height * (1 - spec.size / new_height) / 2)
    left = round(width * (1 - spec.size / new_width) / 2)
    shown = (frame * OUTSIDE).astype(np.uint8)
    inside = (slice(top, height - top), slice(left, width - left))
    shown[inside] = frame[inside]
    return shown


def _check_count(name, value):
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"`{name}` must be a whole number above 0. Received: {name}={value!r}")


def _rgb_spec(spec):
    """The spec, looked up if it is a name, and refused if a video does not hold its stream."""
    if isinstance(spec, str):
        if spec not in clip_spec.SPECS:
            near = difflib.get_close_matches(spec, clip_spec.SPECS, cutoff=0.4)
            hint = f" Near: {', '.join(near)}." if near else ""
            raise ValueError(
                f"`spec` must be a ClipSpec or one of {tuple(clip_spec.SPECS)}. "
                f"Received: spec={spec!r}.{hint}"
            )
        spec = clip_spec.SPECS[spec]
    if not isinstance(spec, clip_spec.ClipSpec):
        raise ValueError(
            f"`spec` must be a ClipSpec or one of {tuple(clip_spec.SPECS)}. Received: spec={spec!r}"
        )
    if spec.stream != "rgb":
        raise ValueError(
            "`spec` must be for the rgb stream; clips of flow are not read from videos for now. "
            f"Received: spec={spec!r}"
        )
    return spec
