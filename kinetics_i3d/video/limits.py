"""`VideoLimits`: limits on the time and memory that a video file may take, whatever its size.

A file of 200 kB can contain pictures of gigabytes, and two pictures can be ten hours apart.
"""

import dataclasses
import functools
import os

from kinetics_i3d.core.errors import UserError, VideoError

VARIABLE = "KINETICS_I3D_VIDEO_LIMITS"


@dataclasses.dataclass(frozen=True)
class VideoLimits:
    """Limits for every video; the environment variable of `current_limits` changes them.

    Args:
        pixels: Maximum pixels of a picture, as stored and after its resize. The default is that of
            8K cinema; a decoder needs about 30 bytes per pixel.
        aspect: Maximum ratio of the longer to the shorter side of a picture that is resized.
        frames: Number of frames that any video may have, however few its pictures.
        frames_per_picture: Number of frames that each picture may add. Pictures are repeated if a
            video has a lower rate than is sampled; slides are shown for minutes.
        seconds: Maximum time of a bounded decoder for the first frame, and for every 100 frames.
        memory: Maximum bytes of a bounded decoder, on Linux.
    """

    pixels: int = 8192 * 4320
    aspect: int = 100
    frames: int = 30_000
    frames_per_picture: int = 3_000
    seconds: int = 60
    memory: int = 2**31

    def check_picture(self, path, width, height):
        """Raises `VideoError` for a picture with too many pixels."""
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
        """Raises `VideoError` if a few pictures would become too many frames."""
        if frames > self.frames + pictures * self.frames_per_picture:
            raise VideoError(
                f"{path}: {int(frames)} frames would be made of the first {pictures} pictures, "
                "whose times may be damaged; at most "
                f"{self.frames} and {self.frames_per_picture} per picture are made "
                f"({VARIABLE}=frames=N allows more)"
            )


def out_of_memory(path):
    """The `VideoError` of a video that needs too much memory."""
    return VideoError(
        f"{path}: decoding it needs more memory than is available or allowed ({VARIABLE}=memory=N "
        "allows more)"
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
