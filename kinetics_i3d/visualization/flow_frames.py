"""`draw_flow`: a video beside its optical flow in colors."""

import contextlib
import itertools

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import DEEPMIND, FLOW_BOUND
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, check_count
from kinetics_i3d.data.streams import read_streams
from kinetics_i3d.flow.visualization import flow_picture
from kinetics_i3d.video.video_frames import VideoFrames, check_video
from kinetics_i3d.visualization.frame_files import check_frames_path, write_frames

_SHARE = 99.5  # percent of the pixels within the color wheel; the rest is drawn darker
_SHORTEST = 1.0  # pixels: shorter motion has pale colors


def draw_flow(path: PathLike, video: PathLike | VideoFrames, *, frames: int = 250) -> None:
    """Draws the frames of a video beside their optical flow.

    The hue is the direction and the saturation the length of the motion, on one scale for the whole
    video. Flow is read from the file that `kinetics-i3d flow` has stored beside the video, or else
    computed.

    Args:
        path: The file to write, atomically: a video, such as `*.mp4`; an animation, `*.gif`; or
            `*.png`, a picture of eight of the frames.
        video: A local video file, or `VideoFrames`.
        frames: Maximum number of frames to draw, sampled at 25 per second.

    Raises:
        UserError: If `path` has another suffix, or Pillow, which GIF and PNG need, is missing.
        ValueError: If `frames` is below 1.
        VideoError: If the video cannot be decoded, or has a single frame and therefore no flow.

    Example:

    >>> ki3d.draw_flow(folder / "flow.gif", folder / "video.mp4", frames=3)
    """
    path = check_frames_path(path)
    check_count("frames", frames)
    video = check_video(video)
    specs = StreamSpecs(DEEPMIND, ("rgb", "flow"))
    with contextlib.closing(read_streams(video, specs)) as pairs:
        both = list(itertools.islice(pairs, frames))
        if next(pairs, None) is not None:
            seconds = frames / specs["flow"].fps
            logging.warning("%s: only the first %d frames (%g s) are drawn", video, frames, seconds)
    if not both:
        raise VideoError(f"{video}: a single frame has no flow; two are needed")
    flow = np.stack([specs["flow"].normalize(pair["flow"]) for pair in both])
    pictures = flow_frames(flow, legend=True)
    shown = [
        np.concatenate([pair["rgb"], picture], axis=1)
        for pair, picture in zip(both, pictures, strict=True)
    ]
    write_frames(path, np.stack(shown), fps=specs["flow"].fps, title=f"{video}: optical flow")


def flow_frames(values, *, legend=False):
    """Pictures (frames, height, width, 3) of flow, -1 to 1, in colors on one scale for all."""
    pixels = np.asarray(values, np.float32) * FLOW_BOUND
    still = 1.5 * FLOW_BOUND / 255  # no 8-bit value stands for 0
    pixels = np.where(np.abs(pixels).max(axis=-1, keepdims=True) < still, 0, pixels)
    lengths = np.hypot(pixels[..., 0], pixels[..., 1])
    longest = max(_SHORTEST, float(np.percentile(lengths, _SHARE)))
    return np.stack([flow_picture(flow, longest=longest, legend=legend) for flow in pixels])
