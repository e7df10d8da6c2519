"""`optical_flow`, `read_flow`: flow from each frame to the next, of frames or of a video file.

A pool of threads works on the pairs of frames, one thread per pair: the methods release Python's
lock while they compute.
"""

import collections
import concurrent.futures
import contextlib
import functools
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.threads import usable_processors
from kinetics_i3d.core.types import check_count
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import TVL1, FlowSettings
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.video_frames import VideoFrames

SMALLEST = 16  # pixels of a side; TV-L1's pyramid has no smaller level either

# ITU-R BT.601's weights of R', G', B', in the fixed point of OpenCV's `cvtColor`; bit-exact.
_SHIFT = 15
_RED, _GREEN = round(0.299 * 2**_SHIFT), round(0.587 * 2**_SHIFT)
_BLUE = 2**_SHIFT - _RED - _GREEN  # 0.114, rounded so that white stays white


def optical_flow(
    frames: Any,
    *,
    method: str = "tvl1",
    backend: str | None = None,
    parameters: Any = None,
    workers: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> np.ndarray:
    """Computes the flow of all pairs of consecutive frames.

    Args:
        frames: uint8 array (frames, height, width, 3), RGB, or (frames, height, width, 1), gray,
            0 to 255; at least two frames, of at least 16 pixels per side. An iterable of such
            frames, as `read_frames` returns, and `VideoFrames` work too.
        method: `"tvl1"`, which the networks' weights expect. `"dis"` and `"farneback"` are fast and
            need OpenCV; their errors are larger than most motion.
        backend: What computes TV-L1: `"numba"`, `"tensorflow"` (slower; compiles for every frame
            size) or `"opencv"` (slowest). None means Numba where it is installed and TensorFlow
            otherwise. Backends differ by about 0.01 pixels on average, as much as two runs of
            OpenCV on frames with a little noise.
        parameters: A `TVL1`; None means OpenCV's defaults. For TV-L1 only.
        workers: Number of pairs computed at once, one thread each; None means one per processor.
            The flow does not depend on it.
        progress: Called with (pairs done, pairs in total) after each pair.

    Returns:
        float32 array (frames - 1, height, width, 2), in pixels, x (to the right) then y (down):
        `flow[i]` is how far the pixels of `frames[i]` move until `frames[i + 1]`.

    Raises:
        UserError: If a package is missing; the message names it.
        ValueError: If an argument is outside its range.

    Example:

    >>> frames = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    >>> optical_flow(frames, parameters=TVL1(scales=1)).shape
    (2, 32, 48, 2)
    """
    if isinstance(frames, VideoFrames):
        frames = frames.frames
    if isinstance(frames, (str, os.PathLike)):
        raise ValueError(
            f"`frames` must be frames, such as read_frames(path). Received: frames={frames!r}"
        )
    if isinstance(frames, Iterable) and not hasattr(frames, "shape"):
        frames = [np.asarray(frame) for frame in frames]
        for number, frame in enumerate(frames):
            if frame.shape != frames[0].shape:
                raise ValueError(
                    f"`frames` must have one shape, {frames[0].shape}. "
                    f"Received: frames[{number}] of shape {frame.shape}"
                )
    frames = np.asarray(frames)
    if frames.ndim != 4 or len(frames) < 2:
        raise ValueError(
            "`frames` must be two frames or more, (frames, height, width, 1 or 3). "
            f"Received: frames of shape {frames.shape}"
        )
    pairs = len(frames) - 1
    stream = flow_stream(
        frames, method=method, backend=backend, parameters=parameters, workers=workers
    )
    flows = np.empty((pairs, *frames.shape[1:3], 2), np.float32)
    for index, flow in enumerate(stream):
        flows[index] = flow
        if progress is not None:
            progress(index + 1, pairs)
    return flows


def flow_stream(frames, *, method="tvl1", backend=None, parameters=None, workers=None):
    """Computes the flow of a video of any length, frame by frame.

    At most `2 * workers` pairs are in memory. Closing or dropping the generator, an error or Ctrl-C
    ends it once the pairs being computed are done.

    Args:
        frames: Iterable of uint8 arrays (height, width, 3), RGB, or (height, width, 1), gray; read
            as they are needed, in the caller's thread.
        method: As for `optical_flow`.
        backend: As for `optical_flow`.
        parameters: As for `optical_flow`.
        workers: As for `optical_flow`.

    Returns:
        A generator of float32 arrays (height, width, 2), one fewer than frames.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is outside its range; for a frame, while reading.

    Example:

    >>> frames = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    >>> [flow.shape for flow in flow_stream(iter(frames), parameters=TVL1(scales=1))]
    [(32, 48, 2), (32, 48, 2)]
    """
    if parameters is not None and method != "tvl1":
        raise ValueError(
            f"`parameters` must be None for method={method!r}. Received: parameters={parameters!r}"
        )
    if parameters is None:
        parameters = TVL1()
    if not isinstance(parameters, TVL1):
        raise ValueError(f"`parameters` must be a TVL1. Received: parameters={parameters!r}")
    if workers is None:
        workers = usable_processors()
    check_count("workers", workers)
    function = functools.partial(pair_function(method, backend), parameters=parameters)
    if parameters == TVL1.fast():
        logging.warning("TVL1.fast() is wrong by a pixel or more where motion is fast")
    return _stream(_gray_frames(frames), function, workers)


def _stream(grays, function, workers):
    pending: collections.deque = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="flow")
    try:
        first = next(grays, None)
        for second in grays:
            pending.append(pool.submit(function, first, second))
            first = second
            if len(pending) == 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _gray_frames(frames):
    """Yields gray pictures; raises an error for the first invalid frame."""
    shape = None
    for index, frame in enumerate(frames):
        frame = np.asarray(frame)
        if frame.dtype != np.uint8:
            raise ValueError(
                "`frames` must be uint8, 0 to 255. "
                f"Received: frames[{index}] of dtype {frame.dtype}"
            )
        if frame.ndim != 3 or frame.shape[2] not in (1, 3) or min(frame.shape[:2]) < SMALLEST:
            raise ValueError(
                f"`frames` must be of shape (height, width, 1 or 3), with at least {SMALLEST} "
                f"pixels per side. Received: frames[{index}] of shape {frame.shape}"
            )
        if shape is not None and frame.shape != shape:
            raise ValueError(
                f"`frames` must all have the shape of the first, {shape}. "
                f"Received: frames[{index}] of shape {frame.shape}"
            )
        shape = frame.shape
        yield to_gray(frame)


