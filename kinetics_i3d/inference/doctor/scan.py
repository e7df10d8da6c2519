"""Reads a video once for the doctor: its times, sizes, borders and damage."""

import dataclasses
import itertools

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.frame_folder import FrameFolder, is_folder
from kinetics_i3d.video.limits import call_bounded, is_bounded
from kinetics_i3d.video.painter import orientation, upright_size
from kinetics_i3d.video.sampling import at_rate, presentation_times
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.span import split_span

_MAX_PICTURES = 1500  # a minute at 25 fps
_SIDE = 160  # pixels of the longer side of the pictures that are measured
_BLACK = 24  # of 255; noise and compression lift black to this
_MIN_BAR = 0.02  # of a side; thinner borders come from the encoder


@dataclasses.dataclass(frozen=True)
class _VideoScan:
    """The results of `scan`.

    Args:
        codec: The codec's short name.
        pixels: The pixel format.
        depth: Bits per sample.
        height, width: Size of a picture as it is shown.
        rotation: Degrees clockwise by which stored pictures are turned.
        tick: The time base, a fraction.
        fps: Frames per second by the header.
        header_frames: Number of frames by the header, 0 if it has none.
        duration: Seconds by the header, or `None`.
        is_part: Whether a part of the file was read; its first picture may have begun before it.
        timed: (exact start in seconds, length in seconds, `None`) of each picture.
        whole: Whether the file was read to its end.
        interlaced: Number of pictures that consist of two fields.
        damage: The messages of the decoder.
        bars: (top, bottom, left, right) black borders, as fractions of the sides.
        means, contrasts: Mean and deviation of each picture's brightness, 0 to 255.
        still: For each picture, whether it equals the one before.
    """

    codec: str
    pixels: str
    depth: int
    height: int
    width: int
    rotation: int
    tick: object
    fps: float
    header_frames: int
    duration: float | None
    is_part: bool
    timed: tuple
    whole: bool
    interlaced: int
    damage: tuple
    bars: tuple
    means: np.ndarray
    contrasts: np.ndarray
    still: np.ndarray

    @property
    def times(self):
        """Seconds at which the pictures are shown, float64."""
        return np.array([float(time) for time, _, _ in self.timed])

    def count_at(self, fps):
        """Number of frames sampled from the pictures at a rate."""
        return sum(1 for _ in at_rate(self.timed, fps=as_rate(fps)))


class _DamageRecorder:
    """A source that collects the decoder's messages instead of logging the first."""

    def __init__(self, path):
        self.damage = []
        super().__init__(path, threads=1)  # type: ignore[call-arg]

    def _log(self, reason):
        self.damage.append(reason)


class _RecordingFile(_DamageRecorder, Source):
    """A `Source` that collects the decoder's messages."""


class _RecordingFolder(_DamageRecorder, FrameFolder):
    """A `FrameFolder` that collects the decoder's messages."""


def scan(path, *, limit=_MAX_PICTURES):
    """Decodes a video and measures its pictures, small and gray.

    Args:
        path: A file or a folder of frames, optionally followed by a span.
        limit: Maximum number of pictures to measure.

    Returns:
        A `_VideoScan`.

    Raises:
        VideoError: If the file is not a video or no picture can be decoded.
    """
    if is_bounded(path):
        return _VideoScan(**call_bounded(f"{__name__}:_scan_fields", path, limit))
    return _scan(path, limit)


def _scan_fields(path, limit):
    return dataclasses.asdict(_scan(path, limit))


def _scan(path, limit):
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    shown, means, contrasts, still = [], [], [], []
    interlaced, brightest, before = 0, None, None
    file, span = split_span(path)
    recorder = _RecordingFolder if is_folder(file) else _RecordingFile
    with recorder(file) as source:
        timed = presentation_times(
            source.pictures(),
            tick=source.tick,
            rate=source.rate,
            clock=source.clock,
            discontinuous=source.discontinuous,
        )
        timed = _within(timed, span, path)
        first = None
        for time, length, picture in itertools.islice(timed, limit):
            if first is None:
                first = picture
                scale = min(1.0, _SIDE / max(picture.height, picture.width))
                width, height = (
                    max(2, round(side * scale)) for side in (picture.width, picture.height)
                )
            gray = reformatter.reformat(
                picture, width, height, format="gray", threads=1
            ).to_ndarray()
            interlaced += bool(picture.interlaced_frame)
            shown.append((time, length, None))
            means.append(gray.mean())
            contrasts.append(gray.std())
            still.append(before is not None and np.array_equal(gray, before))
            brightest = gray.copy() if before is None else np.maximum(brightest, gray)
            before = gray
        whole = next(timed, None) is None
        height, width = upright_size(first)
        rotation = _degrees(*orientation(first))
        return _VideoScan(
            codec=source.codec,
            pixels=first.format.name,
            depth=first.format.components[0].bits,
            height=height,
            width=width,
            rotation=rotation,
            tick=source.tick,
            fps=float(source.rate),
            header_frames=0 if span else source.claimed,
            duration=span.length(source.duration) if span and source.duration else source.duration,
            is_part=span is not None,
            timed=tuple(shown),
            whole=whole,
            interlaced=interlaced,
            damage=tuple(source.damage),
            bars=_black_bars(np.rot90(brightest, -rotation // 90)),
            means=np.array(means),
            contrasts=np.array(contrasts),
            still=np.array(still),
        )


def _with_stops(timed):
    """Yields (time, stop, picture): each is shown until the next one, the last for its length."""
    previous = None
    for time, length, picture in timed:
        if previous is not None:
            yield previous[0], time, previous[2]
        previous = time, length, picture
    if previous is not None:
        time, length, picture = previous
        yield time, time + length, picture


def _within(timed, span, path):
    """The pictures of a span, with times from its beginning; all pictures without a span."""
    if span is None:
        yield from timed
        return
    begin, end = span.seconds(None)
    empty = True
    for time, stop, picture in _with_stops(timed):
        if end is not None and time >= end:
            break
        first, stop = max(time, begin), stop if end is None else min(stop, end)
        if stop > first:  # also the picture that is still shown at the beginning
            empty = False
            yield first - begin, stop - first, picture
    if empty:
        raise VideoError(f"{path}: no picture is shown in this part of the video")


def _degrees(transposed, left_right, up_down):
    if transposed:
        return 90 if left_right else 270
    return 180 if left_right and up_down else 0


def _black_bars(brightest):
    """Black borders (top, bottom, left, right) as fractions of the sides.

    `brightest` (height, width) has the highest value of each pixel over time, 0 to 255. Thin
    borders count as 0; if everything is black, so do all borders.
    """
    bars = []
    for axis in (1, 0):
        lit = np.flatnonzero(np.max(brightest, axis=axis) > _BLACK)
        if not len(lit):
            return (0.0,) * 4
        length = np.shape(brightest)[1 - axis]
        bars += [int(lit[0]) / length, (length - 1 - int(lit[-1])) / length]
    return tuple(bar if bar >= _MIN_BAR else 0.0 for bar in bars)
