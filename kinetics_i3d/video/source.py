"""`Source`: an open video file and its pictures, whatever state the file is in.

Decoder: FFmpeg's libraries through PyAV, https://pyav.basswood-io.com.
"""

import fractions
import os
import pathlib
import types
from typing import Any

import numpy as np

from kinetics_i3d.core import errors
from kinetics_i3d.core.errors import VideoError, first_line
from kinetics_i3d.core.file_warnings import warn_about
from kinetics_i3d.video.sampling import as_rate

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


class VideoFrames:
    """Raw frames with their rate, taken wherever a video file is.

    They are resampled, resized, cropped and scaled like those of a file. Frames that need no resize
    give the values of a lossless file to the bit. Where the size changes they may be off by some
    grey levels from a file's: a decoder's pictures are resized with their colours still separate
    from their brightness, and rounded once.

    Args:
        frames: uint8 RGB pixels, 0 to 255, (frames, height, width, 3), or (frames, 3, height,
            width) as torchcodec gives them: an array, a tensor, a list of pictures, or the path of
            a `*.npy` file, which is mapped into memory. OpenCV's pictures are BGR; turn them by
            `frame[..., ::-1]`.
        fps: Frames a second, a number or a fraction.
        name: What errors and results call them.

    Raises:
        ValueError: If the frames are none, or the rate is not above 0.
        VideoError: If a path holds no array.

    Example:

    >>> webcam = [np.zeros((240, 320, 3), np.uint8)] * 32
    >>> ki3d.load_clip(ki3d.VideoFrames(webcam, fps=30)).shape
    (1, 27, 224, 224, 3)
    """

    def __init__(
        self, frames: Any, *, fps: float | fractions.Fraction, name: str = "frames in memory"
    ) -> None:
        if isinstance(frames, (str, os.PathLike)):
            name = os.fspath(frames)
            frames = _read(pathlib.Path(frames))
        self.frames = _checked(frames)
        self.fps = as_rate(fps)
        self.name = name

    def __len__(self) -> int:
        return len(self.frames)

    def __str__(self):
        return self.name

    def __repr__(self):
        count, height, width, _ = self.frames.shape
        return f"VideoFrames({count} frames of {width}x{height}, fps={float(self.fps):g})"

    @property
    def duration(self):
        """Seconds."""
        return float(len(self) / self.fps)

    def stream(self):
        """What `Source` asks of a file's video stream."""
        codec = types.SimpleNamespace(canonical_name="raw frames")
        return types.SimpleNamespace(
            time_base=1 / self.fps,
            frames=len(self),
            codec_context=types.SimpleNamespace(codec=codec),
        )

    def pictures(self):
        """Yields `av.VideoFrame`s, stamped by their number."""
        from av import VideoFrame

        for number, frame in enumerate(self.frames):
            picture = VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts = number
            yield picture


def check_video(video):
    """Gives a path as text, and `VideoFrames` as they are.

    Args:
        video: What a function was given for a video.

    Raises:
        ValueError: If it is neither, with what helps.
    """
    if isinstance(video, VideoFrames):
        return video
    if isinstance(video, (str, os.PathLike)):
        path = os.fspath(video)
        if isinstance(path, str) and path.lower().endswith(".npy"):
            raise ValueError(
                f"`video` must tell its frame rate: VideoFrames({path!r}, fps=25). "
                f"Received: video={path!r}"
            )
        return path
    shape = getattr(video, "shape", None)
    if shape is not None or isinstance(video, (list, tuple)):
        hint = "frames in memory need their rate: VideoFrames(frames, fps=25)"
    elif hasattr(video, "read"):
        hint = "open files cannot be read; give the path"
    else:
        hint = "a path, or VideoFrames"
    received = type(video).__name__ if shape is None else f"shape={tuple(shape)}"
    raise ValueError(f"`video` must be a path or VideoFrames; {hint}. Received: {received}")


def _checked(frames):
    """The frames as a uint8 array (frames, height, width, 3)."""
    if hasattr(frames, "asnumpy"):  # decord
        frames = frames.asnumpy()
    if isinstance(frames, (list, tuple)):
        shapes = {np.shape(frame) for frame in frames}
        if len(shapes) > 1:
            raise ValueError(
                f"`frames` must be pictures of one size. Received: shapes {sorted(shapes)[:3]}"
            )
    array = np.asanyarray(frames)
    if array.ndim == 4 and array.shape[-1] != 3 and array.shape[1] == 3:
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[-1] != 3 or not array.size or array.dtype != np.uint8:
        raise ValueError(
            "`frames` must be uint8 RGB pixels, 0 to 255, (frames, height, width, 3). "
            f"Received: dtype={array.dtype}, shape={array.shape}"
        )
    return array


def _read(path):
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise VideoError(f"{path}: there is no such file") from error
    except (OSError, ValueError, EOFError) as error:
        raise VideoError(f"{path}: not an array by np.save ({first_line(error)})") from error
