"""Reads a video as a stream of upright RGB frames: `read_frames` and others; and `video_info`.

Frames are sampled by presentation time; `kinetics_i3d.video.sampling` has the rule.
"""

import dataclasses
import fractions
import itertools
import typing
from collections.abc import Generator

import numpy as np

from kinetics_i3d.core import clip_spec, errors
from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.types import PathLike, check_count
from kinetics_i3d.video import painter as pictures
from kinetics_i3d.video.frame_folder import open_source
from kinetics_i3d.video.limits import call_bounded, current_limits, is_bounded, stream_bounded
from kinetics_i3d.video.sampling import at_rate, between, presentation_times
from kinetics_i3d.video.span import split_span
from kinetics_i3d.video.video_frames import VideoFrames, check_video

# Seconds; below this, decoding from the beginning is cheaper than seeking.
_SEEK_FROM = fractions.Fraction(1)
# Seeking uses decoding times, which are up to 16 pictures earlier than presentation times.
_SEEK_EARLIER = fractions.Fraction(1, 2)


@dataclasses.dataclass(frozen=True)
class VideoInfo:
    """The information in a video's header, which may be wrong.

    Args:
        path: The file.
        width: Pixels, as shown.
        height: Pixels, as shown.
        rotation: Clockwise rotation of the stored picture in degrees: 0, 90, 180 or 270.
        fps: Average frames per second.
        duration: Seconds, or None if unknown.
        frames: Number of pictures by the header, or else `duration * fps`; None if neither is
            known.
        codec: The short name of the codec, such as `"h264"`.
    """

    path: str
    width: int
    height: int
    rotation: int
    fps: float
    duration: float | None
    frames: int | None
    codec: str


def video_info(path: PathLike | VideoFrames) -> VideoInfo:
    """Returns a video's size, rate, length and codec from its headers and its first picture.

    Args:
        path: The file, with or without a span (`talk.mp4#t=5,15`), or `VideoFrames`.

    Returns:
        A `VideoInfo`; for a span, with the duration of the span.

    Raises:
        VideoError: If the file is not a video or no picture can be decoded.

    Example:

    >>> info = ki3d.video_info(folder / "video.mp4")
    >>> info.width, info.height, info.fps, info.frames, info.duration
    (320, 240, 25.0, 25, 1.0)
    """
    if is_bounded(check_video(path, argument="path")):
        return VideoInfo(**{**call_bounded(f"{__name__}:_info_fields", path), "path": str(path)})
    return _info(path)


def _info_fields(path):
    return dataclasses.asdict(_info(path))


def _info(path):
    file, span = split_span(check_video(path, argument="path"))
    with open_source(file, threads=1) as source:
        # Rotation is stored with the pictures, whose size may differ from the header's.
        first = next(source.pictures())
        height, width = pictures.upright_size(first)
        transposed, left_right, up_down = pictures.orientation(first)
        if transposed:
            rotation = 90 if left_right else 270
        else:
            rotation = 180 if left_right and up_down else 0
        duration = source.duration if span is None else _length(span, source.duration)
        count = source.claimed if span is None else None
        if not count:
            count = round(duration * source.rate) if duration else None
        return VideoInfo(
            path=str(path),
            width=width,
            height=height,
            rotation=rotation,
            fps=float(source.rate),
            duration=duration,
            frames=count,
            codec=source.codec,
        )