def to_gray(frames):
    """Converts uint8 RGB frames (..., 3) to gray levels (...); (..., 1) is gray already."""
    frames = np.asarray(frames)
    if frames.shape[-1] == 1:
        return frames[..., 0]
    red, green, blue = (frames[..., channel].astype(np.int32) for channel in range(3))
    total = _RED * red + _GREEN * green + _BLUE * blue
    return ((total + 2 ** (_SHIFT - 1)) >> _SHIFT).astype(np.uint8)


def read_flow(path, *, spec=DEEPMIND_FLOW, settings=None, start=0.0, workers=None):
    """Computes the flow of a video while it is decoded.

    As in the I3D release, flow is computed from the resized frames. They are not cropped, since
    flow near the edges of a crop would be different.

    Args:
        path: A local video file.
        spec: A `ClipSpec` of either stream: how frames are sampled and resized.
        settings: A `FlowSettings`; None means those of the release.
        start: Seconds from the first picture.
        workers: As for `optical_flow`.

    Returns:
        A generator of float32 arrays (height, width, 2), as `optical_flow` returns, not clipped,
        one fewer than frames. Closing it closes the video and ends the threads.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is outside its range.
        VideoError: While reading: as `read_frames`; or if the frames are too small for flow, or
            change their shape.

    Example:

    >>> quick = FlowSettings(parameters=TVL1(scales=1, warps=1))
    >>> flows = read_flow(folder / "video.mp4", settings=quick, start=0.9)
    >>> [flow.shape for flow in flows]
    [(256, 341, 2), (256, 341, 2)]
    """
    both = read_both(path, spec=spec, settings=settings, start=start, workers=workers)
    return _flows(both)


def read_both(path, *, spec=DEEPMIND_FLOW, settings=None, start=0.0, workers=None):
    """As `read_flow`, with the frames: yields (frame, flow); the flow of the last frame is None.

    The video is decoded once. About `2 * workers` frames are in memory.
    """
    settings = FlowSettings() if settings is None else settings
    if spec.short_side < SMALLEST:
        raise ValueError(
            f"`spec` must resize to {SMALLEST} pixels or more for flow. Received: spec={spec!r}"
        )
    frames = read_frames(path, start=start, **spec.reading)
    return flow_of_frames(_of_one_shape(frames, path), settings=settings, workers=workers)


def flow_of_frames(frames, *, settings=None, workers=None):
    """As `read_both`, for an iterable of uint8 RGB frames; a generator is closed at the end."""
    settings = FlowSettings() if settings is None else settings
    waiting: collections.deque = collections.deque()
    stream = flow_stream(
        _remember(frames, waiting),
        method=settings.method,
        backend=settings.backend,
        parameters=settings.parameters,
        workers=workers,
    )
    return _paired(frames, stream, waiting)


def _remember(frames, waiting):
    for frame in frames:
        waiting.append(frame)
        yield frame


def _paired(frames, stream, waiting):
    with contextlib.ExitStack() as stack:
        if hasattr(frames, "close"):
            stack.callback(frames.close)
        stack.callback(stream.close)
        for flow in stream:
            yield waiting.popleft(), flow
        for frame in waiting:
            yield frame, None


def _flows(both):
    with contextlib.closing(both):
        for _, flow in both:
            if flow is not None:
                yield flow


def _of_one_shape(frames, path):
    """Yields the frames of a video; raises an error if flow cannot be computed from them."""
    first = None
    with contextlib.closing(frames):
        for index, frame in enumerate(frames):
            height, width = frame.shape[:2]
            if min(height, width) < SMALLEST:
                raise VideoError(
                    f"{path}: {width} x {height} pixels after the resize; flow needs at least "
                    f"{SMALLEST} per side"
                )
            if first is None:
                first = height, width
            if (height, width) != first:
                raise VideoError(
                    f"{path}: frame {index} is {width} x {height} pixels after the resize, those "
                    f"before it {first[1]} x {first[0]}; flow needs frames of one size"
                )
            yield frame
