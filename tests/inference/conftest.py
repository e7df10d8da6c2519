"""Tiny models, and videos to calibrate one with."""

import numpy as np
import pytest
from feature_clips import FLOW, SPEC
from short_network import tiny_model

from kinetics_i3d.video.writer import write_video


@pytest.fixture(scope="session")
def tiny():
    return tiny_model()


@pytest.fixture(scope="session")
def model(short):
    """An I3D of rgb for the clips of `feature_clips`."""
    import keras

    import kinetics_i3d as ki3d

    keras.utils.set_random_seed(0)
    model = ki3d.InceptionI3D(architecture=short, classes=3)
    model.clip_spec = SPEC
    return model


@pytest.fixture(scope="session")
def both(short):
    """A Two-Stream I3D for the same clips."""
    import keras

    import kinetics_i3d as ki3d

    keras.utils.set_random_seed(1)
    model = ki3d.TwoStreamI3D(architecture=short, classes=3)
    model.clip_specs = {"rgb": SPEC, "flow": FLOW}
    return model


@pytest.fixture(scope="session")
def calibration_videos(tmp_path_factory):
    """Paths of three videos of moving blocks."""
    folder = tmp_path_factory.mktemp("calibration")
    random = np.random.default_rng(3)
    for number in range(3):
        blocks = random.integers(0, 256, (9, 11, 3), np.uint8).repeat(4, 0).repeat(4, 1)
        frames = [np.roll(blocks, step * (number - 1), 1) for step in range(12)]
        write_video(folder / f"{number}.mp4", frames, fps=10)
    return sorted(folder.glob("*.mp4"))
