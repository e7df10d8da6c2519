"""Grey levels: by exact fractions, and as OpenCV's to the bit."""

import fractions

import numpy as np
import pytest

from kinetics_i3d.flow.compute import to_grey


def test_levels_are_the_weighed_sum_rounded():
    weights = [fractions.Fraction(w) for w in ("0.299", "0.587", "0.114")]
    pixels = np.random.default_rng(0).integers(0, 256, (500, 3), np.uint8)
    for pixel, level in zip(pixels.tolist(), to_grey(pixels).tolist(), strict=True):
        exact = sum(w * value for w, value in zip(weights, pixel, strict=True))
        assert abs(level - exact) < fractions.Fraction(51, 100)
    greys = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_grey(np.stack([greys] * 3, -1)), greys)


def test_it_is_opencv_s_to_the_bit():
    cv2 = pytest.importorskip("cv2", reason="needs opencv-contrib-python-headless, an extra")
    for red in (0, 1, 77, 128, 200, 255):
        green, blue = np.mgrid[:256, :256].astype(np.uint8)
        frame = np.stack([np.full_like(green, red), green, blue], -1)
        np.testing.assert_array_equal(to_grey(frame), cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))


def test_one_channel_is_grey_already():
    frames = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 1), np.uint8)
    np.testing.assert_array_equal(to_grey(frames), frames[..., 0])
