"""Gradients in bfloat16 are those in float32, at the depths where they would not be too."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.models.inception_i3d import INCEPTION_V1, InceptionI3D
from kinetics_i3d.training import bfloat16
from kinetics_i3d.training.bfloat16 import keep_gradients_right

NARROW = dataclasses.replace(INCEPTION_V1, width=0.1)
WIDE_THIRD = dataclasses.replace(NARROW, third_kernel=5)


@pytest.fixture
def in_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def thirds(*modules):
    """Names of the third branches' 5x5 convolutions."""
    return {f"Mixed_{module}_Branch_2_Conv3d_0b_5x5_conv" for module in modules}


@pytest.mark.parametrize(
    ("row", "frames", "changed"),
    [
        (NARROW, 64, set()),
        (NARROW, 17, set()),  # 9, 5, 3 steps
        (WIDE_THIRD, 33, set()),  # 17, 9, 5
        (WIDE_THIRD, 32, thirds("5b", "5c")),  # 4 at the top
        (WIDE_THIRD, 17, thirds("5b", "5c")),
    ],
)
def test_what_is_shorter_than_its_kernel_is_kept_in_float32(in_bfloat16, row, frames, changed):
    model = InceptionI3D(architecture=row, classes=2)
    assert set(keep_gradients_right(model, (frames, 32, 32))) == changed
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv3D):
            assert layer.compute_dtype == ("float32" if layer.name in changed else "bfloat16")


def test_sixteen_frames_are_two_steps_at_the_top(in_bfloat16):
    changed = keep_gradients_right(InceptionI3D(architecture=NARROW, classes=2), (16, 32, 32))
    assert len(changed) == 4 and all(name.startswith("Mixed_5") for name in changed)
    assert all("3x3" in name for name in changed)


def test_other_precisions_and_accelerators_are_left_alone(monkeypatch):
    assert keep_gradients_right(InceptionI3D(architecture=NARROW, classes=2), (16, 32, 32)) == []
    monkeypatch.setattr(bfloat16, "_on_accelerator", lambda: True)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = InceptionI3D(architecture=NARROW, classes=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert keep_gradients_right(model, (16, 32, 32)) == []


@pytest.mark.parametrize(("kernel", "frames"), [(3, 2), (5, 2), (5, 3), (5, 4)])
def test_gradients_are_those_of_float32(kernel, frames):
    random = np.random.default_rng(0)
    clips = random.normal(size=(4, frames, 6, 6, 16)).astype(np.float32)
    start = random.normal(size=(kernel,) * 3 + (16, 24)).astype(np.float32)

    def gradient(precision):
        inputs = keras.Input((None, None, None, 16))
        layer = keras.layers.Conv3D(
            24, kernel, padding="same", use_bias=False, dtype=precision, name="conv"
        )
        model = keras.Model(inputs, layer(inputs))
        keep_gradients_right(model, (frames, 6, 6))
        layer.kernel.assign(start)

        @tf.function
        def run(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.cast(model(x, training=True), tf.float32) ** 2)
            return tape.gradient(loss, layer.kernel.value)

        return [run(tf.constant(clips)).numpy() for _ in range(2)]

    (exact, _), low = gradient("float32"), gradient("mixed_bfloat16")
    for found in low:  # every call: what nobody wrote differs from one to the next
        off = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        assert off < 0.02
