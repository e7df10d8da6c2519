"""Findings about a video file: one decode of it, checked against its header and against a spec.

The thresholds are set so that ordinary videos of people give only findings that are "ok". Frames
are timed by presentation, as they are when a clip is sampled: see `kinetics_i3d.video.sampling`.
"""

import dataclasses
import itertools

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.video.clip import read_clip
from kinetics_i3d.video.frame_folder import FrameFolder, is_folder
from kinetics_i3d.video.painter import orientation, upright_size
from kinetics_i3d.video.sampling import at_rate, presentation_times
from kinetics_i3d.video.source import Source
from kinetics_i3d.video.span import split_span

MINIMUM_FRAMES = 9  # of I3D with its classifier
_CLIP_FRAMES = 64  # frames of the clip whose values are checked
_MOST_PICTURES = 1500  # a minute of most videos
_SIDE = 160  # pixels of the longer side of the pictures that are measured
_BLACK = 24  # of 255; noise and compression lift black to this
_LEAST_BAR = 0.02  # of a side; thinner borders come from the encoder


@dataclasses.dataclass(frozen=True)
class _VideoScan:
    """The results of `scan`.

    Args:
        codec: The codec's short name.
        pixels: The pixel format.
        depth: Bits of a sample.
        height, width: Of a picture as it is shown.
        rotation: Degrees clockwise by which stored pictures are turned.
        tick: The time base, a fraction.
        fps: Frames per second by the header.
        header_frames: Number of frames by the header, 0 if it has none.
        duration: Seconds by the header, or `None`.
        timed: (exact start in seconds, seconds, `None`) of each picture.
        whole: Whether the file was read to its end.
        interlaced: Number of pictures that consist of two fields.
        damage: The messages of the decoder.
        bars: (top, bottom, left, right) black borders, as fractions of the sides.
        means, contrasts: Mean and deviation of each picture's brightness, 0 to 255.
        still: For each picture whether it equals the one before.
    """

    codec: str
    pixels: str
    depth: int
    height: int
    width: int
    rotation: int
    tick: object
    fps: float
    header_frames: int
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
        """Number of frames sampled from the pictures at a rate."""
        return sum(1 for _ in at_rate(self.timed, fps=as_rate(fps)))


class _DamageRecorder:
    """A source that keeps the decoder's messages instead of logging the first."""

    def __init__(self, path):
        self.damage = []
        super().__init__(path, threads=1)  # type: ignore[call-arg]

    def _log(self, reason):
        self.damage.append(reason)


class _RecordingFile(_DamageRecorder, Source):
    """Of a file."""


class _RecordingFolder(_DamageRecorder, FrameFolder):
    """Of a folder of frames."""


