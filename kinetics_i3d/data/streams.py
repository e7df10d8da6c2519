"""`joint_frames`, `joint_window`: the frames of a video with the codes of their flow.

Flow comes from the file beside the video where there is one by the same spec, else it is computed
on the way, which takes some fifty times as long as decoding. Frame k goes with the flow from frame
k to k + 1, so the last frame has none and is left out.
"""

import contextlib
import fractions
import itertools

import numpy as np

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.flow.compute import read_both
from kinetics_i3d.flow.info import CHUNK
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.stored import open_stored
from kinetics_i3d.video.clip import loop_frames
from kinetics_i3d.video.frame_folder import open_source
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.sampling import as_rate
from kinetics_i3d.video.source import VideoFrames
from kinetics_i3d.video.span import split_span


def joint_frames(path, *, spec, streams, settings=None, start=0, workers=None):
    """Reads a video and its flow, one frame after the other.

    Args:
        path: The video, or `VideoFrames`.
        spec: A `ClipSpec`; its rate and resize are used, its crop and range are not.
        streams: `("rgb", "flow")` or `("flow",)`.
        settings: A `FlowSettings` that the flow must have been, or is, computed and coded by. None
            is any for a flow file, and the release's without one.
        start: The number of the first frame, at the spec's rate.
        workers: Pairs whose flow is computed at once; None is one for each processor.

    Yields:
        {stream: uint8 array (height, width, channels)}: pixels, and codes of flow, x then y.

    Raises:
        FlowFileError: If the flow file is damaged, or not this video's by these settings.
        VideoError: If the file cannot be decoded, or ends before `start`.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> quick = FlowSettings("farneback")
    >>> options = {"spec": DEEPMIND, "streams": ("rgb", "flow"), "settings": quick, "start": 20}
    >>> frames = list(joint_frames(folder / "video.mp4", **options))
    >>> len(frames), frames[0]["flow"].shape
    (4, (256, 341, 2))
    """
    stored = _open_stored(path, spec, settings)
    if stored is not None:
        yield from _stored(path, stored, spec, streams, start)
        return
    settings = FlowSettings() if settings is None else settings
    begin = _seconds(start, spec)
    pairs = read_both(path, spec=spec, settings=settings, start=begin, workers=workers)
    with contextlib.closing(pairs):
        for frame, flow in pairs:
            if flow is not None:
                both = {"rgb": frame, "flow": settings.quantize(flow)}
                yield {stream: both[stream] for stream in streams}


def _stored(path, file, spec, streams, start):
    """As `joint_frames`, with the flow of the file beside the video."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(file)
        frames = None
        if "rgb" in streams:
            frames = read_frames(path, start=_seconds(start, spec), **spec.reading)
            stack.enter_context(contextlib.closing(frames))
        for first in range(start - start % CHUNK, len(file), CHUNK):
            codes = file.quantized(max(first, start), min(first + CHUNK, len(file)))
            if frames is None:
                yield from ({"flow": flow} for flow in codes)
            else:
                for flow, frame in zip(codes, frames, strict=False):
                    yield {"rgb": frame, "flow": flow}


def joint_window(path, *, spec, streams, frames, position, settings=None):
    """Reads a window of a video with its flow, looping one that is too short.

    Args:
        path: As for `joint_frames`.
        spec: As for `joint_frames`.
        streams: As for `joint_frames`.
        frames: Length of the window.
        position: 0 takes the earliest window, 1 the latest of those that have flow to their end.
        settings: As for `joint_frames`.

    Returns:
        {stream: uint8 array (frames, height, width, channels)}, looped alike.

    Raises:
        FlowFileError: As `joint_frames`.
        VideoError: As `joint_frames`, or if the video has a single frame, hence no flow.
    """
    spare = max(0, count_frames(path, spec, flow=True) - frames)
    start = min(spare, int(position * (spare + 1)))
    # Headers may tell of more than there is.
    for first in sorted({start, 0}, reverse=True):
        # One worker: whoever takes windows takes them of several videos at a time.
        stream = joint_frames(
            path, spec=spec, streams=streams, settings=settings, start=first, workers=1
        )
        try:
            taken = list(itertools.islice(stream, frames))
        except VideoError:
            if not first:
                raise
            continue
        finally:
            stream.close()
        if taken:
            clip = {name: np.stack([frame[name] for frame in taken]) for name in streams}
            return {name: loop_frames(part, frames) for name, part in clip.items()}
    raise VideoError(f"{path}: a single frame has no flow; two are needed")


def count_frames(path, spec, *, flow):
    """Tells how many frames there are to take from a video.

    Args:
        path: The video.
        spec: A `ClipSpec`.
        flow: Whether those with flow count alone: all but the last.

    Returns:
        Their number at the spec's rate: that of the flows in the file beside the video, else what
        the header tells.

    Raises:
        FlowFileError: If the flow file is damaged.
        VideoError: If the video cannot be opened.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> count_frames(folder / "video.mp4", DEEPMIND, flow=True)
    24
    """
    if flow:
        stored = _open_stored(path, spec)
        if stored is not None:
            with stored:
                return len(stored)
    rate = as_rate(spec.fps)
    file, span = split_span(path)
    count = round(duration(file) * rate)
    if span is not None:
        first, stop = span.ticks(rate)
        count = (count if stop is None else min(stop, count)) - first
    return max(0, count - flow)


def _open_stored(path, spec, settings=None):
    """The flow file beside a video; none stands beside frames in memory."""
    return (
        None if isinstance(path, VideoFrames) else open_stored(path, spec=spec, settings=settings)
    )


def duration(path):
    """Seconds that a video's header tells, 0 where it does not; nothing is decoded.

    Args:
        path: The video, with a span behind it or not, whose seconds are told then.

    Raises:
        VideoError: If the video cannot be opened.
    """
    file, span = split_span(path)
    with open_source(file, threads=1) as source:
        whole = source.duration or 0.0
    return whole if span is None or not whole else span.length(whole)


def _seconds(frame, spec):
    """The exact time of a frame, so that sampling from there gives those of the whole video."""
    return fractions.Fraction(frame) / as_rate(spec.fps)
