"""`overlay_heatmap`, `draw_grad_cam`: heatmaps over the frames that they explain.

Colors: viridis by van der Walt and Smith, https://bids.github.io/colormap, which is monotonic in
lightness, so that it can be read in grey and with color vision deficiencies.
"""

from typing import Any

import numpy as np

from kinetics_i3d.core.types import PathLike
from kinetics_i3d.visualization.frame_files import check_frames_path, write_frames
from kinetics_i3d.visualization.grad_cam import GradCAM

# At equal steps from 0 to 1, RGB.
_VIRIDIS = (
    *((68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142)),
    *((31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37)),
)
_FADED = 0.6  # share of grey in frames below the colors
_LEVEL = 0.5  # of the line around the hottest part
_LINE = (255, 255, 255)


def overlay_heatmap(frames: Any, heatmap: Any, *, opacity: float = 0.7) -> np.ndarray:
    """Draws a heatmap over frames, and a white line where it is 0.5.

    Frames are faded to grey. The colors of the heatmap, from violet through green to yellow, cover
    them with an opacity that rises from 0 where the heatmap is 0 to `opacity` where it is 1.

    Args:
        frames: uint8 (frames, height, width, 3), RGB.
        heatmap: (frames, height, width), 0 to 1.
        opacity: Share of the color where the heatmap is 1, 0 to 1.

    Returns:
        uint8 (frames, height, width, 3).

    Raises:
        ValueError: If a shape does not fit, or a value is outside its range.

    Example:

    >>> frames = np.zeros((2, 8, 8, 3), np.uint8)
    >>> overlay_heatmap(frames, np.ones((2, 8, 8)), opacity=1.0)[0, 0, 0]
    array([253, 231,  37], dtype=uint8)
    """
    frames, heatmap = np.asarray(frames), np.asarray(heatmap, np.float32)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape != (*heatmap.shape, 3):
        raise ValueError(
            "`frames` must be uint8 (frames, height, width, 3), and `heatmap` the same without the "
            f"channels. Received: {frames.dtype} of shape {frames.shape}, and {heatmap.shape}"
        )
    if not (heatmap.min() >= 0 and heatmap.max() <= 1):
        raise ValueError("`heatmap` must be 0 to 1. Received: values outside this range")
    if not 0 <= opacity <= 1:
        raise ValueError(f"`opacity` must be 0 to 1. Received: opacity={opacity!r}")
    # One frame at a time: a video of floats would need four times its memory.
    drawn = [_overlay(frame, heat, opacity) for frame, heat in zip(frames, heatmap, strict=True)]
    return np.stack(drawn)


def _overlay(frame, heat, opacity):
    grey = frame.mean(axis=-1, keepdims=True)
    faded = _FADED * grey + (1 - _FADED) * frame
    share = opacity * heat[..., None]
    picture = np.rint((1 - share) * faded + share * _colors(heat)).astype(np.uint8)
    picture[_edge(heat >= _LEVEL)] = _LINE
    return picture


def _colors(heat):
    positions = np.linspace(0, 1, len(_VIRIDIS))
    channels = np.array(_VIRIDIS, np.float32).T
    return np.stack([np.interp(heat, positions, channel) for channel in channels], axis=-1)


def _edge(inside):
    """The pixels of a mask that touch one outside it."""
    around = np.pad(inside, 1, mode="edge")
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return inside & ~inner


def draw_grad_cam(path: PathLike, cam: GradCAM) -> None:
    """Draws a Grad-CAM heatmap over its frames.

    Args:
        path: The file to write, atomically: a video, such as `*.mp4`; an animation, `*.gif`; or
            `*.png`, a picture of eight of the frames.
        cam: The result of `grad_cam`.

    Raises:
        UserError: If `path` has another suffix, or Pillow, which GIF and PNG need, is missing.
        ValueError: If `cam` is not a `GradCAM`.

    Example:

    >>> cam = ki3d.grad_cam("rgb_figures", folder / "video.mp4")
    >>> ki3d.draw_grad_cam(folder / "grad_cam.gif", cam)
    """
    path = check_frames_path(path)
    if not isinstance(cam, GradCAM):
        raise ValueError(f"`cam` must be a result of grad_cam(). Received: {type(cam).__name__}")
    title = f"{cam.label}, {100 * cam.probability:.1f} %"
    write_frames(path, overlay_heatmap(cam.frames, cam.heatmap), fps=cam.fps, title=title)