def read_frames(
    path: PathLike | VideoFrames,
    *,
    fps: float | None = None,
    start: float = 0.0,
    stop: float | None = None,
    short_side: int | None = None,
    threads: int = 1,
    resize: str = "short_side",
    interpolation: str = "bilinear",
) -> Generator[np.ndarray, None, None]:
    """Reads the frames of a video one after the other; only a few are in memory at a time.

    With `fps`, frame k is the one nearest in time to `start + k / fps`, or still shown then: a
    video of that rate yields each of its frames once, a slower one repeats some. There are
    `round(fps * seconds)` frames, at least one.

    Frames come as players show them, rotated by their metadata. Interlaced frames stay interlaced,
    alpha is dropped, and non-square pixels stay as stored, as in the release and in OpenCV. If the
    size changes within the video, all frames are resized to the first one's.

    Of a damaged file, everything that can be decoded is returned, and a warning is logged if the
    decoder reports an error; it conceals some errors silently. The file is closed when the
    generator ends, fails, or is closed or dropped.

    Args:
        path: A local file, or a folder of numbered pictures; text or `os.PathLike`. With a span
            (`talk.mp4#t=5,15`) the frames are those of the span, and `start` and `stop` count from
            its beginning. `VideoFrames` work too.
        fps: Frames per second to sample, a number or a fraction; None returns every stored frame.
        start: Seconds from the first picture.
        stop: Seconds from the first picture at which to stop; None reads to the end.
        short_side: Pixels of the smaller side after a resize that keeps the aspect ratio, or of the
            side that `resize` names; None keeps the size.
        threads: Threads of the decoder. Frames do not depend on it, except where a damaged file's
            errors are concealed.
        resize: `"short_side"`, `"height"` or `"stretch"`, as in `ClipSpec`.
        interpolation: `"bilinear"` or `"area_cubic"`, as in `ClipSpec`, both by swscale. Its
            bilinear filter is antialiased.

    Returns:
        A generator of uint8 arrays (height, width, 3), RGB, 0 to 255, which own their memory.

    Raises:
        ValueError: If a number is outside its range.
        VideoError: While reading: if the file is not a video, no picture can be decoded, or the
            video ends before `start`.

    Example:

    >>> frames = read_frames(folder / "video.mp4", fps=25, short_side=256)
    >>> next(frames).shape
    (256, 341, 3)
    >>> frames.close()
    """
    checked = _checked(path, fps, start, stop, short_side, threads, resize, interpolation)
    if is_bounded(path):
        return stream_bounded(f"{__name__}:_frames", *checked)
    return _frames(*checked)


def timed_frames(path, *, fps, pixels=True, **options):
    """Yields (begin, end, frame) for the frames of `read_frames`, seconds as exact fractions.

    Seconds count from the first picture of the file, also for a span of it, and increase. A frame
    begins when its picture is shown; one that repeats a picture begins at its own
    `start + k / fps`. It ends where the next one begins, the last where the video or the span ends.
    Without `pixels` the frames are None, which takes half the time. Other `options` are those of
    `read_frames`.
    """
    arguments = (*_checked(path, fps, **options), pixels)
    if is_bounded(path):
        return stream_bounded(f"{__name__}:_timed_frames", *arguments)
    return _timed_frames(*arguments)


def _checked(
    path,
    fps,
    start=0.0,
    stop=None,
    short_side=None,
    threads=1,
    resize="short_side",
    interpolation="bilinear",
):
    """The arguments of `_frames`, from those of `read_frames`."""
    path, span = split_span(check_video(path, argument="path"))
    rate = None if fps is None else as_rate(fps)
    first = _seconds("start", start)
    last = None if stop is None else _seconds("stop", stop)
    if last is not None and last <= first:
        raise ValueError(
            f"`stop` must be later than `start`. Received: start={start!r}, stop={stop!r}"
        )
    if short_side is not None:
        short_side = check_count("short_side", short_side)
    threads = check_count("threads", threads)
    clip_spec.check_resize(resize, interpolation)
    if span is not None:
        begin, end = span.seconds(rate)
        first += begin
        last = min((time for time in (last and last + begin, end) if time), default=None)
    return path, rate, first, last, (short_side, resize, interpolation), threads


def _length(span, duration):
    if duration is None:
        return None if span.end is None else span.end - span.start
    return span.length(duration)


def _seconds(name, value):
    try:
        exact = isinstance(value, fractions.Fraction)
        seconds = fractions.Fraction(value if exact else float(value)).limit_denominator(1_000_000)
    except (TypeError, ValueError, OverflowError):
        seconds = fractions.Fraction(-1)  # Text, nan, infinity.
    if seconds < 0:
        raise ValueError(f"`{name}` must be seconds, 0 or more. Received: {name}={value!r}")
    return seconds


def _frames(path, rate, start, stop, size, threads):
    painter = pictures.Painter(*size, name=path)
    if stop is not None and stop <= start:
        raise errors.VideoError(f"{path}: the span ends before start={float(start):g} seconds")
    with open_source(path, threads=threads) as source:
        timed = _timed(source, start)
        if rate is None:
            sampled = between(timed, start=start, stop=stop)
        else:
            timed = bounded(timed, path, rate, start, stop)
            sampled = at_rate(timed, fps=rate, start=start, stop=stop)
        before = None
        frame: typing.Any = None
        for picture in sampled:
            # A repeated frame is converted once, and copied, so that frames share no memory.
            frame = frame.copy() if picture is before else painter(picture)
            before = picture
            yield frame
    if frame is None:
        raise errors.VideoError(f"{path}: the video ends before start={float(start):g} seconds")


