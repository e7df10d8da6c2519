"""Findings about an array from a comparison with the video that it was made from.

Small pictures of both are compared under all common mistakes: order of channels, orientation, crop,
first frame, rate, brightness. Flow is correct if the second frame, warped by it, looks like the
first.
"""

import dataclasses
import itertools

import numpy as np

from kinetics_i3d.core.clip_spec import FLOW_BOUND
from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.video.clip import center_crop, crop_frames
from kinetics_i3d.video.reader import read_frames, video_info

_GRID = 16  # cells per side of a small picture
_MAX_FRAMES = 600  # of the video that are searched
_VIDEO_LEVELS = (219 / 255, 16.0)  # factor and offset of levels 16 to 235 read as 0 to 255

# {mistake: (a function of (..., height, width, channels) that makes it, the line that undoes it)}.
_ORIENTATIONS = {
    "": (lambda x: x, ""),
    "flipped left to right": (lambda x: x[:, :, ::-1], "clip[:, :, ::-1]"),
    "upside down": (lambda x: x[:, ::-1], "clip[:, ::-1]"),
    "turned by 180 degrees": (lambda x: x[:, ::-1, ::-1], "clip[:, ::-1, ::-1]"),
    "turned by 90 degrees, clockwise": (
        lambda x: np.rot90(x, -1, (1, 2)),
        "np.rot90(clip, 1, (1, 2))",
    ),
    "turned by 90 degrees, counterclockwise": (
        lambda x: np.rot90(x, 1, (1, 2)),
        "np.rot90(clip, -1, (1, 2))",
    ),
    "with height and width swapped": (lambda x: x.swapaxes(1, 2), "clip.swapaxes(1, 2)"),
}
_CROPS = ("crop", "whole picture, squeezed", "largest square")
_RIGHT: tuple = ("", _CROPS[0], 1.0, 0)  # orientation, crop, rate, first frame

# Mistakes of flow, by how they are corrected: x and y swapped, signs, a factor.
_SWAPS = (False, True)
_SIGNS = ((1, 1), (-1, -1), (-1, 1), (1, -1))
_FACTORS = (1.0, FLOW_BOUND, 1 / FLOW_BOUND)
_CLEARLY_BETTER = 0.9  # ratio of two errors


def compare_with_video(sample, video, *, spec, in_range=True):
    """Finds how an rgb array differs from the clip that its video gives by the spec.

    Args:
        sample: A `Sample` of the array.
        video: The video file.
        spec: The `ClipSpec`.
        in_range: Whether the values are in the spec's range, so that brightness can be compared.

    Returns:
        A list of `Finding`s.

    Raises:
        VideoError: If the video cannot be decoded.
    """
    array = shrink(sample.frames)
    small = _read_small(video, spec)
    rates = sorted({1.0, 0.5, 2.0, spec.fps / video_info(video).fps})
    errors: dict = {}
    for orientation, crop, rate in itertools.product(_ORIENTATIONS, _CROPS, rates):
        frames = _ORIENTATIONS[orientation][0](small[crop])
        for start, error in enumerate(_alignment_errors(array, frames, sample.indices, rate)):
            errors[orientation, crop, rate, start] = error
    best = min(errors, key=errors.__getitem__)
    if errors[_RIGHT] - errors[best] < 0.01 or errors[best] > 0.6 * errors[_RIGHT]:
        best = _RIGHT
    length = len(small[_CROPS[0]])
    if errors[best] > 1.0 and length == _MAX_FRAMES:
        actual = f"the array does not look like the first {length / spec.fps:g} s of {video}"
        return [Finding("warning", "video", actual, "frames of this part; no more was read")]
    if errors[best] > 1.0:
        actual = f"the array does not look like {video}"
        fix = "pass the video that the array was made from"
        return [Finding("error", "video", actual, "frames of that video", fix)]
    # Report a mistake only if the explanation without it is clearly worse.
    for index, right in enumerate(_RIGHT):
        simpler = (*best[:index], right, *best[index + 1 :])
        if best[index] == right or errors[simpler] < 1.3 * errors[best] + 0.005:
            best = simpler
    findings = list(_geometry(best, spec))
    orientation, crop, rate, start = best
    frames = _ORIENTATIONS[orientation][0](small[crop])
    indices = start + np.rint(rate * sample.indices).astype(int)
    inside = indices < length  # the rest is looped, or was not read
    array, frames = array[inside], frames[indices[inside]]
    findings.append(_channel_order(array, frames))
    if in_range and findings[-1].severity == "ok":
        findings.append(_brightness(array, frames, spec))
    return findings


