"""Limits on the time and memory that a video file may take, and decoding in a child process.

A file of 200 kB can contain pictures of gigabytes, and two pictures can be ten hours apart:
`VideoLimits` refuses them. FFmpeg's decoders may also hang, exhaust memory or crash; with
`set_bounded_decoder`, only that video fails, not the process that reads it.
"""

import contextlib
import dataclasses
import functools
import os

from kinetics_i3d.core.child_process import ChildError, call_in_child, stream_in_child
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.video.video_frames import VideoFrames

VARIABLE = "KINETICS_I3D_VIDEO_LIMITS"
BOUNDED_VARIABLE = "KINETICS_I3D_BOUNDED_DECODER"
_PERIOD = 100  # frames


@dataclasses.dataclass(frozen=True)
class VideoLimits:
    """Limits for every video; the environment variable of `current_limits` changes them.

    Args:
        pixels: Maximum pixels of a picture, as stored and after its resize. The default is that of
            8K cinema; a decoder needs about 30 bytes per pixel.
        aspect: Maximum ratio of the longer to the shorter side of a picture that is resized.
        frames: Number of frames that any video may have, even one with few pictures.
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
                f"{begin} {min(resized)}: {resized[1]} x {resized[0]} pixels, but at most "
                f"{self.pixels} are allowed ({VARIABLE}=pixels=N allows more)"
            )

    def check_frames(self, path, frames, pictures):
        """Raises `VideoError` if a few pictures would become too many frames."""
        if frames > self.frames + pictures * self.frames_per_picture:
            raise VideoError(
                f"{path}: {int(frames)} frames would be made of the first {pictures} pictures, "
                "whose times may be damaged; at most "
                f"{self.frames} and {self.frames_per_picture} per picture are allowed "
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
        UserError: If the variable is invalid.

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


def set_bounded_decoder(enabled: bool) -> bool:
    """Switches decoding in a child process on or off, for this process and those that it starts.

    Video files and folders of pictures are then decoded in a child process that is reused. If a
    decoder takes longer than 60 seconds for the first frame or for any 100 frames, needs more than
    2 GiB of memory (on Linux), or crashes, a `VideoError` is raised, and the next video gets a new
    process. The frames are the same. Servers that decode untrusted files should switch it on.

    The environment variable `KINETICS_I3D_BOUNDED_DECODER=1` does the same, and
    `KINETICS_I3D_VIDEO_LIMITS=seconds=10,memory=1000000000` changes the limits. `watch` decodes
    live video in its own process.

    Args:
        enabled: Whether to decode in a child process; `False` by default.

    Returns:
        The previous setting.

    Example:

    >>> before = ki3d.set_bounded_decoder(True)
    >>> ki3d.load_clip(folder / "video.mp4", frames=16).shape
    (1, 16, 224, 224, 3)
    >>> ki3d.set_bounded_decoder(before)
    True
    """
    before = _is_enabled()
    os.environ[BOUNDED_VARIABLE] = "1" if enabled else "0"
    return before


@contextlib.contextmanager
def bounded_decoder(enabled):
    """As `set_bounded_decoder`, for a `with` block; None keeps the setting."""
    before = os.environ.get(BOUNDED_VARIABLE)
    if enabled is not None:
        set_bounded_decoder(enabled)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(BOUNDED_VARIABLE, None)
        else:
            os.environ[BOUNDED_VARIABLE] = before


def is_bounded(video):
    """Whether a video is decoded in a child process."""
    return _is_enabled() and not isinstance(video, VideoFrames)


def call_bounded(function, path, *arguments):
    """Calls `function(path, *arguments)` in a child process; as `call_in_child`.

    Raises:
        VideoError: If the function raises it, exceeds a limit, or crashes.
    """
    limits = current_limits()
    try:
        return call_in_child(function, _text(path), *arguments, **_options(limits))
    except ChildError as error:
        raise _video_error(path, error) from error


def stream_bounded(function, path, *arguments):
    """Yields what `function(path, *arguments)` yields in a child process; as `stream_in_child`.

    Raises:
        VideoError: As for `call_bounded`.
    """
    limits = current_limits()
    try:
        yield from stream_in_child(
            function, _text(path), *arguments, items=_PERIOD, **_options(limits)
        )
    except ChildError as error:
        raise _video_error(path, error) from error


def _is_enabled():
    return os.environ.get(BOUNDED_VARIABLE, "") not in ("", "0")


def _options(limits):
    variables = {BOUNDED_VARIABLE: None, VARIABLE: os.environ.get(VARIABLE)}
    return {
        "seconds": limits.seconds,
        "memory": limits.memory,
        "variables": variables,
        "imports": ("av", "av.video.reformatter"),
    }


def _text(path):
    return [os.fsdecode(item) for item in path] if isinstance(path, list) else os.fsdecode(path)


def _video_error(path, error):
    name = path[0] if isinstance(path, list) else path
    return VideoError(
        f"{name}: the decoder {error} ({VARIABLE}=seconds=N,memory=N sets its limits)"
    )
