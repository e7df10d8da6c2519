"""`read_streams`: reads the frames of a video and their flow, which is stored or computed.

Flow is read from the file or the pictures stored beside the video if they were computed with the
same spec. Otherwise it is computed while reading, which takes about fifty times as long as
decoding. Frame k has the flow from frame k to k + 1; the last frame has none and is left out.
"""

import contextlib
import fractions
import itertools
import os

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.types import check_seconds
from kinetics_i3d.flow.compute import read_both
from kinetics_i3d.flow.info import CHUNK
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.stored import has_flow_pictures, open_stored, stored_paths
from kinetics_i3d.video.clip import loop_frames
from kinetics_i3d.video.frame_folder import split_rate
from kinetics_i3d.video.header import read_header
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.span import split_span
from kinetics_i3d.video.video_frames import VideoFrames


def read_streams(video, specs, *, start=0, settings=None, workers=None):
    """Reads a video frame by frame, for all streams at once, at the rate of the fastest stream.

    Args:
        video: A path, or `VideoFrames`.
        specs: `StreamSpecs`; rate and resize are used, crop and range are not.
        start: Seconds from the first picture, a number or a `fractions.Fraction`.
        settings: The `FlowSettings` of the flow. None accepts any stored flow, and computes missing
            flow with the default settings.
        workers: Number of pairs whose flow is computed at the same time; None is one per
            processor.

    Returns:
        A generator of {stream: uint8 array (height, width, channels)}: RGB pixels; and quantized
        flow, x then y.

    Raises:
        FlowFileError: If stored flow is damaged, or of another video or other settings.
        ValueError: If `start` is negative.
        VideoError: If the video cannot be decoded, or ends before `start`.
    """
    spec = specs.fastest
    if "flow" not in specs:
        return _read_rgb(video, spec, start)
    check_seconds("start", start)
    start = start if isinstance(start, fractions.Fraction) else float(start)
    first = round(as_rate(spec.fps) * fractions.Fraction(start))
    if specs.one_size:
        return _read_joint(video, spec, specs.streams, settings, first, workers)
    return _read_apart(video, specs, settings, first, workers)


def _read_rgb(video, spec, start):
    frames = read_frames(video, start=start, **spec.reading)
    with contextlib.closing(frames):
        for frame in frames:
            yield {"rgb": frame}


def _read_joint(video, spec, streams, settings, first, workers):
    """Yields the frames, from number `first` on, of streams with the same resize."""
    stored = _open_stored(video, spec, settings)
    if stored is not None:
        yield from _read_stored(video, stored, spec, streams, first)
        return
    settings = FlowSettings() if settings is None else settings
    begin = _seconds(first, spec)
    pairs = read_both(video, spec=spec, settings=settings, start=begin, workers=workers)
    with contextlib.closing(pairs):
        for frame, flow in pairs:
            if flow is not None:
                both = {"rgb": frame, "flow": settings.quantize(flow)}
                yield {stream: both[stream] for stream in streams}


