"""`set_bounded_decoder`: decodes videos in a child process with limits on time and memory.

If FFmpeg's decoders hang, exhaust memory or crash, only that video fails, not the process that
reads it.
"""

import contextlib
import os

from kinetics_i3d.core.child_process import ChildError, call_in_child, stream_in_child
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video import limits
from kinetics_i3d.video.video_frames import VideoFrames

VARIABLE = "KINETICS_I3D_BOUNDED_DECODER"
_PERIOD = 100  # frames


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
    os.environ[VARIABLE] = "1" if enabled else "0"
    return before


@contextlib.contextmanager
def bounded_decoder(enabled):
    """As `set_bounded_decoder`, for a `with` block; None keeps the setting."""
    before = os.environ.get(VARIABLE)
    if enabled is not None:
        set_bounded_decoder(enabled)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def is_bounded(video):
    """Whether a video is decoded in a child process."""
    return _is_enabled() and not isinstance(video, VideoFrames)


def call_bounded(function, path, *arguments):
    """Calls `function(path, *arguments)` in a child process; as `call_in_child`.

    Raises:
        VideoError: If the function raises it, exceeds a limit, or crashes.
    """
    bounds = limits.current_limits()
    try:
        return call_in_child(function, _text(path), *arguments, **_options(bounds))
    except ChildError as error:
        raise _video_error(path, error) from error


def stream_bounded(function, path, *arguments):
    """Yields what `function(path, *arguments)` yields in a child process; as `stream_in_child`.

    Raises:
        VideoError: As for `call_bounded`.
    """
    bounds = limits.current_limits()
    try:
        yield from stream_in_child(
            function, _text(path), *arguments, items=_PERIOD, **_options(bounds)
        )
    except ChildError as error:
        raise _video_error(path, error) from error


def _is_enabled():
    return os.environ.get(VARIABLE, "") not in ("", "0")


def _options(bounds):
    variables = {VARIABLE: None, limits.VARIABLE: os.environ.get(limits.VARIABLE)}
    return {
        "seconds": bounds.seconds,
        "memory": bounds.memory,
        "variables": variables,
        "imports": ("av", "av.video.reformatter"),
    }


def _text(path):
    return [os.fsdecode(item) for item in path] if isinstance(path, list) else os.fsdecode(path)


def _video_error(path, error):
    name = path[0] if isinstance(path, list) else path
    return VideoError(
        f"{name}: the decoder {error} ({limits.VARIABLE}=seconds=N,memory=N sets its limits)"
    )
