"""`Span`: a part of a video, written after its path: `talk.mp4#t=5,15` is seconds 5 to 15.

The syntax is that of W3C's "Media Fragments URI 1.0", section 4.2.1. Every function that reads a
video by its path accepts it, so that rows of tables with times need no special treatment; only
`watch` reads whole videos.
"""

import dataclasses
import fractions
import math
import os
import re

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.video_frames import VideoFrames

_NUMBER = r"\d+(?:\.\d+)?"
_LOCATION = re.compile(rf"(?s)(.+)#t=({_NUMBER})?(?:,({_NUMBER}))?")
_PRECISION = 1_000_000  # of times, per second


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a video.

    Args:
        start: Seconds from the first picture.
        end: Seconds from the first picture, or None for the end of the video.

    Raises:
        ValueError: If `start` is below 0, or `end` is not after it.

    Example:

    >>> Span(5, 15).located("talk.mp4")
    'talk.mp4#t=5,15'
    """

    start: float
    end: float | None = None

    def __post_init__(self):
        if not 0 <= self.start < math.inf or not (self.end is None or self.end > self.start):
            raise ValueError(
                "`start` must be 0 or more, and `end` after it. "
                f"Received: start={self.start!r}, end={self.end!r}"
            )

    def located(self, path):
        """The path of a video followed by this span, as `split_span` reads it."""
        start, end = self.texts()
        return f"{os.fspath(path)}#t={start}{end and f',{end}'}"

    def texts(self):
        """Start and end as decimals without an exponent; an open end is empty."""
        return _decimal(self.start), "" if self.end is None else _decimal(self.end)

    def ticks(self, rate):
        """(first, stop) frame numbers at a rate; stop is None for the end of the video."""
        first = _tick(self.start, rate)
        return first, None if self.end is None else max(first + 1, _tick(self.end, rate))

    def seconds(self, rate):
        """(start, end) as fractions, rounded to frames if there is a rate; end may be None."""
        if rate is None:
            return _exact(self.start), None if self.end is None else _exact(self.end)
        first, stop = self.ticks(rate)
        return first / rate, None if stop is None else stop / rate

    def length(self, duration):
        """Seconds of this span in a video of `duration` seconds; 0 if the video ends before it."""
        end = duration if self.end is None else min(self.end, duration)
        return max(0.0, end - self.start)


def split_span(path):
    """Splits a path into (path as text, `Span` or None); `VideoFrames` have no span.

    Raises:
        VideoError: If the end is not after the start.

    Example:

    >>> split_span("talk.mp4#t=5,15")
    ('talk.mp4', Span(start=5.0, end=15.0))
    """
    if isinstance(path, VideoFrames):
        return path, None
    path = os.fspath(path)
    match = _LOCATION.fullmatch(path) if isinstance(path, str) and "#t=" in path else None
    if match is None or not (match[2] or match[3]):
        return path, None
    start, end = float(match[2] or 0), None if match[3] is None else float(match[3])
    if end is not None and end <= start:
        raise VideoError(f"{path}: the end of the part must be after its start")
    return match[1], Span(start, end)


def _exact(seconds):
    return fractions.Fraction(seconds).limit_denominator(_PRECISION)


def _tick(seconds, rate):
    return math.floor(_exact(seconds) * rate + fractions.Fraction(1, 2))


def _decimal(seconds):
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
