"""`LiveSource`: a camera, the address of a stream, or a file that is still being written.

The protocols that an address may use are limited by FFmpeg's whitelist,
https://ffmpeg.org/ffmpeg-protocols.html.
"""

import errno
import os
import re
import stat
import sys
import threading
import time

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.source import FORMATS, Source, file_state, open_container, reason_of
from kinetics_i3d.video.span import split_span
from kinetics_i3d.video.video_frames import VideoFrames

# {scheme of an address: protocols that it may use}. None may open files: a remote playlist must not
# refer to files of this machine.
PROTOCOLS = {
    "http": "http,https,tls,tcp,httpproxy",  # servers redirect to https
    "https": "https,tls,tcp,httpproxy",
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,udp,tls,tcp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tls,tcp",
    "rtp": "rtp,udp",
    "tcp": "tcp",
    "udp": "udp",
}
# Formats of network streams and of files; HLS playlists refer to segments and to separate audio.
_STREAM_FORMATS = f"{FORMATS},hls,mpjpeg,rtp,rtsp,aac,ac3,eac3,mp3"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_PASSWORD = re.compile(r"(://[^/@:]*):.*@")  # to the last @, which a password may contain too
_CAMERA = re.compile(r"\d+|/dev/video\d+")
_POLL = 0.05  # seconds between checks of a file that has not grown


class LiveSource(Source):
    """A `Source` that may still be recording; use it in a `with` block.

    Args:
        source: The number of a camera, or its device (`/dev/video0`); an address with a scheme of
            `PROTOCOLS`; a file, which may be growing; or `VideoFrames`.
        timeout: Seconds without data after which a file is complete, and a connection lost.
        stopped: A `threading.Event` that ends the wait for more of a file.

    Raises:
        VideoError: If the source cannot be opened or has no video.
    """

    def __init__(self, source, *, timeout, stopped=None):
        self._source = source
        self.kind = source_kind(source)
        self._timeout = timeout
        self._stopped = stopped or threading.Event()
        self.lost = None  # the reason why the connection was lost
        self._file = None
        super().__init__(source_name(source), threads=1)

    def close(self):
        """Closes the source."""
        super().close()
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def discontinuous(self):
        """Whether the clock may restart, for example when the sender restarts."""
        return self.kind in ("camera", "address") or super().discontinuous

    def _open_container(self):
        import av

        if self.kind == "file":
            return self._open_file()
        try:
            if self.kind == "camera":
                # The device's own driver; nothing else is opened.
                return open_container(str(self.path), format="v4l2", timeout=self._timeout)
            scheme = _SCHEME.match(self._source)[1].lower()
            options = {
                "format_whitelist": _STREAM_FORMATS,
                "protocol_whitelist": PROTOCOLS[scheme],
                "analyzeduration": "1000000",  # microseconds: the first line must not wait for 5 s
            }
            if scheme in ("rtsp", "rtsps"):
                options["rtsp_flags"] = "prefer_tcp"  # UDP loses packets, and pictures with them
            if scheme in ("http", "https"):
                # Otherwise FFmpeg 9 reports the regular end of a chunked stream as an error.
                options["multiple_requests"] = "1"
            return open_container(self._source, options=options, timeout=self._timeout)
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{self.path}: cannot be opened ({self._network_reason(error)})"
            ) from (error)

    def _open_file(self):
        import av

        path = self.path
        check_source(path)
        self._file = GrowingFile(path, timeout=self._timeout, stopped=self._stopped)
        # Although the file is open, its format may refer to others.
        options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
        try:
            return open_container(self._file, options=options)
        except av.error.FFmpegError as error:
            self.close()
            raise VideoError(
                f"{path}: not a video in a supported format, or one that cannot be read while it "
                f"is being written ({reason_of(error)})"
            ) from error

    def _ends_with(self, error):
        import av

        if self.kind == "file" or isinstance(error, av.error.InvalidDataError):
            return False
        self.lost = self._network_reason(error)
        return True

    def _network_reason(self, error):
        import av

        if isinstance(error, av.error.ExitError):  # by PyAV's own timeout
            return f"no data for {self._timeout:g} seconds"
        if error.errno == errno.EIO and self.kind == "address":
            return "the sender closed the connection"
        return reason_of(error)


