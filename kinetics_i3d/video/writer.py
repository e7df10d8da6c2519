"""`write_video`: encodes frames as an H.264 file, written atomically.

Encoder: x264 through PyAV, https://pyav.basswood-io.com; 4:2:0, which every player reads.
"""

import fractions
import itertools
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from kinetics_i3d.core import files
from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.types import PathLike

SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".ts")
_CRF = 18  # of x264's 0 to 51; at 18, people see no difference from the source


def write_video(path: PathLike, frames: Iterable[Any], *, fps: float | fractions.Fraction) -> int:
    """Writes frames as an H.264 video; the same frames give the same bytes.

    4:2:0 requires even sizes: an odd height or width is padded by repeating the last row or column,
    so that none is lost; the video is then one pixel larger than the frames.

    Args:
        path: The video. Its suffix chooses the container and is one of `SUFFIXES`. Missing folders
            are created.
        frames: uint8 array (frames, height, width, 3), RGB, 0 to 255, or any iterable of such
            (height, width, 3) frames, all of one size; an iterable is read frame by frame.
        fps: Frames per second, a number or a `fractions.Fraction` (30000/1001 is kept exactly).

    Returns:
        The number of frames written.

    Raises:
        TypeError: If a frame is not uint8.
        ValueError: If `fps` is not above 0, there is no frame, a frame has another shape, or the
            suffix is not supported.

    Example:

    >>> gray = np.full((25, 64, 64, 3), 128, np.uint8)
    >>> write_video(folder / "gray.mp4", gray, fps=25)
    25
    """
    import av

    if pathlib.Path(path).suffix.lower() not in SUFFIXES:
        raise ValueError(f"`path` must end in one of {SUFFIXES}. Received: path={str(path)!r}")
    rate = as_rate(fps)
    checked = _checked(frames)
    first = next(checked, None)
    if first is None:
        raise ValueError("`frames` must hold at least one frame. Received: none")
    # bitexact omits the muxer's version and the time, so that equal frames give equal files.
    exact = {"fflags": "+bitexact"}
    with files.atomic_path(path) as temporary, av.open(str(temporary), "w", options=exact) as out:
        stream = _add_stream(out, first.shape, rate)
        count = 0
        for frame in itertools.chain([first], checked):
            out.mux(stream.encode(_picture(frame, count, rate)))
            count += 1
        out.mux(stream.encode(None))
    return count


def _checked(frames):
    """Yields the frames; raises an error for the first invalid one."""
    shape = None
    for index, frame in enumerate(frames):
        frame = np.asarray(frame)
        if frame.dtype != np.uint8:
            raise TypeError(
                "`frames` must be uint8, 0 to 255. "
                f"Received: frames[{index}] of dtype {frame.dtype}"
            )
        if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(
                "`frames` must be RGB of shape (height, width, 3). "
                f"Received: frames[{index}] of shape {frame.shape}"
            )
        if shape is not None and frame.shape != shape:
            raise ValueError(
                f"`frames` must all have the shape of the first, {shape}. "
                f"Received: frames[{index}] of shape {frame.shape}"
            )
        shape = frame.shape
        yield frame


def _add_stream(out, shape, rate):
    import av

    height, width, _ = shape
    # One thread: x264's output depends on the number of threads, hence on the machine.
    stream = out.add_stream("libx264", rate=rate, options={"crf": str(_CRF), "threads": "1"})
    stream.width, stream.height = width + width % 2, height + height % 2
    stream.pix_fmt = "yuv420p"
    stream.codec_context.time_base = 1 / rate
    # What swscale converts to by default. Without the tag, players assume BT.709 from 720 lines up.
    stream.codec_context.colorspace = av.video.reformatter.Colorspace.ITU601
    stream.codec_context.color_range = av.video.reformatter.ColorRange.MPEG
    return stream


def _picture(frame, index, rate):
    """One RGB array as the encoder's input, padded to even sizes, with its time stamp."""
    import av

    height, width, _ = frame.shape
    if height % 2 or width % 2:
        frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
    picture = picture.reformat(format="yuv420p", threads=1)
    picture.pts, picture.time_base = index, 1 / rate
    return picture
