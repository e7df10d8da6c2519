"""`read_header`: the rate and duration in a video's header, and the time of its first picture."""

import dataclasses
import fractions

from kinetics_i3d.video.frame_folder import open_source
from kinetics_i3d.video.limits import call_bounded, is_bounded


@dataclasses.dataclass(frozen=True)
class Header:
    """The header of a video.

    Args:
        rate: Frames per second, a fraction.
        duration: Seconds, or None.
        first_time: Time of the first picture by the file's clock in seconds, a fraction; None if it
            is unknown or was not read.
    """

    rate: fractions.Fraction
    duration: float | None
    first_time: fractions.Fraction | None


def read_header(path, *, first_picture=False):
    """Reads the header of a video.

    Args:
        path: A file or a folder of frames, without a span, or `VideoFrames`.
        first_picture: Whether to decode the first picture for its time.

    Returns:
        A `Header`.

    Raises:
        VideoError: If it is not a video, or no picture can be decoded.
    """
    if is_bounded(path):
        return Header(*call_bounded(f"{__name__}:_fields", path, first_picture))
    return Header(*_fields(path, first_picture))


def _fields(path, first_picture):
    with open_source(path, threads=1) as source:
        first_time = None
        if first_picture:
            pictures = source.pictures()
            stamp = getattr(next(pictures), source.clock)
            pictures.close()
            first_time = None if stamp is None else fractions.Fraction(stamp * source.tick)
        return fractions.Fraction(source.rate), source.duration, first_time