class GrowingFile:
    """A file that may still be growing: at its end, `read` waits for more data.

    Args:
        path: The file.
        timeout: Seconds since the last change after which the file is complete.
        stopped: A `threading.Event` that ends the wait.
    """

    def __init__(self, path, *, timeout, stopped):
        self.name = os.fspath(path)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  (closed by `close`)
        self._timeout, self._stopped = timeout, stopped
        self._is_complete = False

    def read(self, size):
        """Up to `size` bytes; none at the end of a complete file."""
        data = self._file.read(size)
        if data or self._is_complete:
            return data
        # The clock of another machine may be ahead, so that the time stamp is in the future.
        idle = max(0.0, time.time() - os.fstat(self._file.fileno()).st_mtime)
        deadline = time.monotonic() + self._timeout - idle
        while not data and not self._is_complete:
            self._is_complete = time.monotonic() >= deadline or self._stopped.wait(_POLL)
            data = self._file.read(size)
        return data

    def seek(self, offset, whence=os.SEEK_SET):
        """Moves to `offset`; returns -1 for an offset from the end, which is not known yet."""
        if whence == os.SEEK_END:
            return -1
        return self._file.seek(offset, whence)

    def tell(self):
        """The offset of the next byte."""
        return self._file.tell()

    def close(self):
        """Closes the file."""
        self._file.close()


def source_kind(source):
    """The kind of a source: `"camera"`, `"address"` or `"file"`; frames in memory count as a file.

    Raises:
        ValueError: If it is an address of an unknown scheme, or cameras cannot be read here.

    Example:

    >>> source_kind("rtsp://door.local/live"), source_kind(0), source_kind("talk.mp4")
    ('address', 'camera', 'file')
    """
    if isinstance(source, VideoFrames):
        return "file"
    text = str(source)
    if _CAMERA.fullmatch(text):
        if not sys.platform.startswith("linux"):
            raise ValueError(
                "`source` can be a camera on Linux only; on other systems, pass the address of a "
                f"stream. Received: source={source!r}"
            )
        return "camera"
    scheme = _SCHEME.match(text)
    if scheme is None:
        return "file"
    if scheme[1].lower() not in PROTOCOLS:
        raise ValueError(
            f"`source` must be an address that begins with one of {(*PROTOCOLS,)}. Received: "
            f"source={source_name(source)!r}"
        )
    return "address"


def check_source(source):
    """Returns the kind of a source as `source_kind`, and checks that its file or device exists.

    Raises:
        ValueError: As `source_kind`.
        VideoError: If there is no such file or camera.
    """
    kind, name = source_kind(source), source_name(source)
    if kind == "file" and split_span(source)[1] is not None:
        raise VideoError(f"{name}: a part of a video cannot be watched; pass the whole file")
    if kind == "camera" and not os.path.exists(name):
        raise VideoError(f"{name}: there is no such camera")
    in_memory = isinstance(source, VideoFrames)
    if kind == "file" and not in_memory and not stat.S_ISREG(file_state(name).st_mode):
        raise VideoError(f"{name}: a video file, a camera or an address is needed")
    return kind


def source_name(source):
    """The display name of a source: a camera's device, an address without its password.

    Example:

    >>> source_name(0), source_name("rtsp://me:secret@door.local/live")
    ('/dev/video0', 'rtsp://me:***@door.local/live')
    """
    if isinstance(source, VideoFrames):
        return source
    text = os.fspath(source) if isinstance(source, os.PathLike) else str(source)
    if text.isdecimal():
        return f"/dev/video{text}"
    return _PASSWORD.sub(r"\1:***@", text)
