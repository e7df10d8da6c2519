"""`Source`: an open video file, possibly damaged, or frames in memory.

Decoder: FFmpeg's libraries through PyAV, https://pyav.basswood-io.com.
"""

import fractions
import os
import re
import stat

from kinetics_i3d.core.child_worker import memory_is_short
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.video.limits import current_limits, out_of_memory
from kinetics_i3d.video.video_frames import VideoFrames, check_video

# Suffixes of video files.
# fmt: off
VIDEO_SUFFIXES = frozenset([
    ".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg",
    ".mpg", ".mts", ".ogv", ".ts", ".vob", ".webm", ".wmv",
])
# fmt: on

# Without a list libav opens text as ANSI art, and playlists (hls, concat) that refer to other
# files: an untrusted video must not make the reader open anything else.
FORMATS = (
    "asf,av1,avi,avs,avs2,avs3,cavsvideo,dirac,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,"
    "matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,vc1,vvc,wtv,yuv4mpegpipe"
)
# The tag with the duration of one stream in Matroska and WebM, which have no field for it.
_DURATION = re.compile(r"(\d+):(\d{2}):(\d{2}(?:\.\d*)?)")


class Source:
    """An open video file, or frames in memory; use it in a `with` block.

    Args:
        path: The file, or `VideoFrames`.
        threads: Threads of the decoder.

    Raises:
        VideoError: If the path is not a video with a stream that can be decoded.
    """

    def __init__(self, path, *, threads):
        self.path = check_video(path)
        self._memory = path if isinstance(path, VideoFrames) else None
        self.threads = threads
        self.container = self.stream = None
        self._damaged = False
        self.rewind()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Closes the file."""
        if self.container is not None:
            self.container.close()
            self.container = None

    def rewind(self):
        """Returns to the first picture by opening the file again, which every format can."""
        self.close()
        if self._memory is not None:
            self.stream = self._memory.stream()
            return
        self.container = self._open_container()
        try:
            self.stream = _best_stream(self.container, self.path)
            codec, limits = self.stream.codec_context, current_limits()
            limits.check_picture(self.path, codec.width, codec.height)
        except BaseException:
            self.close()
            raise
        # Later pictures may be larger than the header says.
        codec.options = {**codec.options, "max_pixels": str(limits.pixels)}
        codec.thread_count = self.threads
        if self.threads > 1:
            self.stream.thread_type = "AUTO"

    def _open_container(self):
        return _open(self.path)

    def _ends_with(self, error):
        """Whether an error ends the packets: never in a file, which may be damaged anywhere."""
        return False

    @property
    def clock(self):
        """The time stamp of pictures: `"pts"`, or `"dts"` in AVI, which stores no other.

        The presentation times that libav makes up for AVI are wrong where pictures are stored out
        of order. The decoding times of its pictures are in presentation order.
        """
        if self._memory is not None:
            return "pts"
        return "dts" if self.container.format.name == "avi" else "pts"

    @property
    def discontinuous(self):
        """Whether the format (MPEG streams) may restart its clock in the middle of a file."""
        from av.format import Flags

        if self._memory is not None:
            return False
        return bool(self.container.format.flags & Flags.ts_discont.value)

    @property
    def tick(self):
        """Seconds per unit of the time stamps, a fraction."""
        return _fraction(self.stream.time_base)

    @property
    def claimed(self):
        """The number of pictures by the header, 0 if unknown."""
        return self.stream.frames

    @property
    def codec(self):
        """The short name of the codec."""
        return self.stream.codec_context.codec.canonical_name

    @property
    def rate(self):
        """The frame rate by the header, or else 25, as a fraction."""
        if self._memory is not None:
            return self._memory.fps
        for rate in (self.stream.average_rate, self.stream.guessed_rate):
            if rate:
                return _fraction(rate)
        return fractions.Fraction(25)

    @property
    def duration(self):
        """Seconds by the header, or None."""
        if self._memory is not None:
            return self._memory.duration
        if self.stream.duration:
            return float(self.stream.duration * self.stream.time_base)
        tagged = _DURATION.fullmatch(self.stream.metadata.get("DURATION", ""))
        if tagged:
            hours, minutes, seconds = tagged.groups()
            return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        # The container's duration is in microseconds, and may be that of longer audio.
        return self.container.duration / 1e6 if self.container.duration else None

    def seek(self, stamp):
        """Seeks a keyframe at or before a time stamp; returns whether this succeeded."""
        from av.error import FFmpegError

        if self._memory is not None:
            return False
        try:
            self.container.seek(stamp, stream=self.stream, backward=True)
        except FFmpegError:
            return False
        return True

    def pictures(self):
        """Decodes the remaining pictures in presentation order; damage is logged once per file.

        Yields:
            `av.VideoFrame`s.

        Raises:
            VideoError: If there is no picture at all.
        """
        from av.error import FFmpegError

        if self._memory is not None:
            yield from self._memory.pictures()
            return
        count, reason = 0, "it holds no packets"
        for packet in self._packets():
            if packet is not None and packet.is_corrupt:
                self._log("a packet is incomplete")
            try:
                pictures = self.stream.decode(packet)
            except FFmpegError as error:
                self._check_memory(error)
                reason = reason_of(error)
                self._log(reason)
                continue
            for picture in pictures:
                count += 1
                if picture.is_corrupt:
                    self._log("a picture is decoded in part")
                yield picture
        if not count:
            raise VideoError(f"{self.path}: no picture can be decoded ({reason})")

    def _packets(self):
        from av.error import FFmpegError

        moved = True
        while moved:
            moved = False
            try:
                for packet in self.container.demux(self.stream):
                    moved = True
                    yield packet
                return
            except FFmpegError as error:
                self._check_memory(error)
                if self._ends_with(error):
                    break
                # Some formats find the next packet after the damage, so reading continues.
                self._log(reason_of(error))
        yield None  # flushes the decoder, as demux itself does at the end of an intact file

    def _check_memory(self, error):
        """Raises `VideoError` if memory is short, since then the video is not damaged."""
        # Some decoders report a failed allocation as bad data.
        if isinstance(error, MemoryError) or memory_is_short():
            raise out_of_memory(self.path) from error

    def _log(self, reason):
        if not self._damaged:
            message = "%s is damaged (%s); reading what can be decoded."
            warn_about(self.path, message, self.path, reason)
        self._damaged = True


def is_video_name(name):
    """Whether a file is a video by its suffix."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES


