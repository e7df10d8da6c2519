"""`spread_frames`: frames at even distances from a video of any length, for pictures of it."""

import numpy as np

from kinetics_i3d.video.reader import read_frames

OUTSIDE = 0.5  # brightness of what a model does not see


def spread_frames(path, count, *, fps, short_side):
    """Picks frames at even distances from a video of any length, of which few are held at a time.

    Args:
        path: The video.
        count: How many, 1 or more.
        fps: Frames a second to pick from.
        short_side: Pixels of their smaller side.

    Returns:
        A list of (seconds, uint8 (height, width, 3)): the middles of `count` equal parts, or all
        frames of a video that has no more.

    Raises:
        ValueError: If `count` is below 1.
        VideoError: If the file cannot be decoded.

    Example:

    >>> strip = spread_frames(folder / "video.mp4", 4, fps=25, short_side=48)
    >>> [round(seconds, 2) for seconds, frame in strip]
    [0.12, 0.36, 0.6, 0.84]
    """
    if not isinstance(count, int) or count < 1:
        raise ValueError(f"`frames` must be a whole number above 0. Received: frames={count!r}")
    kept, step = [], 1
    for index, frame in enumerate(read_frames(path, fps=fps, short_side=short_side)):
        if index % step == 0:
            kept.append((index / fps, frame))
        # The length is known at the end only, so the net is made wider as the video goes on.
        if len(kept) > 8 * count:
            kept, step = kept[::2], 2 * step
    if len(kept) <= count:
        return kept
    return [kept[int((part + 0.5) * len(kept) / count)] for part in range(count)]


def seen(frame, spec):
    """The frame with all that lies outside the centre crop of `spec` darkened; uint8."""
    height, width, _ = frame.shape
    new_height, new_width = spec.resized(height, width)
    top = round(height * (1 - spec.size / new_height) / 2)
    left = round(width * (1 - spec.size / new_width) / 2)
    shown = (frame * OUTSIDE).astype(np.uint8)
    inside = (slice(top, height - top), slice(left, width - left))
    shown[inside] = frame[inside]
    return shown
