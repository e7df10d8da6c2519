"""`Source`: an open video file and its pictures, whatever state the file is in.

Decoder: FFmpeg's libraries through PyAV, https://pyav.basswood-io.com.
"""

import fractions
import pathlib

from kinetics_i3d.core import errors
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.video.frames import VideoFrames, check_video

# Without a list libav opens text as ANSI art, and playlists (hls, concat) that name further files:
# a video from a stranger must not make the reader open anything else.
FORMATS = (
    "asf,av1,avi,avs,avs2,avs3,cavsvideo,dirac,dv,flv,gif,gxf,h261,h263,h264,hevc,ivf,m4v,"
    "matroska,mjpeg,mov,mpeg,mpegts,mpegvideo,mxf,nut,obu,ogg,rm,vc1,vvc,wtv,yuv4mpegpipe"
)


class Source:
    """An open video file, or frames in memory; use it in a `with` block.

    Args:
        path: The file, or `VideoFrames`.
        threads: Threads of the decoder.

    Raises:
        VideoError: If the path is not a video with a stream that can be decoded.

    Example:

    >>> with Source(folder / "video.mp4", threads=1) as source:
    ...     picture = next(source.pictures())
    >>> type(picture).__name__
    'VideoFrame'
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
        """Closes the file; nothing can be read after it."""
        if self.container is not None:
            self.container.close()
            self.container = None

    def rewind(self):
        """Goes back to the first picture by opening the file anew, which every format can."""
        self.close()
        if self._memory is not None:
            self.stream = self._memory.stream()
            return
        self.container = _open(self.path)
        try:
            self.stream = _best_stream(self.container, self.path)
        except BaseException:
            self.close()
            raise
        self.stream.codec_context.thread_count = self.threads
        if self.threads > 1:
            self.stream.thread_type = "AUTO"

    @property
    def clock(self):
        """The stamp that tells a picture's time: `"pts"`, or `"dts"` in AVI, which stores no other.

        libav makes up AVI's times of showing, wrongly where pictures are stored out of order; its
        times of decoding come with the pictures in the order of showing.
        """
        if self._memory is not None:
            return "pts"
        return "dts" if self.container.format.name == "avi" else "pts"

    @property
    def discontinuous(self):
        """Whether the format (MPEG streams) may start its clock anew in mid-file."""
        from av.format import Flags

        if self._memory is not None:
            return False
        return bool(self.container.format.flags & Flags.ts_discont.value)

    @property
    def tick(self):
        """Seconds of a stamp's unit, as a fraction."""
        return self.stream.time_base

    @property
    def claimed(self):
        """The number of pictures that the header tells, 0 where it does not."""
        return self.stream.frames

    @property
    def codec(self):
        """The codec's short name."""
        return self.stream.codec_context.codec.canonical_name

    @property
    def rate(self):
        """The frame rate that the header tells, else 25, as a fraction."""
        if self._memory is not None:
            return self._memory.fps
        for rate in (self.stream.average_rate, self.stream.guessed_rate):
            if rate:
                return rate
        return fractions.Fraction(25)

    @property
    def duration(self):
        """Seconds that the header tells, or None."""
        if self._memory is not None:
            return self._memory.duration
        if self.stream.duration:
            return float(self.stream.duration * self.stream.time_base)
        # The container's is in microseconds and may be that of a longer sound.
        return self.container.duration / 1e6 if self.container.duration else None

    def seek(self, stamp):
        """Goes to a keyframe at or before a stamp, in ticks of the stream's time base, if it can.

        Returns:
            Whether the format agreed; where it really went, the next picture tells.
        """
        from av.error import FFmpegError

        if self._memory is not None:
            return False
        try:
            self.container.seek(stamp, stream=self.stream, backward=True)
        except FFmpegError:
            return False
        return True

    def pictures(self):
        """Decodes on from here, in the order of showing, past what is damaged.

        Yields:
            `av.VideoFrame`s. Damage is logged once a file.

        Raises:
            VideoError: If there is not one picture.
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
                reason = _reason(error)
                self._log(reason)
                continue
            for picture in pictures:
                count += 1
                if picture.is_corrupt:
                    self._log("a picture is decoded in part")
                yield picture
        if not count:
            raise errors.VideoError(f"{self.path}: not one picture can be decoded ({reason})")

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
                # Some formats find their next packet behind the damage, so ask until none comes.
                self._log(_reason(error))
        yield None  # What the decoder still holds; demux does so itself when all is well.

    def _log(self, reason):
        if not self._damaged:
            message = "%s is damaged (%s); reading what can be decoded."
            warn_about(self.path, message, self.path, reason)
        self._damaged = True


def _open(path):
    import av

    file = pathlib.Path(path)
    if not file.exists():
        raise errors.VideoError(f"{path}: there is no such file")
    if not file.is_file():
        raise errors.VideoError(f"{path}: a video file is needed, this is a folder or a device")
    if not file.stat().st_size:
        raise errors.VideoError(f"{path}: the file is empty")
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    try:
        # "file:" since libav takes what stands before a colon in a name for a protocol.
        return av.open(f"file:{path}", options=options)
    except av.error.FFmpegError as error:
        raise errors.VideoError(
            f"{path}: this is no video in a format that can be read, or its header is damaged "
            f"({_reason(error)})"
        ) from error


def _best_stream(container, path):
    videos = [s for s in container.streams.video if not _is_cover(s)]
    if not videos:
        held = sorted({"cover picture" if _is_cover(s) else s.type for s in container.streams})
        raise errors.VideoError(
            f"{path}: there is no video in it, only {', '.join(held) or 'a header'}"
        )
    readable = [s for s in videos if s.codec_context is not None]
    if not readable:
        raise errors.VideoError(f"{path}: its video codec is not one that can be decoded here")
    best = container.streams.best("video")
    return best if best in readable else readable[0]


def _is_cover(stream):
    from av.stream import Disposition

    return stream.type == "video" and bool(stream.disposition & Disposition.attached_pic)


def _reason(error):
    """What libav said, in one line and without the number and the function's name."""
    return str(error.strerror or error).splitlines()[0]
