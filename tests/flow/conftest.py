"""Pictures whose motion is known: waves, which can be sampled anywhere."""

import numpy as np
import pytest


class Waves:
    """A smooth texture over the plane, of gray levels well inside 0 to 255."""

    def __init__(self, seed=0, count=40):
        random = np.random.default_rng(seed)
        length, angle = random.uniform(6, 30, count), random.uniform(0, 2 * np.pi, count)
        self.x, self.y = 2 * np.pi / length * (np.cos(angle), np.sin(angle))
        self.phase = random.uniform(0, 2 * np.pi, count)
        self.height = length / length.sum() * 200

    def __call__(self, x, y):
        """Gray levels, uint8, at coordinates of any shape."""
        x, y = np.asarray(x)[..., None], np.asarray(y)[..., None]
        levels = self.height * np.sin(self.x * x + self.y * y + self.phase)
        return np.rint(np.clip(128 + levels.sum(-1), 0, 255)).astype(np.uint8)

    def moved(self, matrix, shift, size=(64, 80)):
        """(first, second, flow): what stands at c, measured from the middle, goes to M c + s."""
        height, width = size
        y, x = np.mgrid[:height, :width] - np.array([height - 1, width - 1])[:, None, None] / 2
        here = np.stack([x, y], -1)
        before = (here - shift) @ np.linalg.inv(matrix).T
        flow = here @ np.asarray(matrix).T + shift - here
        return self(x, y), self(before[..., 0], before[..., 1]), flow.astype(np.float32)


@pytest.fixture(scope="session")
def waves():
    return Waves()


@pytest.fixture(scope="session")
def video(waves):
    """uint8 (6, 48, 64, 1): waves that go right by 1 and down by half a pixel a frame."""
    y, x = np.mgrid[:48, :64]
    return np.stack([waves(x - k, y - k / 2) for k in range(6)])[..., None]
