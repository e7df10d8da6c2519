"""`show_flow`: a video beside the colours of its flow, for people to look at.

The colours are those of `flow_picture`, with one length for the whole video, so that none flicker.
"""

import contextlib

import numpy as np

from kinetics_i3d.flow.cache import FlowFile
from kinetics_i3d.flow.info import CHUNK
from kinetics_i3d.flow.picture import beside_frame
from kinetics_i3d.video.reader import read_frames
from kinetics_i3d.video.writer import write_video

SHARE = 99.5  # percent of all pixels that have a colour of their own; the rest is drawn darker
SHORTEST = 1.0  # pixels: what moves by less has pale colours


def show_flow(video, flow, path):
    """Writes the frames of a video, each beside its flow as a flow file holds it.

    Args:
        video: The video.
        flow: The path of its flow file.
        path: The video to write, such as `*.mp4`.

    Returns:
        The pixels of motion that have the full colour, or None if there is no flow to show; then
        no file is written.

    Raises:
        FlowFileError: If the flow file is missing or damaged.
        VideoError: If the video cannot be read.

    Example:

    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> from kinetics_i3d.flow.paths import flow_path
    >>> from kinetics_i3d.flow.video import FlowSettings
    >>> video = folder / "video.mp4"
    >>> _ = write_flow_file(video, settings=FlowSettings("farneback"))
    >>> show_flow(video, flow_path(video), folder / "shown.mp4")
    1.0
    """
    with FlowFile(flow) as file:
        if not len(file):
            return None
        longest = max(SHORTEST, _longest(file))
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
    """The flows of a file, where those that are coded as next to nothing are nothing."""
    still = 1.5 * file.info.settings.bound / 255  # 8 bits have no code for 0
    for first in range(0, len(file), CHUNK):
        pixels = file.pixels(first, min(first + CHUNK, len(file)))
        yield from np.where(np.abs(pixels).max(-1, keepdims=True) < still, 0, pixels)


def _longest(file):
    """The length of flow that all but a few of a file's pixels stay below."""
    limit = file.info.settings.bound * np.sqrt(2)
    counts: np.ndarray = np.zeros(1000, np.int64)
    for pixels in _pixels(file):
        lengths = np.hypot(pixels[..., 0], pixels[..., 1])
        counts += np.histogram(lengths, bins=len(counts), range=(0, limit))[0]
    reached = np.searchsorted(np.cumsum(counts), counts.sum() * SHARE / 100)
    return float((reached + 1) * limit / len(counts))
