"""Preprocessing by products with matrices, against TensorFlow's own operation and a crop."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.exporting import in_graph, products
from kinetics_i3d.flow.quantization import dequantize_flow
from kinetics_i3d.video.clip import center_crop

SPEC = ClipSpec("tiny", short_side=24, size=20, low=-0.5, high=2.0)


def pixels_by(room, frames, spec):
    """The clip of `room.frames_to_clips` in pixels, which are whole numbers."""
    clips = room.frames_to_clips(tf.constant(frames), spec).numpy()
    pixels = (clips - spec.low) * 255 / (spec.high - spec.low)
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-3)
    return pixels


CASES = [
    *[
        ((24, 31), "bilinear"),
        ((60, 47), "bilinear"),
        ((13, 17), "bilinear"),
        ((20, 33), "bilinear"),
    ],
    *[((13, 17), "area_cubic"), ((20, 23), "area_cubic")],  # enlarged
]


@pytest.mark.parametrize(("size", "interpolation"), CASES)
@pytest.mark.parametrize("resize", ["short_side", "stretch", "height"])
def test_pixels_are_those_of_the_operation(size, resize, interpolation):
    side = 24 if resize == "stretch" else 18
    spec = dataclasses.replace(SPEC, resize=resize, interpolation=interpolation, size=side)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, *size, 3), np.uint8)
    found, wanted = (pixels_by(room, frames, spec) for room in (products, in_graph))
    assert found.shape == (2, 3, side, side, 3)
    # Halves may round either way, and nothing else.
    off = np.abs(found - wanted)
    assert off.max() < 1.01 and (off > 0.5).mean() < 0.02, (off.max(), (off > 0.5).mean())


def areas(before, after):
    """(after, before): how much of each pixel lies in each of fewer pixels."""
    edges = np.arange(after + 1) * before / after
    right = np.minimum(edges[1:, None], np.arange(before) + 1)
    left = np.maximum(edges[:-1, None], np.arange(before))
    return np.maximum(0, right - left) / (before / after)


@pytest.mark.parametrize("size", [(31, 47), (60, 48), (25, 24)])
def test_a_smaller_picture_is_made_of_means_over_areas(size):
    spec = dataclasses.replace(SPEC, interpolation="area_cubic")
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, *size, 3), np.uint8)
    height, width = spec.resized(*size)
    rows, columns = areas(size[0], height), areas(size[1], width)
    whole = np.einsum("yh,bthwc,xw->btyxc", rows, frames.astype(float), columns)
    found = pixels_by(products, frames, spec)
    np.testing.assert_allclose(found, center_crop(whole, 20), atol=0.502)


def test_frames_of_the_right_size_are_only_cropped():
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 25, 24, 3), np.uint8)
    found = products.frames_to_clips(tf.constant(frames), SPEC).numpy()
    np.testing.assert_allclose(found, SPEC.normalize(center_crop(frames, 20)), atol=1e-6)


def test_flow_is_cropped_and_decoded():
    spec = ClipSpec("tiny_flow", stream="flow", short_side=24, size=20)
    codes = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 31, 2), np.uint8)
    found = products.codes_to_clips(tf.constant(codes), spec).numpy()
    np.testing.assert_allclose(found, dequantize_flow(center_crop(codes, 20)), atol=1e-6)