def _timed_frames(path, rate, start, stop, size, threads, pixels):
    painter = pictures.Painter(*size, name=path)
    if stop is not None and stop <= start:
        raise errors.VideoError(f"{path}: the span ends before start={float(start):g} seconds")
    end = stop  # of the last frame, unless the video ends before it

    def dated(source):
        nonlocal end
        last = start
        for time, length, picture in bounded(_timed(source, start), path, rate, start, stop):
            last = time + length
            yield time, length, (time, picture)
        end = last if stop is None else min(last, stop)

    with open_source(path, threads=threads) as source:
        taken = at_rate(dated(source), fps=rate, start=start, stop=stop)
        half, shown = 1 / rate / 2, None
        waiting: typing.Any = None
        for number, (time, picture) in enumerate(taken):
            tick = start + number / rate
            begin = time if -half <= time - tick < half else tick
            if waiting is not None:
                yield waiting[0], begin, waiting[1]
            frame = None
            if pixels:
                frame = waiting[1].copy() if picture is shown else painter(picture)
            waiting, shown = (begin, frame), picture
    if waiting is None:
        raise errors.VideoError(f"{path}: the video ends before start={float(start):g} seconds")
    yield waiting[0], end, waiting[1]


def bounded(timed, path, rate, start, stop):
    """Yields pictures, and raises `VideoError` if a few would become too many frames."""
    limits, end, count = current_limits(), start, 0

    def check(until):
        until = until if stop is None else min(until, stop)
        limits.check_frames(path, (until - start) * rate, count)

    for time, length, picture in timed:
        count += 1
        check(time)
        end = time + length
        yield time, length, picture
    check(end)


def _timed(source, start):
    """(time, length, picture) from a keyframe at or before `start`, or from the first picture."""
    if start >= _SEEK_FROM and not source.discontinuous:
        first = getattr(next(source.pictures()), source.clock)
        timed = None if first is None else _after_seek(source, start, first)
        if timed is not None:
            return timed
        source.rewind()
    return presentation_times(
        source.pictures(),
        tick=source.tick,
        rate=source.rate,
        clock=source.clock,
        discontinuous=source.discontinuous,
    )


def _after_seek(source, start, first):
    """As `_timed`, by seeking; None if it may not lead to a keyframe at or before `start`."""
    tick = source.tick
    if not source.seek(first + int(max(0, start - _SEEK_EARLIER) / tick)):
        return None
    decoded = source.pictures()
    # Pictures before the keyframe may lack the pictures they were predicted from.
    try:
        decoded = itertools.dropwhile(lambda picture: not picture.key_frame, decoded)
        key = next(decoded, None)
    except errors.VideoError:
        return None
    stamp = getattr(key, source.clock, None)
    if stamp is None or (stamp - first) * tick > start:
        return None
    return presentation_times(
        itertools.chain([key], decoded),
        tick=tick,
        rate=source.rate,
        clock=source.clock,
        first=first,
    )


def spread_frames(path, frames, *, fps, short_side):
    """Returns evenly spaced frames of a video of any length, with only a few in memory at a time.

    Args:
        path: The video.
        frames: Number of frames, 1 or more.
        fps: Frames per second to choose from.
        short_side: Their smaller side in pixels.

    Returns:
        A list of (seconds, uint8 (height, width, 3)): the middles of `frames` equal parts, or all
        frames of a video that has no more than that.

    Raises:
        ValueError: If `frames` is below 1.
        VideoError: If the file cannot be decoded.
    """
    check_count("frames", frames)
    kept, step = [], 1
    for index, frame in enumerate(read_frames(path, fps=fps, short_side=short_side)):
        if index % step == 0:
            kept.append((index / fps, frame))
        # The length is only known at the end, so the spacing doubles while the video is read.
        if len(kept) > 8 * frames:
            kept, step = kept[::2], 2 * step
    if len(kept) <= frames:
        return kept
    return [kept[int((part + 0.5) * len(kept) / frames)] for part in range(frames)]
