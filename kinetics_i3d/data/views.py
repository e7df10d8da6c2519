"""Test views: a whole video as one clip, or as several where one would be too long.

Carreira & Zisserman, CVPR 2017, section 2.5: the whole video, centre crop, predictions averaged
over time. The paper's longest clip, 250 frames, bounds the memory.
"""

import numpy as np

from kinetics_i3d.video.clip import crop_frames, loop_frames
from kinetics_i3d.video.reader import read_frames

WINDOW = 250


def whole_video(path, *, spec, minimum=9, window=WINDOW):
    """Reads a video from end to end in windows, one in memory at a time.

    Args:
        path: The file.
        spec: A `ClipSpec`.
        minimum: Least frames of a view. A shorter video is looped; a shorter rest is filled up with
            the frames before it.
        window: Most frames of a view.

    Yields:
        (clips, share): float32 (1, frames, spec.size, spec.size, 3) in the spec's range, and the
        number of frames that no earlier view held.

    Raises:
        ValueError: If `window` is below `minimum`.
        VideoError: If the file cannot be decoded.
    """
    if window < minimum:
        raise ValueError(
            f"`window` must be at least `minimum`. Received: window={window}, minimum={minimum}"
        )
    before, view = [], []
    frames = read_frames(path, **spec.reading)
    for frame in crop_frames(frames, spec=spec, path=path):
        view.append(frame)
        if len(view) == window:
            yield spec.normalize(view)[np.newaxis], window
            before, view = view[-minimum:], []
    if view:
        clip = np.stack((before + view)[-max(minimum, len(view)) :])
        yield spec.normalize(loop_frames(clip, max(minimum, len(clip))))[np.newaxis], len(view)
