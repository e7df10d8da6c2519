"""What TensorBoard is shown of clips."""

import numpy as np

from kinetics_i3d.training.board import strip


def test_a_strip_has_frames_from_the_first_to_the_last_in_order():
    levels = np.linspace(-1, 1, 9, dtype=np.float32)
    clip = np.broadcast_to(levels[:, None, None, None], (9, 2, 3, 3))
    found = strip(clip, frames=3)
    assert found.shape == (2, 9, 3) and found.dtype == np.uint8
    assert found[0, ::3, 0].tolist() == [0, 128, 255]


def test_flow_is_red_and_green():
    clip = np.zeros((1, 2, 2, 2), np.float32)
    clip[..., 0], clip[..., 1] = 1, -1
    assert strip(clip, frames=8)[0, 0].tolist() == [255, 0, 128]
