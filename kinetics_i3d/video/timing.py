"""`presentation_times`: when each picture is shown, also where a file's clock is broken."""

import fractions

# A step back by more than this is a new clock (joined files), not two pictures out of order.
BACKWARD = fractions.Fraction(1)
# FFmpeg's dts_delta_threshold: MPEG streams that jump further have started a new clock.
FORWARD = fractions.Fraction(10)
# Other formats can show one picture for long (slides); beyond an hour the time is damaged.
FORWARD_AT_MOST = fractions.Fraction(3600)


def presentation_times(pictures, *, tick, rate, clock="pts", first=None, discontinuous=False):
    """Gives each picture its time in seconds from the first one, never running backward.

    Args:
        pictures: Iterable of objects with the stamp and `duration`, in ticks (None or 0: unknown).
        tick: Seconds a tick, a fraction.
        rate: Frames a second, a fraction; counts on where a picture has no stamp.
        clock: The name of the stamp, `"pts"` or `"dts"`.
        first: The stamp that is time 0; None takes the first picture's.
        discontinuous: Whether the format may start its clock anew in mid-file.

    Yields:
        (time, length, picture): seconds as fractions; length is how long the picture is shown:
        its duration, else the gap before it, else `1 / rate`.

    Example:

    >>> from fractions import Fraction
    >>> from types import SimpleNamespace as Picture
    >>> pictures = [Picture(pts=7, duration=1), Picture(pts=None, duration=0)]
    >>> times = presentation_times(pictures, tick=Fraction(1, 25), rate=Fraction(25))
    >>> [(str(time), str(length)) for time, length, _ in times]
    [('0', '1/25'), ('1/25', '1/25')]
    """
    forward = FORWARD if discontinuous else FORWARD_AT_MOST
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
            if not -BACKWARD <= moved <= forward:
                offset += expected - time
                time, moved = expected, gap
            if moved > 0:
                gap = moved
            else:
                time = last
        last = time
        yield time, (picture.duration or 0) * tick or gap, picture
