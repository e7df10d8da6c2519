"""The clips of the tests of features: their specs, and videos of noise."""

import dataclasses

import numpy as np

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec

SPEC = ClipSpec("tiny", fps=25, short_side=32, size=32)
FLOW = dataclasses.replace(SPEC, name="tiny_flow", stream="flow")


def noise(frames, *, fps=25, size=(32, 40), seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (frames, *size, 3), np.uint8)
    return ki3d.VideoFrames(pixels, fps=fps)
