"""`VideoFrames`: frames in memory with the interface of a video."""

import fractions
import os
import pathlib
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import DAMAGE, VideoError, first_line


class VideoFrames:
    """Raw frames with their rate, accepted wherever a video file is.

    They are resampled, resized, cropped and scaled like those of a file. Without a resize the
    values are exactly those of a lossless file. With a resize they may differ by a few gray levels:
    the pictures of a decoder are resized before the conversion to RGB, and rounded only once.

    Args:
        frames: uint8 RGB pixels, 0 to 255, (frames, height, width, 3), or (frames, 3, height,
            width) as torchcodec returns them: an array, a tensor, a list or an iterator of
            pictures, or the path of a `*.npy` file, which is mapped into memory. OpenCV's frames
            are BGR; convert them with `frame[..., ::-1]`.
        fps: Frames per second, a number or a fraction.
        name: The name in errors and results.

    Raises:
        ValueError: If the frames are not pixels, or the rate is not above 0.
        VideoError: If a path holds no array.

    Example:

    >>> webcam = [np.zeros((240, 320, 3), np.uint8)] * 32
    >>> ki3d.load_clip(ki3d.VideoFrames(webcam, fps=30)).shape
    (1, 27, 224, 224, 3)
    """

    def __init__(
        self, frames: Any, *, fps: float | fractions.Fraction, name: str = "frames in memory"
    ) -> None:
        if isinstance(frames, (str, os.PathLike)):
            name = os.fspath(frames)
            frames = _read(pathlib.Path(frames))
        self.frames = _checked(frames)
        self.fps = as_rate(fps)
        self.name = name

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __str__(self):
        return self.name

    def __repr__(self):
        count, height, width, _ = self.frames.shape
        return f"VideoFrames({count} frames of {width}x{height}, fps={float(self.fps):g})"

    @property
    def duration(self):
        """Seconds."""
        return float(len(self) / self.fps)

    def stream(self):
        """The attributes of a file's video stream that `Source` reads."""
        codec = types.SimpleNamespace(canonical_name="raw frames")
        return types.SimpleNamespace(
            time_base=1 / self.fps,
            frames=len(self),
            codec_context=types.SimpleNamespace(codec=codec),
        )

    def pictures(self):
        """Yields `av.VideoFrame`s with their number as time stamp."""
        from av import VideoFrame

        for number, frame in enumerate(self.frames):
            picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts = number
            yield picture


def check_video(video, *, argument="video"):
    """Returns a path as text and `VideoFrames` unchanged; `ValueError` for anything else."""
    if isinstance(video, VideoFrames):
        return video
    if isinstance(video, (str, os.PathLike)):
        path = os.fspath(video)
        if isinstance(path, str) and path.lower().endswith(".npy"):
            raise ValueError(
                f"`{argument}` must have a frame rate: VideoFrames({path!r}, fps=25). "
                f"Received: {argument}={path!r}"
            )
        return path
    shape = getattr(video, "shape", None)
    if shape is not None or isinstance(video, (list, tuple)):
        hint = "; frames in memory need their rate: VideoFrames(frames, fps=25)"
    elif hasattr(video, "read"):
        hint = "; open files cannot be read; give the path"
    else:
        hint = ""
    received = type(video).__name__ if shape is None else f"shape={tuple(shape)}"
    raise ValueError(f"`{argument}` must be a path or VideoFrames{hint}. Received: {received}")


def _checked(frames):
    """The frames as a uint8 array (frames, height, width, 3)."""
    if hasattr(frames, "asnumpy"):  # decord
        frames = frames.asnumpy()
    if isinstance(frames, Iterator):  # such as what `read_frames` returns
        frames = list(frames)
    if isinstance(frames, (list, tuple)):
        shapes = {np.shape(frame) for frame in frames}
        if len(shapes) > 1:
            raise ValueError(
                f"`frames` must be pictures of one size. Received: shapes {sorted(shapes)[:3]}"
            )
    array = np.asanyarray(frames)
    if array.ndim == 4 and array.shape[-1] != 3 and array.shape[1] == 3:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] != 3 or not array.size or array.dtype != np.uint8:
        raise ValueError(
            "`frames` must be uint8 RGB pixels, 0 to 255, (frames, height, width, 3). "
            f"Received: dtype={array.dtype}, shape={array.shape}"
        )
    return array


def _read(path):
    try:
        frames = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(frames, np.ndarray):
            frames.close()
            raise ValueError("an archive of arrays")
        return frames
    except FileNotFoundError as error:
        raise VideoError(f"{path}: there is no such file") from error
    except DAMAGE as error:
        raise VideoError(
            f"{path}: not an array written by np.save ({first_line(error)})"
        ) from error
