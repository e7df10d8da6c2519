"""Preprocessing by products with matrices, against TensorFlow's own resize; refused clips."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow as tf
from short_network import tiny_spec

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.exporting.graph_preprocessing import frames_to_clips
from kinetics_i3d.exporting.serving_function import (
    crop_quantized_flow,
    pixels_function,
    resize_matmul,
)
from kinetics_i3d.flow.quantization import dequantize_flow
from kinetics_i3d.video.clip import center_crop

SPEC = ClipSpec("tiny", short_side=24, size=20, low=-0.5, high=2.0)


def pixels_of(to_clips, frames, spec):
    """The clip that `to_clips` makes of frames, in pixels, which are whole numbers."""
    clips = to_clips(tf.constant(frames), spec).numpy()
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
def test_pixels_equal_those_of_tensorflows_resize(size, resize, interpolation):
    side = 24 if resize == "stretch" else 18
    spec = dataclasses.replace(SPEC, resize=resize, interpolation=interpolation, size=side)
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, *size, 3), np.uint8)
    actual = pixels_of(resize_matmul, frames, spec)
    expected = pixels_of(frames_to_clips, frames, spec)
    assert actual.shape == (2, 3, side, side, 3)
    # Halves may round either way, and nothing else.
    off = np.abs(actual - expected)
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
    actual = pixels_of(resize_matmul, frames, spec)
    np.testing.assert_allclose(actual, center_crop(whole, 20), atol=0.502)


def test_frames_of_the_right_size_are_only_cropped():
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 25, 24, 3), np.uint8)
    result = resize_matmul(tf.constant(frames), SPEC).numpy()
    np.testing.assert_allclose(result, SPEC.normalize(center_crop(frames, 20)), atol=1e-6)


def test_flow_is_cropped_and_decoded():
    spec = ClipSpec("tiny_flow", stream="flow", short_side=24, size=20)
    flow = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 31, 2), np.uint8)
    actual = crop_quantized_flow(tf.constant(flow), spec).numpy()
    np.testing.assert_allclose(actual, dequantize_flow(center_crop(flow, 20)), atol=1e-6)


TINY = tiny_spec()
FLOW = ClipSpec("tiny_flow", stream="flow", fps=10, short_side=36, size=32)


def network(**specs):
    """The attributes of a `ClipModel` that `pixels_function` reads."""
    inputs = {
        stream: types.SimpleNamespace(shape=(None, None, 32, 32, spec.channels))
        for stream, spec in specs.items()
    }
    single = next(iter(inputs.values()))
    return types.SimpleNamespace(
        clip_specs=specs,
        minimums=dict.fromkeys(specs, (9, 32, 32)),
        input=inputs if len(inputs) > 1 else single,
    )


RGB = network(rgb=TINY)
HIGH = network(rgb=dataclasses.replace(TINY, resize="height"))
ONE_FLOW = network(flow=FLOW)
BOTH = network(rgb=TINY, flow=FLOW)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "shapes", "message"),
    [
        (RGB, [(1, 4, 40, 44, 3)], "rgb_must_have_9_frames_or_more"),
        (RGB, [(2, 8, 40, 44, 3)], "rgb_must_have_9_frames_or_more"),
        (HIGH, [(1, 9, 40, 20, 3)], "rgb_.*must_be_32_pixels_or_wider_when_it_is_36_high"),
        (ONE_FLOW, [(1, 8, 32, 32, 2)], "flow_must_have_9_frames_or_more"),
        # As many values as one clip of the right size has: they would be read as that.
        (ONE_FLOW, [(16, 9, 16, 16, 2)], "flow_.*must_be_of_frames_resized_to_36_or_their_32_crop"),
        (ONE_FLOW, [(1, 9, 34, 40, 2)], "flow_.*must_be_of_frames_resized_to_36_or_their_32_crop"),
        (ONE_FLOW, [(1, 9, 108, 192, 2)], "flow_.*must_be_of_frames_resized_to_36_or_their_32_cr"),
        (BOTH, [(1, 9, 40, 44, 3), (1, 8, 36, 40, 2)], "flow_must_have_9_frames_or_more"),
        (
            BOTH,
            [(1, 9, 40, 44, 3), (1, 10, 36, 40, 2)],
            "must_have_1_times_the_frames_of_rgb",
        ),
        (BOTH, [(1, 9, 40, 44, 3), (2, 9, 36, 40, 2)], "flow_.*must_be_of_as_many_videos_as_rgb"),
    ],
)
def test_a_clip_that_cannot_be_read_fails_in_an_operation_named_by_the_reason(
    model, shapes, message
):
    function, _ = pixels_function(model)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        function(*(np.zeros(shape, np.uint8) for shape in shapes))


@pytest.mark.parametrize(
    ("model", "shapes"),
    [
        (RGB, [(1, 9, 40, 44, 3)]),
        (RGB, [(2, 12, 20, 60, 3)]),
        (HIGH, [(1, 9, 40, 44, 3)]),
        (ONE_FLOW, [(1, 9, 32, 32, 2)]),
        (ONE_FLOW, [(1, 9, 64, 36, 2)]),
        (BOTH, [(2, 9, 40, 44, 3), (2, 9, 36, 40, 2)]),
    ],
)
def test_clips_that_fit_pass(model, shapes):
    function, _ = pixels_function(model)
    clips = function(*(np.zeros(shape, np.uint8) for shape in shapes))
    for clip, shape in zip(clips.values(), shapes, strict=True):
        assert tuple(clip.shape) == (*shape[:2], 32, 32, shape[-1])