def _read_stored(video, file, spec, streams, first):
    """As `_read_joint`, with the flow of an open file."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(file)
        if first and first >= len(file):
            begin = float(_seconds(first, spec))
            raise VideoError(f"{video}: the video ends before start={begin:g} seconds")
        frames = None
        if "rgb" in streams:
            frames = read_frames(video, start=_seconds(first, spec), **spec.reading)
            stack.enter_context(contextlib.closing(frames))
        # Flow files decode entire chunks, so reading begins at the start of a chunk.
        for begin in range(first - first % CHUNK, len(file), CHUNK):
            quantized = file.quantized(max(begin, first), min(begin + CHUNK, len(file)))
            if frames is None:
                yield from ({"flow": flow} for flow in quantized)
            else:
                for flow, frame in zip(quantized, frames, strict=False):
                    yield {"rgb": frame, "flow": flow}


def _read_apart(video, specs, settings, first, workers):
    """As `_read_joint`, for streams with different resizes, at the rate of flow."""
    spec = specs["flow"]
    reading = specs["rgb"].reading | {"fps": spec.fps, "start": _seconds(first, spec)}
    rgb = read_frames(video, **reading)
    flow = _read_joint(video, spec, ("flow",), settings, first, workers)
    with contextlib.closing(rgb), contextlib.closing(flow):
        for moved, frame in zip(flow, rgb, strict=False):
            yield {"rgb": frame, **moved}


def read_window(video, specs, *, frames, position, settings=None):
    """Reads a window of a video; one that is too short is looped.

    Args:
        video: As for `read_streams`.
        specs: As for `read_streams`.
        frames: Length of the window, in frames of the fastest stream.
        position: 0 for the earliest window, 1 for the latest; with flow, that has flow to its end.
        settings: As for `read_streams`.

    Returns:
        {stream: uint8 array (frames / stride, height, width, channels)}, with the strides of
        `specs.strides`.

    Raises:
        FlowFileError: As `read_streams`.
        VideoError: As `read_streams`, or if the video has a single frame, hence no flow.
    """
    spec, has_flow = specs.fastest, "flow" in specs
    if has_flow:
        spare = max(0, count_frames(video, specs) - frames)
        latest = _seconds(min(spare, int(position * (spare + 1))), spec)
    else:
        latest = max(0.0, duration(video) - frames / spec.fps) * position
    # The header may declare more frames than there are; then position 0 is read.
    for start in sorted({latest, 0}, reverse=True):
        # One worker: training reads windows of several videos at the same time.
        stream = read_streams(video, specs, start=start, settings=settings, workers=1)
        try:
            window = list(itertools.islice(stream, frames))
        except VideoError:
            if not start:
                raise
            continue
        finally:
            stream.close()
        if window:
            steps = specs.strides()
            clip = {name: np.stack([frame[name] for frame in window]) for name in specs}
            return {name: loop_frames(part, frames)[:: steps[name]] for name, part in clip.items()}
    raise no_flow(video)


def no_flow(video):
    """The `VideoError` for a video of one frame."""
    return VideoError(f"{video}: a single frame has no flow; two are needed")


def count_frames(video, specs):
    """The number of frames that `read_streams` yields, by the stored flow or the video's header.

    Raises:
        FlowFileError: If stored flow is damaged.
        VideoError: If the video cannot be opened.
    """
    spec, has_flow = specs.fastest, "flow" in specs
    if has_flow:
        stored = _open_stored(video, specs["flow"])
        if stored is not None:
            with stored:
                return len(stored)
    rate = as_rate(spec.fps)
    file, span = split_span(video)
    count = round(duration(file) * rate)
    if span is not None:
        first, stop = span.ticks(rate)
        count = (count if stop is None else min(stop, count)) - first
    return max(0, count - has_flow)


def duration(video):
    """Seconds of a video or of its span, by the header; 0 if unknown. Nothing is decoded."""
    file, span = split_span(video)
    whole = read_header(file).duration or 0.0
    return whole if span is None or not whole else span.length(whole)


def files_of(video, specs):
    """The existing files that the streams of a video are read from: itself, and stored flow."""
    files = [split_span(video)[0], *(stored_paths(video, specs["flow"]) if "flow" in specs else [])]
    files = [split_rate(file)[0] for file in files]
    return [file for file in files if os.path.exists(file)]


def flow_identity(video, specs):
    """Identifies the flow that `read_streams` yields, by a file's fingerprint or the settings.

    Returns:
        A JSON-ready dictionary.
    """
    stored = _open_stored(video, specs["flow"])
    if stored is None:
        return FlowSettings().to_dict()
    with stored:
        return stored.fingerprint()


def shared_flow_settings(videos, specs):
    """The `FlowSettings` of the first flow stored beside videos; None if there is none.

    The number of videos without stored flow is logged; their flow is computed with these settings.

    Raises:
        FlowFileError: If the first stored flow has another rate or size.
        UserError: If a package that computes flow is missing.
    """
    spec = specs["flow"]
    stored = [video for video in videos if stored_paths(video, spec) or has_flow_pictures(video)]
    if len(stored) < len(videos):
        logging.warning(
            "%d of %d videos have no flow file: their flow is computed during training, which is "
            "slow; kinetics-i3d flow writes the files",
            len(videos) - len(stored),
            len(videos),
        )
    settings = None
    if stored:
        # An error, not a fallback: recomputing the flow of a dataset takes days.
        with open_stored(stored[0], spec=spec, strict=True) as file:
            settings = file.info.settings
    if len(stored) < len(videos):
        chosen = settings or FlowSettings()
        pair_function(chosen.method, chosen.backend)  # reports a missing package once
    return settings


def _open_stored(video, spec, settings=None):
    """The flow stored beside a video; frames in memory have none."""
    if isinstance(video, VideoFrames):
        return None
    return open_stored(video, spec=spec, settings=settings)


def _seconds(frame, spec):
    """The exact time of a frame; sampling from there gives the same frames as from the start."""
    return fractions.Fraction(frame) / as_rate(spec.fps)
