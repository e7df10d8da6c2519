"""`optical_flow`, `flow_stream`: the flow from each frame of a video to the next.

A pool of threads over the pairs, one thread a pair: the programs need no Python while they work.
"""

import collections
import concurrent.futures
import functools
from collections.abc import Iterable

import numpy as np
from absl import logging

from kinetics_i3d.core.processors import usable_processors
from kinetics_i3d.flow.backends import pair_function
from kinetics_i3d.flow.grey import to_grey
from kinetics_i3d.flow.parameters import TVL1

SMALLEST = 16  # pixels of a side; the pyramid has no smaller picture either


def optical_flow(
    frames, *, method="tvl1", backend=None, parameters=None, workers=None, progress=None
):
    """Computes the flow of all pairs of neighbouring frames.

    Args:
        frames: uint8 array (frames, height, width, 3), RGB, or (frames, height, width, 1), grey,
            0 to 255; two frames or more, of 16 pixels or more each way. Or an iterable of such
            frames, as `read_frames` gives them.
        method: `"tvl1"`, as the networks' weights expect it. `"dis"` and `"farneback"` are quick,
            need OpenCV, and err by more than most things move.
        backend: What computes TV-L1: `"numba"`, `"tensorflow"` (slower; compiles for every size
            of frame) or `"opencv"` (slowest). None takes Numba where it is installed, and else
            TensorFlow. They differ as two runs of OpenCV on frames with a little noise do: by
            some 0.01 pixels on average.
        parameters: A `TVL1`; None is OpenCV's defaults. For TV-L1 only.
        workers: Pairs worked on at once, a thread each; None is one for each processor. They
            change no value.
        progress: Called with (pairs done, pairs in all) after each pair.

    Returns:
        float32 array (frames - 1, height, width, 2), pixels, x (to the right) then y (down):
        `flow[i]` is where the pixels of `frames[i]` have gone in `frames[i + 1]`.

    Raises:
        UserError: If a package is missing; the line says which.
        ValueError: If an argument is wrong.

    Example:

    >>> frames = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), np.uint8)
    >>> optical_flow(frames, parameters=TVL1(scales=1)).shape
    (2, 32, 48, 2)
    """
    if isinstance(frames, Iterable) and not hasattr(frames, "shape"):
        frames = list(frames)
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
    """Computes the flow of a video of any length, frame after frame.

    At most `2 * workers` pairs are held. Closing or dropping the generator, an error or Ctrl-C
    ends it as soon as the pairs are done that are being worked on.

    Args:
        frames: Iterable of uint8 arrays (height, width, 3), RGB, or (height, width, 1), grey, such
            as `read_frames` gives; read as they are needed, in the caller's thread.
        method: As for `optical_flow`.
        backend: As for `optical_flow`.
        parameters: As for `optical_flow`.
        workers: As for `optical_flow`.

    Returns:
        A generator of float32 arrays (height, width, 2), one fewer than frames.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is wrong; for a frame, while reading.

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
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(f"`workers` must be a whole number above 0. Received: workers={workers!r}")
    program = functools.partial(pair_function(method, backend), parameters=parameters)
    if parameters == TVL1.fast():
        logging.warning("TVL1.fast() errs where things move fast, by a pixel and more in places")
    return _stream(_grey_frames(frames), program, workers)


def _stream(greys, program, workers):
    pending: collections.deque = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(workers, thread_name_prefix="flow")
    try:
        first = next(greys, None)
        for second in greys:
            pending.append(pool.submit(program, first, second))
            first = second
            if len(pending) == 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _grey_frames(frames):
    """Yields grey pictures and stops with a sentence at the first frame that does not fit."""
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
                f"`frames` must be of shape (height, width, 1 or 3), {SMALLEST} pixels or more "
                f"each way. Received: frames[{index}] of shape {frame.shape}"
            )
        if shape is not None and frame.shape != shape:
            raise ValueError(
                f"`frames` must all have the shape of the first, {shape}. "
                f"Received: frames[{index}] of shape {frame.shape}"
            )
        shape = frame.shape
        yield to_grey(frame)
