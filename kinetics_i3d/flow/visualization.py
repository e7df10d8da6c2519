"""`flow_picture`, `show_flow`: flow as colors, hue for direction and saturation for length.

The color wheel of Baker et al., "A Database and Evaluation Methodology for Optical Flow", ICCV
2007: no motion is white; right is red, down yellow, left cyan-blue and up violet.
"""

import contextlib

import numpy as np

from kinetics_i3d.flow.cache import FlowFile
from kinetics_i3d.flow.info import CHUNK
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

# (color, steps of the wheel to the next): people distinguish reds and yellows better than greens.
_WHEEL = (
    ((255, 0, 0), 15),
    ((255, 255, 0), 6),
    ((0, 255, 0), 4),
    ((0, 255, 255), 11),
    ((0, 0, 255), 13),
    ((255, 0, 255), 6),
)
_BEYOND = 0.75  # brightness of motion longer than `longest`
_EDGE = (96, 96, 96)  # the line around the legend
_SHARE = 99.5  # percent of a video's pixels that are within the color wheel; the rest are darker
_SHORTEST = 1.0  # pixels: shorter motion has pale colors


def flow_picture(flow, *, longest=None, legend=True):
    """Draws flow as colors.

    Args:
        flow: Array (height, width, 2), pixels, x then y, finite.
        longest: Pixels of motion at full saturation; longer motion is darker. None means the
            longest motion in `flow`; set a number to compare pictures.
        legend: Whether to draw the color wheel, of radius `longest`, in the lower right corner.

    Returns:
        uint8 array (height, width, 3), RGB.

    Raises:
        ValueError: If `flow` has another shape or is not finite, or `longest` is not above 0.

    Example:

    >>> right = np.broadcast_to([3.0, 0.0], (32, 32, 2))
    >>> flow_picture(right, longest=3)[0, 0]
    array([255,   0,   0], dtype=uint8)
    """
    flow = np.asarray(flow, np.float32)
    if flow.ndim != 3 or flow.shape[2] != 2 or 0 in flow.shape:
        raise ValueError(f"`flow` must be of shape (height, width, 2). Received: {flow.shape}")
    if not np.isfinite(flow).all():
        raise ValueError("`flow` must be finite. Received: nan or infinity")
    if longest is None:
        # 1 where nothing moves, which makes the picture white.
        longest = float(np.hypot(flow[..., 0], flow[..., 1]).max()) or 1.0
    if not 0 < longest < np.inf:
        raise ValueError(
            f"`longest` must be a number of pixels above 0. Received: longest={longest!r}"
        )
    picture = _colors(flow / np.float32(longest))
    if legend:
        _add_legend(picture)
    return picture


def beside_frame(frame, flow, *, longest=None, legend=True):
    """Joins a uint8 RGB frame and the picture of its flow side by side: (height, 2 * width, 3)."""
    frame, flow = np.asarray(frame), np.asarray(flow)
    if frame.dtype != np.uint8 or frame.shape != (*flow.shape[:2], 3):
        raise ValueError(
            f"`frame` must be uint8 of shape {(*flow.shape[:2], 3)}, like the flow. Received: "
            f"{frame.dtype} of shape {frame.shape}"
        )
    return np.concatenate([frame, flow_picture(flow, longest=longest, legend=legend)], axis=1)


def _colors(flow):
    """uint8 colors of flow whose full length is 1."""
    x, y = flow[..., 0], flow[..., 1]
    length = np.hypot(x, y)[..., None]
    colors, steps = zip(*_WHEEL, strict=True)
    positions = np.cumsum((0, *steps)) / sum(steps)
    turn = np.arctan2(y, x) / (2 * np.pi) % 1  # clockwise as seen, since y points down
    rims = np.array((*colors, colors[0]), np.float64).T
    rim = np.stack([np.interp(turn, positions, channel) for channel in rims], -1)
    inner = 255 - np.minimum(length, 1) * (255 - rim)
    # Lengths a little above 1 are rounding errors.
    return np.rint(np.where(length <= 1.00001, inner, rim * _BEYOND)).astype(np.uint8)


def _add_legend(picture):
    """Draws the wheel of all motions over the lower right corner."""
    height, width, _ = picture.shape
    radius = min(height, width) // 8
    if radius < 4:
        return  # too small to be readable
    side = 2 * radius + 3
    y, x = np.mgrid[:side, :side] - (radius + 1)
    distance = np.hypot(x, y)
    corner = picture[height - side - 1 : height - 1, width - side - 1 : width - 1]
    motions = np.stack([x, y], -1) / np.maximum(radius, distance)[..., None]
    inside = distance <= radius
    corner[inside] = _colors(motions)[inside]
    corner[(distance > radius) & (distance <= radius + 1.2)] = _EDGE


def show_flow(video, flow, path):
    """Writes a video of frames, each beside its flow from a flow file.

    The color scale is the same for the whole video, so that colors do not flicker.

    Args:
        video: The video.
        flow: The path of its flow file.
        path: The video to write, such as `*.mp4`.

    Returns:
        The pixels of motion at full saturation; None if there is no flow, and no file is written.

    Raises:
        FlowFileError: If the flow file is missing or damaged.
        VideoError: If the video cannot be read.

    Example:

    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> from kinetics_i3d.flow.info import flow_path
    >>> from kinetics_i3d.flow.settings import FlowSettings
    >>> video = folder / "video.mp4"
    >>> _ = write_flow_file(video, settings=FlowSettings("farneback"))
    >>> show_flow(video, flow_path(video), folder / "shown.mp4")
    1.0
    """
    with FlowFile(flow) as file:
        if not len(file):
            return None
        longest = max(_SHORTEST, _longest(file))
        frames = read_frames(video, **file.info.reading)
        with contextlib.closing(frames):
            pictures = (
                beside_frame(frame, pixels, longest=longest)
                # The last frame has no flow.
                for frame, pixels in zip(frames, _pixels(file), strict=False)
            )
            write_video(path, pictures, fps=file.info.reading["fps"])
    return longest


def _pixels(file):
    """The flows of a file; the quantized values next to 0 become 0."""
    still = 1.5 * file.info.settings.bound / 255  # no 8-bit value stands for 0
    for first in range(0, len(file), CHUNK):
        pixels = file.pixels(first, min(first + CHUNK, len(file)))
        yield from np.where(np.abs(pixels).max(-1, keepdims=True) < still, 0, pixels)


def _longest(file):
    """The length of motion that `_SHARE` percent of all pixels of a file stay below."""
    limit = file.info.settings.bound * np.sqrt(2)
    counts: np.ndarray = np.zeros(1000, np.int64)
    for pixels in _pixels(file):
        lengths = np.hypot(pixels[..., 0], pixels[..., 1])
        counts += np.histogram(lengths, bins=len(counts), range=(0, limit))[0]
    reached = np.searchsorted(np.cumsum(counts), counts.sum() * _SHARE / 100)
    return float((reached + 1) * limit / len(counts))
