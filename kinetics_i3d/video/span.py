"""`Span`: a part of a video, written behind its path: `talk.mp4#t=5,15` is seconds 5 to 15.

The form of W3C's "Media Fragments URI 1.0", section 4.2.1. Whatever reads a video by its path takes
such a path too, so that a row of a table with times is read like any other.
"""

import dataclasses
import fractions
import math
import os
import re

from kinetics_i3d.video.source import VideoFrames

NUMBER = r"\d+(?:\.\d+)?"
LOCATION = re.compile(rf"(?s)(.+)#t=({NUMBER})?(?:,({NUMBER}))?")
PRECISION = 1_000_000  # of times, as a part of a second


@dataclasses.dataclass(frozen=True)
class Span:
    """A part of a video.

    Args:
        start: Seconds from the first picture.
        end: Seconds from the first picture, or None for the video's end.

    Raises:
        ValueError: If `start` is below 0, or `end` is not behind it.

    Example:

    >>> Span(5, 15).located("talk.mp4")
    'talk.mp4#t=5,15'
    """

    start: float
    end: float | None = None

    def __post_init__(self):
        if not 0 <= self.start < math.inf or not (self.end is None or self.end > self.start):
            raise ValueError(
                "`start` must be 0 or more, and `end` behind it. "
                f"Received: start={self.start!r}, end={self.end!r}"
            )

    def located(self, path):
        """The path of a video with this span behind it, as `split_span` reads it."""
        end = "" if self.end is None else f",{_decimal(self.end)}"
        return f"{os.fspath(path)}#t={_decimal(self.start)}{end}"

    def ticks(self, rate):
        """The numbers of the first frame and of the one behind the last.

        Args:
            rate: Frames a second of the whole video, a fraction.

        Returns:
            (first, stop), of which stop is None where the span ends with the video. Frame k of the
            span is frame first + k of the video.

        Example:

        >>> Span(0.1, 0.3).ticks(fractions.Fraction(25))
        (3, 8)
        """
        first = _tick(self.start, rate)
        return first, None if self.end is None else max(first + 1, _tick(self.end, rate))

    def seconds(self, rate):
        """(start, end) as fractions, of whole frames where there is a rate; end may be None."""
        if rate is None:
            return _exact(self.start), None if self.end is None else _exact(self.end)
        first, stop = self.ticks(rate)
        return first / rate, None if stop is None else stop / rate

    def length(self, duration):
        """The seconds of this span in a video of a duration.

        Args:
            duration: Seconds.

        Returns:
            Seconds, 0 where the video ends before the span begins.
        """
        end = duration if self.end is None else min(self.end, duration)
        return max(0.0, end - self.start)


def split_span(path):
    """Takes a path apart.

    Args:
        path: Of a video, with a span behind it or not; text or `os.PathLike`. `VideoFrames` have
            no span.

    Returns:
        (path as text, `Span`), or (path as text, None); `VideoFrames` as they are.

    Raises:
        ValueError: If the span ends before it begins.

    Example:

    >>> split_span("talk.mp4#t=5,15")
    ('talk.mp4', Span(start=5.0, end=15.0))
    >>> split_span("talk.mp4")
    ('talk.mp4', None)
    """
    if isinstance(path, VideoFrames):
        return path, None
    path = os.fspath(path)
    match = LOCATION.fullmatch(path) if isinstance(path, str) and "#t=" in path else None
    if match is None or not (match[2] or match[3]):
        return path, None
    return match[1], Span(float(match[2] or 0), None if match[3] is None else float(match[3]))


def _exact(seconds):
    return fractions.Fraction(seconds).limit_denominator(PRECISION)


def _tick(seconds, rate):
    return math.floor(_exact(seconds) * rate + fractions.Fraction(1, 2))


def _decimal(seconds):
    return f"{seconds:.6f}".rstrip("0").rstrip(".")
