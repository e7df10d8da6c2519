"""Presentation times of pictures, and sampling at a frame rate.

The rule is that of FFmpeg's fps filter: a picture belongs to the tick that its time rounds to, and
stays until the next. If several round to one tick, the nearest is used (the filter uses the last).
"""

import fractions
import math

# Matroska and FLV round times to milliseconds: the errors of two times add up to at most 2 ms.
_SLACK = fractions.Fraction(2, 1000)


def at_rate(timed, *, fps, start=0, stop=None):
    """Yields one item for every tick `start + k / fps`.

    Args:
        timed: Iterable of (time, length, item), in seconds, in order of time, starting with one
            shown at or before `start`. At most two items are in memory.
        fps: Ticks per second, a fraction.
        start: Seconds of the first tick.
        stop: Seconds at which to stop; None goes to the end of the last item.

    Yields:
        Items: `round(fps * seconds)` of them (halves up), at least one, unless the video ends
        before `start`.

    Example:

    >>> timed = [(k / 50, 1 / 50, k) for k in range(10)]
    >>> list(at_rate(timed, fps=25))
    [0, 2, 4, 6, 8]
    """
    step = 1 / fractions.Fraction(fps)
    slack = min(_SLACK, step / 4)
    limit = math.inf if stop is None else max(1, _count(stop - start, step))
    half, tick, count = step / 2, start, 0
    newest = nearest = last = None
    for time, length, item in timed:
        # Ticks this far back belong to earlier items, and the video certainly extends beyond them.
        while newest is not None and time - tick >= half:
            yield nearest[1]
            count += 1
            if count >= limit:
                return
            tick += step
            nearest = newest
        newest = (time, item)
        if nearest is None or abs(nearest[0] - tick) > abs(time - tick) + slack:
            nearest = newest
        last = length
    end = start if newest is None else newest[0] + last
    if end <= start:
        return
    for _ in range(count, min(limit, max(1, _count(end - start, step)))):
        yield nearest[1]
        nearest = newest


def between(timed, *, start=0, stop=None):
    """Yields every item from the one shown at `start` to the last before `stop`."""
    shown, end, begun = None, start, False
    for time, length, item in timed:
        end = time + length
        if not begun and time <= start + _SLACK / 2:
            shown = (item,)
            continue
        if not begun and shown is not None:
            yield shown[0]
        begun, shown = True, None
        if stop is not None and time >= stop - _SLACK / 2:
            return
        yield item
    if not begun and shown is not None and end > start:
        yield shown[0]


def _count(seconds, step):
    # Halves up, as `at_rate` requires: a tick is certain once half its step has passed.
    return math.floor(seconds / step + fractions.Fraction(1, 2))


# A step back by more than this is a new clock (joined files), not two pictures out of order.
_BACKWARD = fractions.Fraction(1)
# FFmpeg's dts_delta_threshold: MPEG streams that jump farther have started a new clock.
_FORWARD = fractions.Fraction(10)
# Other formats can show one picture for long (slides); beyond an hour the time stamp is damaged.
_FORWARD_AT_MOST = fractions.Fraction(3600)


def presentation_times(pictures, *, tick, rate, clock="pts", first=None, discontinuous=False):
    """Assigns each picture its time in seconds from the first; times never decrease.

    Args:
        pictures: Iterable of objects with the time stamp and `duration`, in ticks (None or 0:
            unknown).
        tick: Seconds per tick, a fraction.
        rate: Frames per second, a fraction, for pictures without a time stamp.
        clock: The name of the time stamp, `"pts"` or `"dts"`.
        first: The time stamp of time 0; None means that of the first picture.
        discontinuous: Whether the format may restart its clock in the middle of a file.

    Yields:
        (time, length, picture): seconds as fractions. The length is how long the picture is shown:
        its duration, else the gap before it, else `1 / rate`.
    """
    forward = _FORWARD if discontinuous else _FORWARD_AT_MOST
    gap = 1 / rate
    offset = None if first is None else -first * tick
    last = None
    for picture in pictures:
        expected = gap if last is None else last + gap
        stamp = getattr(picture, clock)
        if stamp is None:
            time = fractions.Fraction(0) if last is None else expected
        else:
            if offset is None:
                offset = (0 if last is None else expected) - stamp * tick
            time = stamp * tick + offset
        if last is not None:
            moved = time - last
            if not -_BACKWARD <= moved <= forward:
                offset += expected - time
                time, moved = expected, gap
            if moved > 0:
                gap = moved
            else:
                time = last
        last = time
        yield time, (picture.duration or 0) * tick or gap, picture
