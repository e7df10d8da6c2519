"""Preprocessing as TensorFlow operations, against NumPy and against the package's own reading."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW, FVD, MEDIAPIPE, ClipSpec
from kinetics_i3d.exporting import graph_preprocessing
from kinetics_i3d.flow.quantization import dequantize_flow
from kinetics_i3d.video.clip import center_crop, load_clip
from kinetics_i3d.video.reader import read_frames

SPEC = ClipSpec("tiny", short_side=24, size=20, low=-0.5, high=2.0)


def triangle(count, expected):
    """(wanted, count) weights of a triangle filter as wide as two pixels of the coarser grid."""
    ratio = count / expected
    width = max(ratio, 1.0)
    centers = (np.arange(expected)[:, None] + 0.5) * ratio
    weights = np.maximum(0, 1 - np.abs(np.arange(count) + 0.5 - centers) / width)
    return weights / weights.sum(1, keepdims=True)


def plain(frames, spec):
    """The same clip in NumPy, by matrices."""
    height, width = spec.resized(*frames.shape[2:4])
    rows, columns = triangle(frames.shape[2], height), triangle(frames.shape[3], width)
    pixels = np.einsum("yh,bthwc,xw->btyxc", rows, frames.astype(float), columns)
    return center_crop(pixels, spec.size)


@pytest.mark.parametrize("size", [(24, 31), (60, 47), (13, 17), (24, 24)])
@pytest.mark.parametrize("resize", ["short_side", "stretch", "height"])
def test_frames_are_resized_cropped_and_scaled_in_graph(size, resize):
    spec = dataclasses.replace(SPEC, resize=resize, **({"size": 24} if resize == "stretch" else {}))
    if resize == "height" and spec.resized(*size)[1] < spec.size:
        pytest.skip("too narrow, see below")
    frames = np.random.default_rng(0).integers(0, 256, (2, 3, *size, 3), np.uint8)
    actual = graph_preprocessing.frames_to_clips(tf.constant(frames), spec).numpy()
    pixels = (actual - spec.low) * 255 / (spec.high - spec.low)
    np.testing.assert_allclose(pixels, np.rint(pixels), atol=1e-3)  # whole numbers, as decoded
    # Halves may round either way.
    np.testing.assert_allclose(pixels, plain(frames, spec), atol=0.502)
    assert actual.shape == (2, 3, spec.size, spec.size, 3)


def test_frames_of_the_right_size_are_only_cropped():
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 25, 24, 3), np.uint8)
    actual = graph_preprocessing.frames_to_clips(tf.constant(frames), SPEC).numpy()
    np.testing.assert_allclose(actual, SPEC.normalize(center_crop(frames, 20)), atol=1e-6)


def test_a_frame_too_narrow_for_the_crop_is_refused():
    spec = dataclasses.replace(SPEC, resize="height")
    with pytest.raises(tf.errors.InvalidArgumentError, match="rgb must be 20 pixels or wider"):
        graph_preprocessing.frames_to_clips(tf.zeros((1, 1, 40, 20, 3), tf.uint8), spec)


@pytest.mark.parametrize("spec", [DEEPMIND, MEDIAPIPE, FVD])
def test_sizes_are_those_of_the_spec(spec):
    for size in [(240, 320), (320, 240), (241, 333), (1080, 1920), (37, 51), (256, 256)]:
        actual = graph_preprocessing.resized_size(*map(tf.constant, size), spec)
        assert tuple(actual.numpy()) == spec.resized(*size)


def test_frames_of_a_real_video_are_as_the_package_reads_it(shared):
    path = sorted((shared / "clips").glob("*.mp4"))[0]
    for short_side in (112, 320):  # smaller, and larger, than the video
        spec = ClipSpec("x", short_side=short_side, size=100)
        expected = spec.denormalize(load_clip(path, spec=spec, frames=2)).astype(int)
        frames = read_frames(path, fps=spec.fps)
        raw = np.stack([next(frames), next(frames)])[None]
        frames.close()
        actual = graph_preprocessing.frames_to_clips(tf.constant(raw), spec).numpy()
        off = np.abs(spec.denormalize(actual).astype(int) - expected)
        assert off.mean() < 1.5 and np.percentile(off, 99) <= 8, (short_side, off.mean(), off.max())


@pytest.mark.parametrize("size", [(256, 300), (224, 224), (300, 256)])
def test_flow_is_cropped_and_decoded(size):
    flow = np.random.default_rng(0).integers(0, 256, (1, 2, *size, 2), np.uint8)
    actual = graph_preprocessing.quantized_flow_to_clips(tf.constant(flow), DEEPMIND_FLOW).numpy()
    np.testing.assert_allclose(actual, dequantize_flow(center_crop(flow, 224)), atol=1e-6)


@pytest.mark.parametrize("size", [(240, 320), (224, 256), (512, 512)])
def test_flow_of_another_size_is_refused(size):
    with pytest.raises(tf.errors.InvalidArgumentError, match="flow must be computed between"):
        graph_preprocessing.quantized_flow_to_clips(
            tf.zeros((1, 2, *size, 2), tf.uint8), DEEPMIND_FLOW
        )
