"""Bfloat16 gradients match float32 at all depths, also where oneDNN's are wrong."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from kinetics_i3d.models.inception_i3d import INCEPTION_V1, InceptionI3D
from kinetics_i3d.training.bfloat16 import use_float32_where_bfloat16_is_wrong

pytestmark = pytest.mark.slow

NARROW = dataclasses.replace(INCEPTION_V1, width=0.1)
WIDE_THIRD = dataclasses.replace(NARROW, third_kernel=5)


@pytest.fixture
def in_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def third_branches(*modules):
    """Names of the third branches' 5x5 convolutions."""
    return {f"Mixed_{module}_Branch_2_Conv3d_0b_5x5_conv" for module in modules}


@pytest.mark.parametrize(
    ("row", "frames", "changed"),
    [
        (NARROW, 64, set()),
        (NARROW, 17, set()),  # 9, 5, 3 steps
        (WIDE_THIRD, 33, set()),  # 17, 9, 5
        (WIDE_THIRD, 32, third_branches("5b", "5c")),  # 4 at the top
        (WIDE_THIRD, 17, third_branches("5b", "5c")),
    ],
)
def test_convolutions_longer_than_the_clip_compute_in_float32(in_bfloat16, row, frames, changed):
    model = InceptionI3D(architecture=row, classes=2)
    assert set(use_float32_where_bfloat16_is_wrong(model, (frames, 32, 32))) == changed
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv3D):
            assert layer.compute_dtype == ("float32" if layer.name in changed else "bfloat16")


def test_sixteen_frames_change_the_last_two_modules(in_bfloat16):
    changed = use_float32_where_bfloat16_is_wrong(
        InceptionI3D(architecture=NARROW, classes=2), (16, 32, 32)
    )
    assert len(changed) == 4 and all(name.startswith("Mixed_5") for name in changed)
    assert all("3x3" in name for name in changed)


def test_other_precisions_and_accelerators_change_nothing(monkeypatch):
    assert (
        use_float32_where_bfloat16_is_wrong(
            InceptionI3D(architecture=NARROW, classes=2), (16, 32, 32)
        )
        == []
    )
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [kind])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = InceptionI3D(architecture=NARROW, classes=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert use_float32_where_bfloat16_is_wrong(model, (16, 32, 32)) == []


@pytest.mark.parametrize(("kernel", "frames"), [(3, 2), (5, 2), (5, 3), (5, 4)])
def test_bfloat16_gradients_match_float32(kernel, frames):
    random = np.random.default_rng(0)
    clips = random.normal(size=(4, frames, 6, 6, 16)).astype(np.float32)
    start = random.normal(size=(kernel,) * 3 + (16, 24)).astype(np.float32)

    def gradient(precision):
        inputs = keras.Input((None, None, None, 16))
        layer = keras.layers.Conv3D(
            24, kernel, padding="same", use_bias=False, dtype=precision, name="conv"
        )
        model = keras.Model(inputs, layer(inputs))
        use_float32_where_bfloat16_is_wrong(model, (frames, 6, 6))
        layer.kernel.assign(start)

        @tf.function
        def run(x):
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(tf.cast(model(x, training=True), tf.float32) ** 2)
            return tape.gradient(loss, layer.kernel.value)

        return [run(tf.constant(clips)).numpy() for _ in range(2)]

    (exact, _), low = gradient("float32"), gradient("mixed_bfloat16")
    for result in low:  # each call: uninitialised memory differs between calls
        off = np.linalg.norm(result - exact) / np.linalg.norm(exact)
        assert off < 0.02
