"""Findings about a video file, which is decoded and checked against its header and a spec.

With these thresholds, all findings about ordinary videos of people are "ok". Frames are timed by
presentation, as when a clip is sampled: see `kinetics_i3d.video.sampling`.
"""

import numpy as np

from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.inference.doctor.scan import scan
from kinetics_i3d.video.clip import read_clip

MINIMUM_FRAMES = 9  # that I3D with its classifier can read
_CLIP_FRAMES = 64  # frames of the clip whose values are checked


def examine_video(path, *, spec, frames=None):
    """Checks a video and the clip that it gives by a spec.

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
    if spec.stream == "flow":
        return findings  # a clip of flow is computed from these pictures
    count = min(_CLIP_FRAMES, video.count_at(spec.fps))
    return findings + list(_examine_clip(read_clip(path, spec=spec, frames=count), spec))


def _examine_container(video):
    rotated = f", rotated by {video.rotation} degrees for display" if video.rotation else ""
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
    return Finding("ok", "fps", f"{fps:.4g} fps{dropped}")


def _examine_timing(video):
    gaps = np.diff(video.times)
    if video.is_part:
        gaps = gaps[1:]  # its first picture may have begun before it
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
        actual = f"{count} frames, with {len(video.damage)} decoding errors ({video.damage[0]})"
        return Finding("warning", "frames", actual, "an intact file", "get the file again")
    if not video.whole:
        return Finding(
            "ok", "frames", f"only the first {count} ({video.times[-1]:.1f} s) were checked"
        )
    if video.header_frames and video.header_frames != count:
        actual = f"{count} decoded, {video.header_frames} by the header"
        return Finding("warning", "frames", actual, "equal", "trust the decoded count")
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
            actual = f"an aspect ratio of {aspect:.1f}:1 is squeezed into a square"
        else:
            actual = f"the crop loses {100 * lost:.0f} % of the picture"
        fix = "crop the frames to the region of the action"
        return Finding("warning", "crop", actual, "an aspect ratio of at most 2:1", fix)
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
    """Yields problems of the pictures themselves."""
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
    mean = " ".join(f"{value:z.2f}" for value in values.mean((0, 1, 2)))
    contrast = values.std() / (spec.high - spec.low)
    shape = f"{clip.shape[1:]} a frame, {low:.2f} to {high:.2f}"
    text = f"{shape}, mean red green blue {mean}, contrast {100 * contrast:.0f} %"
    yield Finding("ok", "clip", text)
    if contrast < 0.04:
        actual = f"contrast of {100 * contrast:.1f} % of the range"
        yield Finding("warning", "contrast", actual, "4 % or more")
