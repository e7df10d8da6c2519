"""`examine_video`: findings about a video file and the clip that a spec makes of it.

Thresholds were set so that ordinary videos of people give no finding worse than "ok".
"""

import numpy as np

from kinetics_i3d.inference.doctor.report import Finding
from kinetics_i3d.inference.doctor.scan import scan
from kinetics_i3d.video.clip import read_clip

MINIMUM_FRAMES = 9  # of I3D with its classifier
LOOKED_AT = 64  # frames of the clip whose values are looked at


def examine_video(path, *, spec, frames=None):
    """Looks at a video.

    Args:
        path: The file.
        spec: A `ClipSpec` of rgb.
        frames: Length of the clips that the model was trained on; None where nobody knows.

    Returns:
        A list of `Finding`s.

    Raises:
        VideoError: If the file is no video or not one picture can be decoded.
    """
    facts = scan(path)
    found = [
        _container(facts),
        _rate(facts, spec),
        _steadiness(facts),
        _count(facts),
        _size(facts, spec),
        _crop(facts, spec),
    ]
    found += [_length(facts, frames, spec), *_pictures(facts, spec)]
    if spec.resized(facts.height, facts.width)[1] < spec.size:
        return found  # There is no clip, as the crop does not fit.
    count = min(LOOKED_AT, facts.count_at(spec.fps))
    return found + list(_looks(read_clip(path, spec=spec, frames=count), spec))


def _container(facts):
    turned = f", turned by {facts.rotation} degrees for showing" if facts.rotation else ""
    return Finding(
        "ok",
        "container",
        f"{facts.codec}, {facts.pixels}, {facts.depth} bit, {facts.width}x{facts.height}{turned}, "
        f"time base {facts.tick}",
    )


def _rate(facts, spec):
    fps, wants = facts.fps, f"{spec.fps:g} fps"
    if fps <= spec.fps / 2:
        found = f"{fps:.4g} fps, so that each frame is shown {spec.fps / fps:.1f} times"
        return Finding("note", "fps", found, wants, "a video of a higher rate")
    dropped = f", of which {spec.fps:g} are taken" if fps >= 2 * spec.fps else ""
    return Finding("ok", "fps", f"{fps:.4g} a second{dropped}")


def _steadiness(facts):
    gaps = np.diff(facts.times)
    if len(gaps) < 2:
        return Finding("ok", "timing", "too few frames to tell")
    usual = np.median(gaps)
    # Some formats round times to milliseconds.
    odd = np.abs(gaps - usual) > 0.25 * usual + 0.002
    if odd.mean() > 0.02:
        found = f"variable frame rate: frames last {1e3 * gaps.min():.0f} to {1e3 * gaps.max():.0f}"
        mend = "sample by time, as read_frames does; counting frames would warp time"
        return Finding("note", "timing", f"{found} ms", "equal steps", mend)
    return Finding("ok", "timing", f"steady, {1e3 * usual:.4g} ms a frame")


def _count(facts):
    count = len(facts.times)
    if facts.damage:
        found = f"{count} frames, past {len(facts.damage)} damaged places ({facts.damage[0]})"
        return Finding("note", "frames", found, "a sound file", "get the file anew")
    if not facts.whole:
        return Finding("ok", "frames", f"looked at the first {count}, {facts.times[-1]:.1f} s")
    if facts.claimed and facts.claimed != count:
        found = f"{count} decoded, {facts.claimed} by the header"
        return Finding("note", "frames", found, "equal", "trust the decoded ones")
    seconds = "" if facts.duration is None else f", {facts.duration:.2f} s"
    return Finding("ok", "frames", f"{count}{seconds}")


def _size(facts, spec):
    height, width = facts.height, facts.width
    new = spec.resized(height, width)
    scale = max(new[0] / height, new[1] / width)
    if scale >= 1.5:
        found = f"{width}x{height}, enlarged {scale:.1f} times"
        return Finding("note", "size", found, f"{min(new)} pixels", "a larger original")
    return Finding("ok", "size", f"{width}x{height} becomes {new[1]}x{new[0]}")