def _read_small(video, spec):
    """{crop: float64 (frames, 16, 16, 3)} of a video's first frames."""
    small: dict = {crop: [] for crop in _CROPS}
    frames = read_frames(video, **spec.reading)
    for frame in itertools.islice(frames, _MAX_FRAMES):
        small[_CROPS[0]].append(shrink(center_crop(frame, min(spec.size, *frame.shape[:2]))[None]))
        small[_CROPS[1]].append(shrink(frame[None]))
        small[_CROPS[2]].append(shrink(center_crop(frame, min(frame.shape[:2]))[None]))
    frames.close()
    return {crop: np.concatenate(pictures) for crop, pictures in small.items()}


def shrink(frames):
    """Means over a 16x16 grid of cells: (frames, height, width, channels), sides of 16 or more."""
    small = np.asarray(frames, np.float64)
    for axis in (1, 2):
        edges = np.linspace(0, small.shape[axis], _GRID + 1).astype(int)
        sums = np.add.reduceat(small, edges[:-1], axis=axis)
        shape = [1] * 4
        shape[axis] = _GRID
        small = sums / np.diff(edges).reshape(shape)
    return small


def _alignment_errors(array, frames, indices, rate):
    """Yields the mean squared error of brightness for first frames 0, 1, ...; inf if too short."""
    a = _standardize(array.mean(-1)).reshape(len(array), -1)
    b = _standardize(frames.mean(-1)).reshape(len(frames), -1)
    table = (a**2).mean(1)[:, None] + (b**2).mean(1)[None] - 2 * (a @ b.T) / a.shape[1]
    offsets = np.rint(rate * indices).astype(int)
    for start in range(len(b)):
        inside = start + offsets < len(b)
        # A looped array may be longer than the video, which has to contain at least half of it.
        if inside.mean() < 0.5 and start:
            yield np.inf
        else:
            rows = np.flatnonzero(inside)
            yield float(table[rows, start + offsets[rows]].mean())


def _standardize(values):
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _geometry(best, spec):
    orientation, crop, rate, start = best
    if orientation:
        fix = _ORIENTATIONS[orientation][1]
        yield Finding("error", "orientation", orientation, "as players show it", fix)
    if crop != _CROPS[0]:
        expected = f"{spec.resize} to {spec.short_side}, then the center {spec.size}"
        yield Finding("warning", "crop", crop, expected, "resize and crop as the spec says")
    if rate != 1.0:
        actual = f"{spec.fps / rate:.4g} frames per second"
        fix = "sample by time, as read_frames does"
        yield Finding("error", "fps", actual, f"{spec.fps:g}", fix)
    if start:
        actual = f"begins at frame {start}, {start / spec.fps:.2f} s"
        yield Finding("warning", "start", actual, "frame 0, unless this is intended")
    if best == _RIGHT:
        yield Finding("ok", "video", "frames, crop and orientation are those of the video")


def _channel_order(array, frames):
    """The `Finding` on the order of channels, given the same pictures in the correct order."""
    # Compares the differences between channels; the part that they share would hide them.
    color = frames - frames.mean(-1, keepdims=True)
    if color.std() < 0.02 * max(frames.std(), 1e-9):
        return Finding("ok", "channels", "the video is gray, so their order does not matter")
    a, b = _standardize(array), _standardize(frames)
    orders = list(itertools.permutations(range(3)))
    errors = [float(((a[..., order] - b) ** 2).mean()) for order in orders]
    best = orders[int(np.argmin(errors))]
    if best != (0, 1, 2) and min(errors) < 0.6 * errors[0] and errors[0] - min(errors) > 0.002:
        name = "".join("RGB"[best.index(channel)] for channel in range(3))
        fix = "clip[..., ::-1]" if best == (2, 1, 0) else f"clip[..., {list(best)}]"
        return Finding("error", "channels", f"in the order {name}", "RGB", fix)
    return Finding("ok", "channels", "red, green, blue, as in the video")


def _brightness(array, frames, spec):
    pixels = (array - spec.low) * 255 / (spec.high - spec.low)
    factor, offset = np.polyfit(frames.ravel(), pixels.ravel(), 1)
    actual = f"pixels are {factor:.2f} times those of the video, {offset:+.0f}"
    if abs(factor - _VIDEO_LEVELS[0]) < 0.04 and abs(offset - _VIDEO_LEVELS[1]) < 8:
        fix = "read levels 16 to 235 as 0 to 255"
        return Finding("warning", "levels", f"{actual}: levels of video", "0 to 255", fix)
    if abs(factor - 1) > 0.1 or abs(offset) > 12:
        return Finding("warning", "levels", actual, "1.00 times, +0", "do not change brightness")
    return Finding("ok", "levels", "as bright as the video")