def file_state(path):
    """The `os.stat_result` of a path; `VideoError` if it does not exist or cannot be accessed."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoError(f"{path}: there is no such file") from error
    except OSError as error:  # no permission, a name that is too long
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # a null byte in the name
        raise VideoError(f"{path!r}: there is no such file") from error


def _open(path):
    import av

    state = file_state(path)
    if not stat.S_ISREG(state.st_mode):
        raise VideoError(f"{path}: a video file is needed; this is a folder or a device")
    if not state.st_size:
        raise VideoError(f"{path}: the file is empty")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        # "file:" because libav interprets the part of a name before a colon as a protocol.
        return open_container(f"file:{path}", options=options)
    except av.error.FFmpegError as error:
        raise VideoError(
            f"{path}: not a video in a supported format, or its header is damaged "
            f"({reason_of(error)})"
        ) from error


def open_container(file, **arguments):
    """`av.open` for reading; metadata in any encoding, which old files have, is no error."""
    import av

    if int(av.__version__.split(".")[0]) < 19:  # later versions always replace such characters
        arguments["metadata_errors"] = "replace"
    return av.open(file, **arguments)


def _fraction(rational):
    """A rate or time base of PyAV, whose own type since version 19 cannot be pickled."""
    return fractions.Fraction(rational.numerator, rational.denominator)


def _best_stream(container, path):
    videos = [s for s in container.streams.video if not _is_cover(s)]
    if not videos:
        kinds = sorted({"cover picture" if _is_cover(s) else s.type for s in container.streams})
        raise VideoError(f"{path}: contains no video, only {', '.join(kinds) or 'a header'}")
    readable = [s for s in videos if s.codec_context is not None]
    if not readable:
        raise VideoError(f"{path}: its video codec is not supported")
    best = container.streams.best("video")
    return best if best in readable else readable[0]


def _is_cover(stream):
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def reason_of(error):
    """Libav's message in one line, without the number and the name of the function."""
    return str(error.strerror or error).splitlines()[0]