def scan(path, *, most=_MOST_PICTURES):
    """Decodes a video and measures its pictures, small and grey.

    Args:
        path: A file or a folder of frames, with or without a span behind it.
        most: Number of pictures to read.

    Returns:
        A `_VideoScan`.

    Raises:
        VideoError: If the file is not a video or no picture can be decoded.
    """
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    shown, means, contrasts, still = [], [], [], []
    interlaced, brightest, before = 0, None, None
    file, span = split_span(path)
    recorder = _RecordingFolder if is_folder(file) else _RecordingFile
    with recorder(file) as source:
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
                scale = min(1.0, _SIDE / max(picture.height, picture.width))
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
        return _VideoScan(
            codec=source.codec,
            pixels=first.format.name,
            depth=first.format.components[0].bits,
            height=height,
            width=width,
            rotation=rotation,
            tick=source.tick,
            fps=float(source.rate),
            header_frames=0 if span else source.claimed,
            duration=span.length(source.duration) if span and source.duration else source.duration,
            timed=tuple(shown),
            whole=whole,
            interlaced=interlaced,
            damage=tuple(source.damage),
            bars=_black_bars(np.rot90(brightest, -rotation // 90)),
            means=np.array(means),
            contrasts=np.array(contrasts),
            still=np.array(still),
        )


def _within(timed, span, path):
    """The pictures of a span, with times from its beginning; all pictures without a span."""
    if span is None:
        yield from timed
        return
    begin, end = span.seconds(None)
    empty = True
    for time, length, picture in timed:
        if end is not None and time >= end:
            break
        if time >= begin:
            empty = False
            yield time - begin, length, picture
    if empty:
        raise VideoError(f"{path}: no picture is shown in this part of the video")


def _degrees(transposed, left_right, up_down):
    if transposed:
        return 90 if left_right else 270
    return 180 if left_right and up_down else 0


def _black_bars(brightest):
    """Black borders (top, bottom, left, right) as fractions of the sides.

    `brightest` (height, width) has the highest value of each pixel over time, 0 to 255. Thin
    borders count as 0, and so do all where everything is black.
    """
    bars = []
    for axis in (1, 0):
        lit = np.flatnonzero(np.max(brightest, axis=axis) > _BLACK)
        if not len(lit):
            return (0.0,) * 4
        length = np.shape(brightest)[1 - axis]
        bars += [int(lit[0]) / length, (length - 1 - int(lit[-1])) / length]
    return tuple(bar if bar >= _LEAST_BAR else 0.0 for bar in bars)


def examine_video(path, *, spec, frames=None):
    """Checks a video and the clip that a spec makes of it.

    Args:
        path: The file.
        spec: A `ClipSpec` of rgb.
        frames: Length of the clips that the model was trained on; `None` if unknown.

    Returns:
        A list of `Finding`s.

    Raises:
        VideoError: If the file is not a video or no picture can be decoded.
    """
    video = scan(path)
    findings = [
        _examine_container(video),
        _examine_rate(video, spec),
        _examine_timing(video),
        _examine_count(video),
        _examine_size(video, spec),
        _examine_crop(video, spec),
        _examine_length(video, frames, spec),
        *_examine_pictures(video, spec),
    ]
    if spec.resized(video.height, video.width)[1] < spec.size:
        return findings  # there is no clip, as the crop does not fit
    count = min(_CLIP_FRAMES, video.count_at(spec.fps))
    return findings + list(_examine_clip(read_clip(path, spec=spec, frames=count), spec))


def _examine_container(video):
    rotated = f", turned by {video.rotation} degrees to be shown" if video.rotation else ""
    return Finding(
        "ok",
        "container",
        f"{video.codec}, {video.pixels}, {video.depth} bit, {video.width}x{video.height}{rotated}, "
        f"time base {video.tick}",
    )


def _examine_rate(video, spec):
    fps, expected = video.fps, f"{spec.fps:g} fps"
    if fps <= spec.fps / 2:
        actual = f"{fps:.4g} fps, so that each frame is shown {spec.fps / fps:.1f} times"
        return Finding("warning", "fps", actual, expected, "a video of a higher rate")
    dropped = f", of which {spec.fps:g} are used" if fps >= 2 * spec.fps else ""
    return Finding("ok", "fps", f"{fps:.4g} a second{dropped}")


def _examine_timing(video):
    gaps = np.diff(video.times)
    if len(gaps) < 2:
        return Finding("ok", "timing", "too few frames to tell")
    median = np.median(gaps)
    # Some formats round times to milliseconds.
    odd = np.abs(gaps - median) > 0.25 * median + 0.002
    if odd.mean() > 0.02:
        shortest, longest = 1e3 * gaps.min(), 1e3 * gaps.max()
        actual = f"variable frame rate: frames last {shortest:.0f} to {longest:.0f} ms"
        fix = "sample by time, as read_frames does; counting frames would warp time"
        return Finding("warning", "timing", actual, "equal steps", fix)
    return Finding("ok", "timing", f"steady, {1e3 * median:.4g} ms a frame")


def _examine_count(video):
    count = len(video.times)
    if video.damage:
        actual = f"{count} frames, past {len(video.damage)} damaged places ({video.damage[0]})"
        return Finding("warning", "frames", actual, "an intact file", "get the file again")
    if not video.whole:
        return Finding("ok", "frames", f"checked the first {count}, {video.times[-1]:.1f} s")
    if video.header_frames and video.header_frames != count:
        actual = f"{count} decoded, {video.header_frames} by the header"
        return Finding("warning", "frames", actual, "equal", "trust the decoded ones")
    seconds = "" if video.duration is None else f", {video.duration:.2f} s"
    return Finding("ok", "frames", f"{count}{seconds}")


def _examine_size(video, spec):
    height, width = video.height, video.width
    resized = spec.resized(height, width)
    scale = max(resized[0] / height, resized[1] / width)
    if scale >= 1.5:
        actual = f"{width}x{height}, enlarged {scale:.1f} times"
        return Finding("warning", "size", actual, f"{min(resized)} pixels", "a larger original")
    return Finding("ok", "size", f"{width}x{height} becomes {resized[1]}x{resized[0]}")


def _examine_crop(video, spec):
    height, width = spec.resized(video.height, video.width)
    if width < spec.size:
        actual = f"{width} pixels wide at a height of {height}"
        expected = f"{spec.size} for the crop"
        return Finding("error", "crop", actual, expected, "a spec that resizes the short side")
    lost = 1 - spec.size**2 / (height * width)
    aspect = max(video.height, video.width) / min(video.height, video.width)
    if aspect >= 2.1:
        if spec.resize == "stretch":
            actual = f"sides of 1 to {aspect:.1f} are squeezed into a square"
        else:
            actual = f"the crop loses {100 * lost:.0f} % of the picture"
        fix = "cut the video to where the action is"
        return Finding("warning", "crop", actual, "sides of 1 to 2 at most", fix)
    part = "all of" if spec.resize == "stretch" else f"{100 * (1 - lost):.0f} % of"
    return Finding("ok", "crop", f"{spec.size}x{spec.size} holds {part} the picture")


def _examine_length(video, frames, spec):
    count = video.count_at(spec.fps)
    text = f"{count} frames at {spec.fps:g} fps"
    if not video.whole:
        return Finding("ok", "length", f"{text} and more")
    if count < MINIMUM_FRAMES:
        return Finding("warning", "length", f"{text}, looped", f"{MINIMUM_FRAMES} or more")
    if frames and count < frames:
        actual = f"{text}; load_clip(frames={frames}) loops them"
        return Finding("warning", "length", actual, f"{frames} as in training")
    return Finding("ok", "length", text)


def _examine_pictures(video, spec):
    """Yields problems of the pictures themselves, nothing where there are none."""
    count = len(video.times)
    if video.interlaced:
        actual = f"{video.interlaced} of {count} frames are interlaced"
        yield Finding("warning", "fields", actual, "whole frames", "ffmpeg -i IN -vf bwdif OUT")
    bars = _bars_in_crop(video.bars, spec.resized(video.height, video.width), spec.size)
    lost = 100 - (100 - bars[0] - bars[1]) * (100 - bars[2] - bars[3]) / 100
    if lost >= 2:
        sides = zip(("top", "bottom", "left", "right"), bars, strict=True)
        where = ", ".join(f"{name} {percent:.0f} %" for name, percent in sides if percent)
        actual = f"black bars over {lost:.0f} % of the crop ({where})"
        yield Finding("warning", "bars", actual, "none", "ffmpeg -i IN -vf crop=W:H:X:Y OUT")
    black = (video.means < 10) & (video.contrasts < 4)
    if black.all():
        yield Finding("error", "light", "every frame is black", "a picture", "another file")
    elif black.any():
        yield Finding("warning", "light", f"{black.sum()} of {count} frames are black", "none")
    elif video.means.mean() < 35:
        actual = f"very dark: mean brightness {video.means.mean():.0f} of 255"
        yield Finding("warning", "light", actual, "40 or more")
    if count > 1 and video.still[1:].all():
        yield Finding("warning", "motion", "all frames are the same", "motion")
    elif video.still.mean() > 0.2:
        actual = f"{video.still.sum()} of {count} frames repeat the one before"
        expected = "frames that differ"
        yield Finding("warning", "motion", actual, expected, "the original recording")


def _bars_in_crop(bars, size, crop):
    """Black borders (top, bottom, left, right) in percent of the sides of the center crop.

    `bars` are fractions of the sides of a picture of `size` (height, width).
    """
    sides = (size[0], size[0], size[1], size[1])
    inside = (bar * side - (side - crop) / 2 for bar, side in zip(bars, sides, strict=True))
    return tuple(100 * max(0.0, pixels) / crop for pixels in inside)


def _examine_clip(clip, spec):
    values = spec.normalize(clip[:: max(1, len(clip) // 16)])
    low, high = float(values.min()), float(values.max())
    mean = " ".join(f"{value:.2f}" for value in values.mean((0, 1, 2)))
    contrast = values.std() / (spec.high - spec.low)
    shape = f"{clip.shape[1:]} a frame, {low:.2f} to {high:.2f}"
    text = f"{shape}, mean red green blue {mean}, contrast {100 * contrast:.0f} %"
    yield Finding("ok", "clip", text)
    if contrast < 0.04:
        actual = f"contrast of {100 * contrast:.1f} % of the range"
        yield Finding("warning", "contrast", actual, "4 % or more")
