"""`compare_with_video`: holds an array of rgb against the video that it was made from.

Small pictures of both are compared under every way in which people's arrays differ: order of
channels, way up, crop, first frame, rate, brightness.
"""

import itertools

import numpy as np

from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.reader import read_frames, video_info

GRID = 16  # cells of a small picture's side
MOST = 600  # frames of the video that are searched
LIMITED = (219 / 255, 16.0)  # factor and offset of video levels taken for those of pictures

# What was done to the picture, as a function of (..., height, width, channels), and what undoes it.
TURNS = {
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
CROPS = ("crop", "whole picture, squeezed", "largest square")


def compare_with_video(sample, video, *, spec, in_range=True):
    """Finds what an array did to a video.

    Args:
        sample: A `Sample` of the array.
        video: The video file.
        spec: The `ClipSpec` that says what should have been done.
        in_range: Whether the values are in the spec's range, so that brightness can be compared.

    Returns:
        A list of `Finding`s.

    Raises:
        VideoError: If the video cannot be decoded.
    """
    theirs = shrink(sample.frames)
    ours = read_small(video, spec)
    rates = sorted({1.0, 0.5, 2.0, spec.fps / video_info(video).fps})
    usual: tuple = ("", CROPS[0], 1.0, 0)
    errors: dict = {}
    for turn, crop, rate in itertools.product(TURNS, CROPS, rates):
        turned = TURNS[turn][0](ours[crop])
        for start, error in enumerate(_alignments(theirs, turned, sample.indices, rate)):
            errors[turn, crop, rate, start] = error
    best = min(errors, key=errors.__getitem__)
    if errors[usual] - errors[best] < 0.01 or errors[best] > 0.6 * errors[usual]:
        best = usual
    findings = []
    if errors[best] > 1.0:
        found = f"the array does not look like {video}"
        return [Finding("wrong", "video", found, "frames of that video", "another --video")]
    # A part of the answer counts only if the usual one in its place is clearly worse.
    for part, usually in enumerate(usual):
        plain = (*best[:part], usually, *best[part + 1 :])
        if best[part] == usually or errors[plain] < 1.3 * errors[best] + 0.005:
            best = plain
    findings += _geometry(best, spec)
    turned = TURNS[best[0]][0](ours[best[1]])
    places = np.minimum(np.rint(best[3] + best[2] * sample.indices).astype(int), len(turned) - 1)
    seen = turned[places]
    findings.append(channel_order(theirs, seen))
    if in_range and findings[-1].severity == "ok":
        findings += _levels(theirs, seen, spec)
    return findings


def read_small(video, spec):
    """Small pictures of a video's first frames, by each of `CROPS`; float64 (frames, 16, 16, 3)."""
    small: dict = {crop: [] for crop in CROPS}
    frames = read_frames(video, **spec.reading)
    for frame in itertools.islice(frames, MOST):
        small[CROPS[0]].append(shrink(center_crop(frame, min(spec.size, *frame.shape[:2]))[None]))
        small[CROPS[1]].append(shrink(frame[None]))
        small[CROPS[2]].append(shrink(center_crop(frame, min(frame.shape[:2]))[None]))
    frames.close()
    return {crop: np.concatenate(parts) for crop, parts in small.items()}


def shrink(frames):
    """Means over a 16x16 grid of cells.

    Args:
        frames: (frames, height, width, channels), both sides 16 or more.

    Returns:
        float64 (frames, 16, 16, channels).

    Example:

    >>> shrink(np.ones((2, 33, 40, 3))).shape
    (2, 16, 16, 3)
    """
    small = np.asarray(frames, np.float64)
    for axis in (1, 2):
        edges = np.linspace(0, small.shape[axis], GRID + 1).astype(int)
        sums = np.add.reduceat(small, edges[:-1], axis=axis)
        shape = [1] * 4
        shape[axis] = GRID
        small = sums / np.diff(edges).reshape(shape)
    return small


def channel_order(theirs, ours):
    """Tells the order of an array's channels from the right pictures.

    Args:
        theirs: (frames, height, width, 3), of any range.
        ours: The same pictures in the right order.

    Returns:
        A `Finding`.

    Example:

    >>> right = np.random.default_rng(0).uniform(0, 1, (4, 16, 16, 3))
    >>> channel_order(right[..., ::-1], right).mend
    'clip[..., ::-1]'
    """
    # The differences between channels, so that what they share does not drown the rest.
    colour = ours - ours.mean(-1, keepdims=True)
    if colour.std() < 0.02 * max(ours.std(), 1e-9):
        return Finding("ok", "channels", "the video is grey, so that their order cannot matter")
    scaled = _standard(theirs)
    right = _standard(ours)
    orders = list(itertools.permutations(range(3)))
    errors = [float(((scaled[..., order] - right) ** 2).mean()) for order in orders]
    best = orders[int(np.argmin(errors))]
    if best != (0, 1, 2) and min(errors) < 0.6 * errors[0] and errors[0] - min(errors) > 0.002:
        name = "".join("RGB"[best.index(channel)] for channel in range(3))
        mend = "clip[..., ::-1]" if best == (2, 1, 0) else f"clip[..., {list(best)}]"
        return Finding("wrong", "channels", f"in the order {name}", "RGB", mend)
    return Finding("ok", "channels", "red, green, blue, as in the video")


def _standard(values):
    return (values - values.mean()) / max(float(values.std()), 1e-9)


def _alignments(theirs, ours, indices, rate):
    """Mean squared difference of brightness for each first frame 0, 1, ..., inf where too short."""
    a = _standard(theirs.mean(-1)).reshape(len(theirs), -1)
    b = _standard(ours.mean(-1)).reshape(len(ours), -1)
    table = (a**2).mean(1)[:, None] + (b**2).mean(1)[None] - 2 * (a @ b.T) / a.shape[1]
    places = np.rint(rate * indices).astype(int)
    for start in range(len(b)):
        inside = start + places < len(b)
        # An array may run on where the video ends, looped; at least its half has to be there.
        if inside.mean() < 0.5 and start:
            yield np.inf
        else:
            rows = np.flatnonzero(inside)
            yield float(table[rows, start + places[rows]].mean())


def _geometry(best, spec):
    turn, crop, rate, start = best
    if turn:
        yield Finding("wrong", "way up", turn, "as players show it", TURNS[turn][1])
    if crop != CROPS[0]:
        wants = f"{spec.resize} to {spec.short_side}, then the centre {spec.size}"
        yield Finding("note", "crop", crop, wants, "resize and crop as the spec says")
    if rate != 1.0:
        found = f"{spec.fps / rate:.4g} frames a second"
        yield Finding("wrong", "fps", found, f"{spec.fps:g}", "sample by time, as read_frames does")
    if start:
        found = f"begins at frame {start}, {start / spec.fps:.2f} s"
        yield Finding("note", "start", found, "frame 0, unless that was meant")
    if best == ("", CROPS[0], 1.0, 0):
        yield Finding("ok", "video", "frames, crop and way up are those of the video")


def _levels(theirs, ours, spec):
    pixels = (theirs - spec.low) * 255 / (spec.high - spec.low)
    factor, offset = np.polyfit(ours.ravel(), pixels.ravel(), 1)
    found = f"pixels are {factor:.2f} times those of the video, {offset:+.0f}"
    if abs(factor - LIMITED[0]) < 0.04 and abs(offset - LIMITED[1]) < 8:
        mend = "read levels 16 to 235 as 0 to 255"
        yield Finding("note", "levels", f"{found}: levels of video", "0 to 255", mend)
    elif abs(factor - 1) > 0.1 or abs(offset) > 12:
        yield Finding("note", "levels", found, "1.00 times, +0", "leave brightness alone")
    else:
        yield Finding("ok", "levels", "as bright as the video")
