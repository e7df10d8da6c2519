"""Videos that the doctor examines, and clips made of them."""

import numpy as np
import pytest
from doctor_cases import SPEC, texture

from kinetics_i3d.video.clip import load_clip
from kinetics_i3d.video.writer import write_video


@pytest.fixture(scope="session")
def video(tmp_path_factory):
    """A camera that pans over a colored texture: 40 frames, 64x96, 25 a second."""
    wall = texture(64, 300)
    wall[20:23], wall[23:26] = 0, 255  # something black and something white
    path = tmp_path_factory.mktemp("doctor") / "pan.mp4"
    frames = (wall[:, 3 * k : 3 * k + 96].astype(np.uint8) for k in range(40))
    write_video(path, frames, fps=25)
    return path


@pytest.fixture(scope="session")
def clip(video):
    return load_clip(video, spec=SPEC)[0]


def shifted(dx, dy, frames=12, size=64):
    """Frames of a texture that moves by (dx, dy) pixels a frame, uint8 (frames, size, size, 3)."""
    wall = texture(size + 120, size + 120, seed=3, coarse=5)
    return np.stack(
        [
            wall[60 - dy * k : 60 - dy * k + size, 60 - dx * k : 60 - dx * k + size]
            for k in range(frames)
        ]
    ).astype(np.uint8)


@pytest.fixture(scope="session")
def moving(tmp_path_factory):
    """(video, its flow in the range of the spec): 3 pixels to the right, 1 upward a frame."""
    path = tmp_path_factory.mktemp("flow") / "moving.mp4"
    write_video(path, shifted(3, -1), fps=25)
    flow = np.zeros((11, 64, 64, 2), np.float32)
    flow[..., 0], flow[..., 1] = 3 / 20, -1 / 20
    flow += np.random.default_rng(0).normal(0, 0.002, flow.shape)
    return path, flow.astype(np.float32)
