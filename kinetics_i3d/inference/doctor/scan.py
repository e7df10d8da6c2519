"""`scan`: what a video file holds, from one decode of it, against what its header tells.

Times by presentation, as frames are sampled by it: `kinetics_i3d.video.sampling`.
"""

import dataclasses
import itertools

import numpy as np

from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.frame_folder import FrameFolder, is_folder
from kinetics_i3d.video.painter import orientation, upright_size
from kinetics_i3d.video.sampling import as_rate, at_rate, presentation_times
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.span import split_span

MOST = 1500  # pictures; a minute of most videos
SIDE = 160  # pixels of the longer side of what is measured
BLACK = 24  # of 255; noise and compression lift black to this
LEAST_BAR = 0.02  # of a side; thinner borders are dirt of the encoder


@dataclasses.dataclass(frozen=True)
class VideoFacts:
    """What `scan` saw.

    Args:
        codec: The codec's short name.
        pixels: The pixel format.
        depth: Bits of a sample.
        height, width: Of a picture as it is shown.
        rotation: Degrees clockwise by which stored pictures are turned.
        tick: The time base, a fraction.
        fps: Frames a second that the header tells.
        claimed: Frames that the header tells; 0 where it does not.
        duration: Seconds that the header tells, or None.
        timed: (seconds at which it is shown, seconds for which, None) of each picture, exact.
        whole: Whether the file was read to its end.
        interlaced: Pictures that are two fields.
        damage: What the decoder complained of, a text for each time.
        bars: (top, bottom, left, right), shares of black borders.
        means, contrasts: Of each picture's brightness, 0 to 255.
        still: For each picture whether it is that before it.
    """

    codec: str
    pixels: str
    depth: int
    height: int
    width: int
    rotation: int
    tick: object
    fps: float
    claimed: int
    duration: float | None
    timed: tuple
    whole: bool
    interlaced: int
    damage: tuple
    bars: tuple
    means: np.ndarray
    contrasts: np.ndarray
    still: np.ndarray

    @property
    def times(self):
        """Seconds at which the pictures are shown, float64."""
        return np.array([float(time) for time, _, _ in self.timed])

    def count_at(self, fps):
        """Frames that the pictures give at a rate."""
        return sum(1 for _ in at_rate(self.timed, fps=as_rate(fps)))


class _Listening:
    """A source that keeps the decoder's complaints instead of logging the first."""

    def __init__(self, path):
        self.damage = []
        super().__init__(path, threads=1)  # type: ignore[call-arg]

    def _log(self, reason):
        self.damage.append(reason)


class _Listener(_Listening, Source):
    """Of a file."""


class _FolderListener(_Listening, FrameFolder):
    """Of a folder of frames."""


def _within(timed, span, path):
    """The pictures of a span, with times from its beginning; all where there is none."""
    if span is None:
        yield from timed
        return
    begin, end = span.seconds(None)
    shown = False
    for time, length, picture in timed:
        if end is not None and time >= end:
            break
        if time >= begin:
            shown = True
            yield time - begin, length, picture
    if not shown:
        raise VideoError(f"{path}: no picture is shown in this part of the video")


def scan(path, *, most=MOST):
    """Decodes a video and measures its pictures, small and in grey.

    Args:
        path: The file, or a folder of frames, with a span behind it or not.
        most: Pictures to read.

    Returns:
        `VideoFacts`.

    Raises:
        VideoError: If the file is no video or not one picture can be decoded.

    Example:

    >>> facts = scan(folder / "video.mp4")
    >>> facts.codec, facts.fps, len(facts.times), facts.count_at(5)
    ('h264', 25.0, 25, 5)
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    shown, means, contrasts, still = [], [], [], []
    interlaced, brightest, before = 0, None, None
    file, span = split_span(path)
    listener = _FolderListener if is_folder(file) else _Listener
    with listener(file) as source:
        timed = presentation_times(
            source.pictures(),
            tick=source.tick,
            rate=source.rate,
            clock=source.clock,
            discontinuous=source.discontinuous,
        )
        timed = _within(timed, span, path)
        first = None
        for time, length, picture in itertools.islice(timed, most):
            if first is None:
                first = picture
                scale = min(1.0, SIDE / max(picture.height, picture.width))
                width, height = (
                    max(2, round(side * scale)) for side in (picture.width, picture.height)
                )
            grey = reformatter.reformat(
                picture, width, height, format="gray", threads=1
            ).to_ndarray()
            interlaced += bool(picture.interlaced_frame)
            shown.append((time, length, None))
            means.append(grey.mean())
            contrasts.append(grey.std())
            still.append(before is not None and np.array_equal(grey, before))
            brightest = grey.copy() if before is None else np.maximum(brightest, grey)
            before = grey
        whole = next(timed, None) is None
        height, width = upright_size(first)
        rotation = _degrees(*orientation(first))
        return VideoFacts(
            codec=source.codec,
            pixels=first.format.name,
            depth=first.format.components[0].bits,
            height=height,
            width=width,
            rotation=rotation,
            tick=source.tick,
            fps=float(source.rate),
            claimed=0 if span else source.claimed,
            duration=span.length(source.duration) if span and source.duration else source.duration,
            timed=tuple(shown),
            whole=whole,
            interlaced=interlaced,
            damage=tuple(source.damage),
            bars=black_bars(np.rot90(brightest, -rotation // 90)),
            means=np.array(means),
            contrasts=np.array(contrasts),
            still=np.array(still),
        )


def black_bars(brightest):
    """How much of each side is a border that is never brighter than black.

    Args:
        brightest: (height, width), the highest value of each pixel over time, 0 to 255.

    Returns:
        (top, bottom, left, right) as shares of the height and the width; 0 for borders that are
        thinner than a fiftieth, and for all sides where everything is black.

    Example:

    >>> picture = np.full((100, 100), 200)
    >>> picture[:12] = 0
    >>> black_bars(picture)
    (0.12, 0.0, 0.0, 0.0)
    """
    shares = []
    for axis in (1, 0):
        lit = np.flatnonzero(np.max(brightest, axis=axis) > BLACK)
        if not len(lit):
            return (0.0,) * 4
        length = np.shape(brightest)[1 - axis]
        shares += [int(lit[0]) / length, (length - 1 - int(lit[-1])) / length]
    return tuple(share if share >= LEAST_BAR else 0.0 for share in shares)


def _degrees(transposed, left_right, up_down):
    if transposed:
        return 90 if left_right else 270
    return 180 if left_right and up_down else 0
