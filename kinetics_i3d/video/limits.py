"""`VideoLimits`: bounds on what a video file may cost, however few bytes it has.

Two hundred kilobytes can hold pictures of gigabytes, and two pictures can be ten hours apart.
"""

import dataclasses
import functools
import os

from kinetics_i3d.core.errors import UserError, VideoError

VARIABLE = "KINETICS_I3D_VIDEO_LIMITS"


@dataclasses.dataclass(frozen=True)
class VideoLimits:
    """Bounds for every video that is read; the environment variable of `current_limits` sets them.

    Args:
        pixels: Of a picture, as stored and after its resize. The default is that of 8K cinema; the
            memory of a decoder is about 30 times as many bytes.
        aspect: Longer side of a picture that is resized, divided by the shorter one.
        frames: Frames that any video may give, however few pictures it has.
        frames_per_picture: Frames that each picture adds to that. A video with fewer frames a
            second than are sampled gives each picture several times; slides are shown for minutes.
    """

    pixels: int = 8192 * 4320
    aspect: int = 100
    frames: int = 30_000
    frames_per_picture: int = 3_000

    def check_picture(self, path, width, height):
        """Raises `VideoError` for a picture of too many pixels."""
        if width * height > self.pixels:
            raise VideoError(
                f"{path}: pictures of {width} x {height} pixels; at most {self.pixels} pixels are "
                f"read ({VARIABLE}=pixels=N allows more)"
            )

    def check_resize(self, path, size, resized):
        """Raises `VideoError` for a resize of (height, width) that is too large or too narrow."""
        begin = f"{path}: {size[1]} x {size[0]} pixels cannot be resized to a short side of"
        if max(size) > self.aspect * min(size):
            raise VideoError(
                f"{begin} {min(resized)}: a side may be at most {self.aspect} times as long as the "
                f"other ({VARIABLE}=aspect=N allows more)"
            )
        if resized[0] * resized[1] > self.pixels:
            raise VideoError(
                f"{begin} {min(resized)}: that is {resized[1]} x {resized[0]} pixels, and at most "
                f"{self.pixels} are made ({VARIABLE}=pixels=N allows more)"
            )

    def check_frames(self, path, frames, pictures):
        """Raises `VideoError` if few pictures would become very many frames."""
        if frames > self.frames + pictures * self.frames_per_picture:
            raise VideoError(
                f"{path}: {int(frames)} frames would be made of the first {pictures} pictures, "
                "whose times may be damaged; at most "
                f"{self.frames} and {self.frames_per_picture} per picture are made "
                f"({VARIABLE}=frames=N allows more)"
            )


def current_limits():
    """The `VideoLimits` of this process.

    The environment variable KINETICS_I3D_VIDEO_LIMITS changes some of them, such as
    `pixels=100000000,frames=1000000`.

    Raises:
        UserError: If it cannot be read.

    Example:

    >>> current_limits().frames
    30000
    """
    return _parse(os.environ.get(VARIABLE, ""))


@functools.cache
def _parse(text):
    names = [field.name for field in dataclasses.fields(VideoLimits)]
    limits = {}
    for item in filter(None, text.split(",")):
        name, _, value = item.partition("=")
        if name.strip() not in names or not value.strip().isdecimal() or not int(value):
            raise UserError(
                f"{VARIABLE} must be whole numbers such as pixels=100000000, for {names}. "
                f"Received: {item!r}"
            )
        limits[name.strip()] = int(value)
    return VideoLimits(**limits)
