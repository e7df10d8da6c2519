"""`examine_flow`: findings about an array of optical flow, alone and against its video.

A flow is right if the second frame, read where the flow points, looks like the first. The release
cuts flow at 20 pixels and divides by 20: https://github.com/google-deepmind/kinetics-i3d.
"""

import dataclasses
import itertools

import numpy as np

from kinetics_i3d.core.clip_spec import FLOW_BOUND
from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.inference.doctor.value_range import scaling_line
from kinetics_i3d.video.clip import read_clip

# What may have been done to the flow, as what undoes it: x and y swapped, signs, a factor.
SWAPS = (False, True)
SIGNS = ((1, 1), (-1, -1), (-1, 1), (1, -1))
FACTORS = (1.0, FLOW_BOUND, 1 / FLOW_BOUND)
CLEAR = 0.9  # what is better must be so by a tenth


def examine_flow_range(frames, spec):
    """Tells the range of values of flow.

    Args:
        frames: (frames, height, width, 2), numbers.
        spec: A `ClipSpec` of flow.

    Returns:
        (finding, flow): the `Finding`, and the values in pixels of motion as that reads them.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> flow = np.random.default_rng(0).normal(0, 4, (4, 32, 32, 2))
    >>> examine_flow_range(flow, DEEPMIND_FLOW)[0].mend
    'np.clip(clip, -20, 20) / 20'
    """
    values = np.asarray(frames, np.float32)
    low, high, middle = (float(np.quantile(values, q)) for q in (0, 1, 0.5))
    said = f"values from {low:.4g} to {high:.4g}"
    wants = f"{spec.low:g} to {spec.high:g}, 0 where nothing moves"
    if low == high:
        return Finding("wrong", "range", f"all values are {low:.4g}", wants), values
    target = (spec.low, spec.high)
    for name, bounds, least in (("[0, 1]", (0.0, 1.0), 0.02), ("[0, 255]", (0.0, 255.0), 5.0)):
        centre = sum(bounds) / 2
        inside = bounds[0] <= low and high <= bounds[1]
        if inside and abs(middle - centre) < 0.2 * bounds[1] and high - low > least:
            mend = scaling_line(bounds, target)
            found = f"{said} about {middle:.4g}, which is {name}"
            pixels = (values - centre) / centre * FLOW_BOUND
            return Finding("wrong", "range", found, wants, mend), pixels
    inside = spec.low - 0.02 <= low and high <= spec.high + 0.02
    if inside and (low >= 0 or high <= 0):
        found = f"{said}: all of one sign"
        mend = "keep the signs of x and y"
        return Finding("note", "range", found, wants, mend), values * FLOW_BOUND
    if not inside:
        mend = f"np.clip(clip, -{FLOW_BOUND:g}, {FLOW_BOUND:g}) / {FLOW_BOUND:g}"
        return Finding("wrong", "range", f"{said}, which is pixels", wants, mend), values
    return Finding("ok", "range", said), values * FLOW_BOUND


def compare_flow_with_video(sample, pixels, video, *, spec):
    """Holds flow against its video.

    Args:
        sample: The `Sample` of the array.
        pixels: Its values as pixels of motion.
        video: The video file.
        spec: The `ClipSpec` of the flow.

    Returns:
        A list of `Finding`s.

    Raises:
        VideoError: If the video cannot be decoded.
    """
    rgb = dataclasses.replace(spec, stream="rgb")
    grey = read_clip(video, spec=rgb).mean(-1)
    found = [_count(sample.count, len(grey))]
    if pixels.shape[1:3] != grey.shape[1:3]:
        text = "not held against the video, as the size is another one"
        return [*found, Finding("note", "motion", text, f"{spec.size}x{spec.size}")]
    inside = sample.indices < len(grey) - 1
    places = sample.indices[inside]
    if not len(places):
        return found
    first, second = grey[places], grey[places + 1]
    return [*found, judge_flow(pixels[inside], first, second)]


def judge_flow(flow, first, second):
    """Tells which reading of a flow carries the second frames back to the first.

    Args:
        flow: (frames, height, width, 2): x, then y, in pixels.
        first: (frames, height, width), grey.
        second: The frames that follow those.

    Returns:
        A `Finding`; no severity above "ok" unless one reading is clearly better than the given one.

    Example:

    >>> picture = np.random.default_rng(0).uniform(0, 255, (40, 40))
    >>> moved = np.roll(picture, 2, axis=1)
    >>> flow = np.zeros((1, 40, 40, 2))
    >>> flow[..., 1] = 2  # x and y are in each other's place
    >>> judge_flow(flow, picture[None], moved[None]).mend
    'clip[..., ::-1]'
    """
    still = float(np.abs(second - first).mean())
    errors = {
        reading: _error(_read(flow, *reading), first, second)
        for reading in itertools.product(SWAPS, SIGNS, FACTORS)
    }
    given = (False, (1, 1), 1.0)
    best = min(errors, key=errors.__getitem__)
    said = (
        f"error {errors[given]:.2f} as given, {errors[best]:.2f} at best, {still:.2f} without flow"
    )
    if errors[best] > CLEAR * min(still, errors[given]):
        if errors[given] <= CLEAR * still:
            return Finding("ok", "motion", f"carries each frame to the next ({said})")
        return Finding("ok", "motion", f"too little or too coarse to tell ({said})")
    swap, signs, factor = best
    what, mend = [], "clip"
    if swap:
        what, mend = ["x and y in each other's place"], "clip[..., ::-1]"
    if signs != (1, 1):
        which = {(-1, -1): "both signs", (-1, 1): "the sign of x", (1, -1): "the sign of y"}
        what.append(f"{which[signs]} turned")
        mend += f" * {list(signs)}" if signs != (-1, -1) else " * -1"
    if factor != 1.0:
        what.append(f"{1 / factor:g} times the size")
        mend += f" * {factor:g}"
    return Finding("wrong", "motion", f"{', '.join(what)} ({said})", "x, then y", mend)


def warp(pictures, flow):
    """Reads pictures where a flow points, bilinear, the edge repeated.

    Args:
        pictures: (frames, height, width).
        flow: (frames, height, width, 2): x, then y, in pixels.

    Returns:
        float64 (frames, height, width).

    Example:

    >>> picture = np.arange(12.0).reshape(1, 3, 4)
    >>> warp(picture, np.full((1, 3, 4, 2), (0.5, 1.0)))[0, 0]
    array([4.5, 5.5, 6.5, 7. ])
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


def _read(flow, swap, signs, factor):
    turned = flow[..., ::-1] if swap else flow
    return turned * (np.array(signs) * factor)


def _error(flow, first, second):
    return float(np.abs(warp(second, flow) - first).mean())


def _count(count, frames):
    if count in (frames - 1, frames):
        # Some repeat the last flow, so that both streams are equally long.
        return Finding("ok", "pairs", f"{count} for {frames} frames of the video")
    found = f"{count} for {frames} frames of the video"
    return Finding("note", "pairs", found, f"{frames - 1}", "one flow for each two neighbours")
