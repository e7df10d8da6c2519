"""`draw_flow`: frames beside the colors of their flow."""

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.visualization.flow_frames import flow_frames


def test_directions_have_their_colors_and_stillness_is_white():
    flow = np.zeros((2, 8, 8, 2), np.float32)
    flow[..., 0] = 1 / 255  # as close to 0 as 8 bits are
    flow[1, :, 4:] = (0.5, 0)  # 10 pixels to the right
    pictures = flow_frames(flow)
    assert (pictures[0] == 255).all() and (pictures[1, :, :4] == 255).all()
    assert (pictures[1, :, 4:] == (255, 0, 0)).all()


def test_a_picture_shows_frames_beside_their_flow(tmp_path):
    from PIL import Image

    frames = np.full((5, 256, 256, 3), 90, np.uint8)
    video = ki3d.VideoFrames(frames, fps=25)
    ki3d.draw_flow(tmp_path / "flow.png", video, frames=2)
    with Image.open(tmp_path / "flow.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape[1] < 2 * (224 + 16) + 16  # two of the frames, not all four
    row = pixels[pixels.shape[0] // 2 - 10]
    left, right = row[20:120], row[132:200]
    assert (np.abs(left.astype(int) - 90) < 4).mean() > 0.9 and (right == 255).mean() > 0.9


def test_a_single_frame_has_no_flow(tmp_path):
    video = ki3d.VideoFrames(np.zeros((1, 256, 256, 3), np.uint8), fps=25)
    with pytest.raises(ki3d.VideoError, match="a single frame has no flow"):
        ki3d.draw_flow(tmp_path / "flow.png", video)
    with pytest.raises(ValueError, match="`frames` must be a whole number above 0"):
        ki3d.draw_flow(tmp_path / "flow.png", video, frames=0)
