"""`FrameFolder`: the pictures of a folder (img_00001.jpg, ...) read as a video.

These are the "rawframes" of MMAction2, TSN and denseflow, and the folders of Jester and
Something-Something. Pictures have no frame rate: 25 per second is assumed; `folder#fps=30` sets
another rate.
"""

import collections
import fractions
import os
import re
import typing

import numpy as np

from kinetics_i3d.core import errors
from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.video.limits import call_bounded, current_limits, is_bounded
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.video_frames import VideoFrames

# FFmpeg's decoder for each kind of picture; none of them opens further files.
_CODECS = {
    ".jpg": "mjpeg",
    ".jpeg": "mjpeg",
    ".png": "png",
    ".bmp": "bmp",
    ".webp": "webp",
    ".ppm": "ppm",
}
RATE = 25
_EXAMINED = 1000  # pictures of a folder
_NUMBERED = re.compile(r"(?s)(.*?)(\d+)(\.[A-Za-z]+)")
_FLOW = re.compile(r"(?i)(?:flow_?[xy]|[xyuv]|flow)_?")
# Prefixes of frames, in order of preference, for folders that also contain other pictures.
_FRAMES = ("img_", "image_", "frame_", "frame", "img", "image", "rgb_", "")
_LOCATED = re.compile(r"(?s)(.+)#fps=(\d+(?:\.\d+)?)")


def split_rate(path):
    """Splits `folder#fps=30` into (path as text, frames per second as a fraction or None)."""
    path = os.fspath(path)
    match = _LOCATED.fullmatch(path) if isinstance(path, str) and "#fps=" in path else None
    if match is None or not float(match[2]):
        return path, None
    return match[1], as_rate(float(match[2]))


def numbered_pictures(folder):
    """{prefix: paths in the order of their numbers} of a folder; empty if it does not exist."""
    by_prefix = collections.defaultdict(list)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                match = _NUMBERED.fullmatch(entry.name)
                if match and match[3].lower() in _CODECS and not entry.name.startswith("."):
                    by_prefix[match[1]].append((int(match[2]), entry.path))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise errors.VideoError(f"{folder}: cannot be read ({error.strerror})") from error
    return {prefix: [path for _, path in sorted(files)] for prefix, files in by_prefix.items()}


def is_frame_folder(path):
    """Whether a path is a folder of numbered pictures, text files and nothing else.

    Of a large folder only some files are examined.
    """
    path, _ = split_rate(path)
    pictures = 0
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_file():
                    continue
                match = _NUMBERED.fullmatch(entry.name)
                if match and match[3].lower() in _CODECS:
                    pictures += 1
                    if pictures == _EXAMINED:
                        break
                elif os.path.splitext(entry.name)[1].lower() not in (".txt", ".json", ".csv"):
                    return False
    except (OSError, ValueError):  # for example a name that is too long, or has a null byte
        return False
    return pictures > 0


def is_folder(path):
    """Whether a video is a folder, with or without `#fps=30`."""
    return not isinstance(path, VideoFrames) and os.path.isdir(split_rate(path)[0])


def frames_of(folder):
    """The paths of the frames in a folder, in order, without pictures of flow."""
    by_prefix = {
        prefix: paths
        for prefix, paths in numbered_pictures(folder).items()
        if not prefix or not _FLOW.fullmatch(prefix)
    }
    if len(by_prefix) > 1:
        prefixes = [prefix for prefix in _FRAMES if prefix in by_prefix]
        if not prefixes:
            raise errors.VideoError(
                f"{folder}: holds numbered pictures with several prefixes, {sorted(by_prefix)}; "
                f"the frames must be named like {_FRAMES[0]}00001.jpg"
            )
        return by_prefix[prefixes[0]]
    return next(iter(by_prefix.values()), [])


class FrameFolder:
    """A folder of pictures with the interface of `Source`; use it in a `with` block.

    Args:
        path: The folder, with or without `#fps=30`.
        threads: Not used.

    Raises:
        VideoError: If it holds no numbered pictures.
    """

    clock = "pts"
    discontinuous = False

    def __init__(self, path, *, threads=1):
        del threads
        self.path = os.fspath(path)
        folder, rate = split_rate(path)
        self.rate = fractions.Fraction(RATE) if rate is None else rate
        self.files = frames_of(folder)
        if not self.files:
            raise errors.VideoError(
                f"{folder}: a video file is needed; this is a folder without numbered pictures "
                "(img_00001.jpg, ...)"
            )
        self._next = 0
        self._damaged = False

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Does nothing: no picture stays open."""

    def rewind(self):
        """Returns to the first picture."""
        self._next = 0

    @property
    def tick(self):
        """Seconds per unit of the pictures' time stamps, which are their numbers."""
        return 1 / self.rate

    @property
    def duration(self):
        """Seconds."""
        return float(len(self.files) / self.rate)

    @property
    def claimed(self):
        """The number of pictures."""
        return len(self.files)

    @property
    def codec(self):
        """The short name of the first picture's codec."""
        return _CODECS[os.path.splitext(self.files[0])[1].lower()]

    def seek(self, stamp):
        """Moves to a picture by its number, from 0."""
        self._next = min(max(0, stamp), len(self.files) - 1)
        return True

    def pictures(self):
        """Yields the remaining `av.VideoFrame`s; logs and skips those that cannot be decoded."""
        count, reason = 0, ""
        for number in range(self._next, len(self.files)):
            try:
                picture = decode_picture(self.files[number])
            except errors.VideoError as error:
                reason = str(error)
                self._log(reason)
                continue
            count += 1
            picture.pts, picture.time_base = number, self.tick
            yield picture
        if not count:
            raise errors.VideoError(f"{self.path}: no picture can be decoded ({reason})")

    def _log(self, reason):
        if not self._damaged:
            message = "%s is damaged (%s); reading what can be decoded."
            warn_about(self.path, message, self.path, reason)
        self._damaged = True


def decode_picture(path):
    """Decodes a picture file, by its suffix, to an `av.VideoFrame`; `VideoError` if it cannot."""
    import av

    try:
        with open(path, "rb") as file:
            data = file.read()
        codec: typing.Any = av.CodecContext.create(_CODECS[os.path.splitext(path)[1].lower()], "r")
        codec.thread_count = 1
        codec.options = {"max_pixels": str(current_limits().pixels)}
        pictures = [*codec.decode(av.Packet(data)), *codec.decode(None)] if data else []
    except OSError as error:
        raise errors.VideoError(f"{path}: {error.strerror or error}") from error
    except (av.error.FFmpegError, ValueError) as error:
        raise errors.VideoError(f"{path}: {errors.first_line(error)}") from error
    if not pictures:
        raise errors.VideoError(f"{path}: contains no picture")
    return pictures[0]


def gray_pictures(files):
    """Decodes picture files to a uint8 array (pictures, height, width).

    Raises:
        ValueError: If their sizes differ.
        VideoError: If one cannot be decoded.
    """
    if files and is_bounded(files[0]):
        return call_bounded(f"{__name__}:_gray_pictures", files)
    return _gray_pictures(files)


def _gray_pictures(files):
    pictures = [decode_picture(file).to_ndarray(format="gray") for file in files]
    return np.stack(pictures) if pictures else np.zeros((0, 0, 0), np.uint8)


def open_source(path, *, threads):
    """Opens a video file, a folder of pictures or `VideoFrames` as a `Source` or `FrameFolder`."""
    return (FrameFolder if is_folder(path) else Source)(path, threads=threads)