def compare_flow_with_video(sample, pixels, video, *, spec):
    """Finds how flow differs from the motion in its video.

    Args:
        sample: The `Sample` of the array.
        pixels: Its values in pixels of motion.
        video: The video file.
        spec: The `ClipSpec` of the flow.

    Returns:
        A list of `Finding`s.

    Raises:
        VideoError: If the video cannot be decoded.
    """
    rgb = dataclasses.replace(spec, stream="rgb")
    needed = {*sample.indices.tolist(), *(sample.indices + 1).tolist()}
    gray, count = {}, 0
    frames = read_frames(video, **rgb.reading)
    for frame in crop_frames(frames, spec=rgb, path=video):
        if count in needed:
            gray[count] = frame.mean(-1)
        count += 1
    findings = [_count_pairs(sample.count, count)]
    if pixels.shape[1:3] != (spec.size, spec.size):
        actual = "not compared with the video, because the sizes differ"
        return [*findings, Finding("warning", "motion", actual, f"{spec.size}x{spec.size}")]
    inside = sample.indices < count - 1
    indices = sample.indices[inside].tolist()
    if indices:
        first, second = (np.stack([gray[index + step] for index in indices]) for step in (0, 1))
        findings.append(judge_flow(pixels[inside], first, second))
    return findings


def _count_pairs(count, frames):
    actual = f"{count} for {frames} frames of the video"
    if count in (frames - 1, frames):  # the last flow may be repeated, for streams of equal length
        return Finding("ok", "pairs", actual)
    return Finding("warning", "pairs", actual, f"{frames - 1}", "one flow for each two neighbors")


def judge_flow(flow, first, second):
    """Finds the interpretation of flow under which the second frames match the first.

    Args:
        flow: (frames, height, width, 2): x, then y, in pixels.
        first: Gray frames (frames, height, width).
        second: The frames that follow them.

    Returns:
        A `Finding`, `"ok"` unless another interpretation is clearly better than the given one.
    """
    still = float(np.abs(second - first).mean())
    errors = {
        reading: _flow_error(_reread(flow, *reading), first, second)
        for reading in itertools.product(_SWAPS, _SIGNS, _FACTORS)
    }
    unchanged = (False, (1, 1), 1.0)
    best = min(errors, key=errors.__getitem__)
    numbers = (
        f"error {errors[unchanged]:.2f} as given, {errors[best]:.2f} at best, "
        f"{still:.2f} without flow"
    )
    if errors[best] > _CLEARLY_BETTER * min(still, errors[unchanged]):
        if errors[unchanged] <= _CLEARLY_BETTER * still:
            return Finding("ok", "motion", f"carries each frame to the next ({numbers})")
        return Finding("ok", "motion", f"too little or too coarse to judge ({numbers})")
    swap, signs, factor = best
    mistakes, fix = [], "clip"
    if swap:
        mistakes, fix = ["x and y swapped"], "clip[..., ::-1]"
    if signs != (1, 1):
        which = {(-1, -1): "both signs", (-1, 1): "the sign of x", (1, -1): "the sign of y"}
        mistakes.append(f"{which[signs]} inverted")
        fix += f" * {list(signs)}" if signs != (-1, -1) else " * -1"
    if factor != 1.0:
        mistakes.append(f"{1 / factor:g} times the size")
        fix += f" * {factor:g}"
    return Finding("error", "motion", f"{', '.join(mistakes)} ({numbers})", "x, then y", fix)


def _reread(flow, swap, signs, factor):
    swapped = flow[..., ::-1] if swap else flow
    return swapped * (np.array(signs) * factor)


def _flow_error(flow, first, second):
    return float(np.abs(warp(second, flow) - first).mean())


def warp(pictures, flow):
    """Warps pictures (frames, height, width) by a flow (..., 2) in pixels, x then y.

    Bilinear, with repeated edges. Returns float64 of the pictures' shape.
    """
    count, height, width = np.shape(pictures)
    rows, columns = np.mgrid[:height, :width]
    x = np.clip(columns + flow[..., 0], 0, width - 1).astype(np.float64)
    y = np.clip(rows + flow[..., 1], 0, height - 1).astype(np.float64)
    left = np.minimum(x.astype(int), max(width - 2, 0))
    top = np.minimum(y.astype(int), max(height - 2, 0))
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = x - left, y - top
    frame = np.arange(count)[:, None, None]
    picture = np.asarray(pictures, np.float64)
    upper = picture[frame, top, left] * (1 - across) + picture[frame, top, right] * across
    lower = picture[frame, bottom, left] * (1 - across) + picture[frame, bottom, right] * across
    return upper * (1 - down) + lower * down