def _crop(facts, spec):
    height, width = spec.resized(facts.height, facts.width)
    if width < spec.size:
        found = f"{width} pixels wide at a height of {height}"
        wants = f"{spec.size} for the crop"
        return Finding("wrong", "crop", found, wants, "a spec that resizes the short side")
    lost = 1 - spec.size**2 / (height * width)
    aspect = max(facts.height, facts.width) / min(facts.height, facts.width)
    mend = "cut the video to where the action is"
    if aspect >= 2.1:
        if spec.resize == "stretch":
            found = f"sides of 1 to {aspect:.1f} are squeezed into a square"
        else:
            found = f"the crop loses {100 * lost:.0f} % of the picture"
        return Finding("note", "crop", found, "sides of 1 to 2 at most", mend)
    kept = "all of" if spec.resize == "stretch" else f"{100 * (1 - lost):.0f} % of"
    return Finding("ok", "crop", f"{spec.size}x{spec.size} holds {kept} the picture")


def _pictures(facts, spec):
    """What is amiss with the pictures themselves; nothing where nothing is."""
    count = len(facts.times)
    if facts.interlaced:
        found = f"{facts.interlaced} of {count} frames are interlaced"
        yield Finding("note", "fields", found, "whole frames", "ffmpeg -i IN -vf bwdif OUT")
    bars = bars_in_crop(facts.bars, spec.resized(facts.height, facts.width), spec.size)
    lost = 100 - (100 - bars[0] - bars[1]) * (100 - bars[2] - bars[3]) / 100
    if lost >= 2:
        sides = zip(("top", "bottom", "left", "right"), bars, strict=True)
        where = ", ".join(f"{name} {share:.0f} %" for name, share in sides if share)
        found = f"black bars over {lost:.0f} % of the crop ({where})"
        yield Finding("note", "bars", found, "none", "ffmpeg -i IN -vf crop=W:H:X:Y OUT")
    black = (facts.means < 10) & (facts.contrasts < 4)
    if black.all():
        yield Finding("wrong", "light", "every frame is black", "a picture", "another file")
    elif black.any():
        yield Finding("note", "light", f"{black.sum()} of {count} frames are black", "none")
    elif facts.means.mean() < 35:
        found = f"very dark: mean brightness {facts.means.mean():.0f} of 255"
        yield Finding("note", "light", found, "40 or more")
    if count > 1 and facts.still[1:].all():
        yield Finding("note", "motion", "all frames are the same", "motion")
    elif facts.still.mean() > 0.2:
        found = f"{facts.still.sum()} of {count} frames repeat the one before"
        yield Finding("note", "motion", found, "frames that differ", "the original recording")


def bars_in_crop(bars, size, crop):
    """Black borders as percent of the sides of the centre crop.

    Args:
        bars: (top, bottom, left, right), shares of a picture's sides.
        size: (height, width) of the picture.
        crop: Side of the square in its middle.

    Returns:
        (top, bottom, left, right), 0 to 100.

    Example:

    >>> bars_in_crop((0.25, 0.25, 0.1, 0.0), (100, 200), 100)
    (25.0, 25.0, 0.0, 0.0)
    """
    sides = (size[0], size[0], size[1], size[1])
    inside = (share * side - (side - crop) / 2 for share, side in zip(bars, sides, strict=True))
    return tuple(100 * max(0.0, pixels) / crop for pixels in inside)


def _length(facts, frames, spec):
    count = facts.count_at(spec.fps)
    text = f"{count} frames at {spec.fps:g} fps"
    if not facts.whole:
        return Finding("ok", "length", f"{text} and more")
    if count < MINIMUM_FRAMES:
        return Finding("note", "length", f"{text}, looped", f"{MINIMUM_FRAMES} or more")
    if frames and count < frames:
        wants = f"{frames} as in training"
        return Finding("note", "length", f"{text}; load_clip(frames={frames}) loops them", wants)
    return Finding("ok", "length", text)


def _looks(clip, spec):
    values = spec.normalize(clip[:: max(1, len(clip) // 16)])
    low, high = float(values.min()), float(values.max())
    mean = " ".join(f"{value:.2f}" for value in values.mean((0, 1, 2)))
    contrast = values.std() / (spec.high - spec.low)
    shape = f"{clip.shape[1:]} a frame, {low:.2f} to {high:.2f}"
    text = f"{shape}, mean red green blue {mean}, contrast {100 * contrast:.0f} %"
    yield Finding("ok", "clip", text)
    if contrast < 0.04:
        found = f"contrast of {100 * contrast:.1f} % of the range"
        yield Finding("note", "contrast", found, "4 % or more")
