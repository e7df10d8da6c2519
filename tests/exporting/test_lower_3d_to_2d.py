"""Lowered models compute the same as the models of every system, and layer by layer."""

import dataclasses

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.exporting.isolated_runner import open_litert
from kinetics_i3d.exporting.litert import convert, count_operations
from kinetics_i3d.exporting.lower_3d_to_2d import lower_3d_to_2d
from kinetics_i3d.models.inception_i3d import GOOGLENET

SHORT = {"architecture": register(), "classes": 5}
SYSTEMS = {
    "e": (ki3d.TwoStreamI3D, SHORT, {"rgb": (10, 33, 32, 3), "flow": (10, 33, 32, 2)}),
    "googlenet": (
        ki3d.InceptionI3D,
        {"architecture": dataclasses.replace(GOOGLENET, width=0.1), "classes": 5},
        {"rgb": (9, 32, 34, 3)},
    ),
    "a": (ki3d.ConvNetLSTM, SHORT, {"rgb": (3, 32, 32, 3)}),
    "b": (
        ki3d.C3D,
        {"architecture": "c3d_eighth", "classes": 5, "input_shape": (7, 20, 20, 3)},
        {"rgb": (7, 20, 20, 3)},
    ),
    "c": (ki3d.TwoStream, SHORT, {"rgb": (2, 32, 32, 3), "flow": (20, 32, 32, 2)}),
    "d": (ki3d.TwoStreamFused, SHORT, {"rgb": (2, 32, 32, 3), "flow": (20, 32, 32, 2)}),
}


def randomize(model):
    """Gives all statistics and biases random values, as after training."""
    random = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith(("beta", "bias", "moving_mean")):
            variable.assign(random.uniform(-0.3, 0.3, variable.shape))


@pytest.mark.long
@pytest.mark.parametrize("letter", SYSTEMS)
def test_a_lowered_system_computes_the_same(letter, tmp_path):
    build, options, sizes = SYSTEMS[letter]
    keras.utils.set_random_seed(0)
    model = build(**options)
    randomize(model)
    random = np.random.default_rng(1)
    pixels = {key: random.integers(0, 256, (1, *size), np.uint8) for key, size in sizes.items()}
    clips = {key: model.clip_specs[key].normalize(part) for key, part in pixels.items()}
    inputs = clips if len(clips) > 1 else clips["rgb"]
    expected = model(inputs, training=False)
    shapes = {key: clip.shape for key, clip in clips.items()}
    lowered = lower_3d_to_2d(model, shapes)
    assert lowered.weights == []
    actual = lowered(inputs, training=False)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(expected) > 1e-3  # the logits depend on the clip
    if letter in "ad":  # an LSTM; two streams, nested networks and all other kinds of layers
        file = convert(model, shapes)
        assert not [name for name in count_operations(file) if name.startswith("custom")]
        path = tmp_path / "x.tflite"
        path.write_bytes(file)
        actual = open_litert(path)(**pixels)["logits"]
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("frames", [4, 5, 6])
def test_each_layer_computes_the_same(padding, stride, frames):
    size = (frames, 6, 7, 2)
    clip = np.random.default_rng(frames).normal(size=(1, *size)).astype("float32")
    kinds = [
        keras.layers.Conv3D(3, (4, 3, 2), strides=stride, padding=padding),
        keras.layers.MaxPooling3D((3, 2, 3), strides=stride, padding=padding),
    ]
    if padding == "valid":
        kinds.append(keras.layers.AveragePooling3D((2, 3, 1), strides=stride))
    for layer in kinds:
        clips = keras.Input(size)
        model = keras.Model(clips, layer(clips))
        lowered = lower_3d_to_2d(model, {"rgb": (1, *size)})
        np.testing.assert_allclose(lowered(clip), model(clip), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.AveragePooling3D(2, padding="same", name="mean"), "mean: a mean with padd"),
        (
            keras.layers.Conv3DTranspose(2, 2, name="up"),
            r"up \(Conv3DTranspose\) cannot be rewritten in",
        ),
    ],
)
def test_a_layer_without_a_2d_form_is_named_in_the_error(layer, message):
    clips = keras.Input((4, 4, 4, 2))
    model = keras.Model(clips, layer(clips))
    with pytest.raises(ExportError, match=message):
        lower_3d_to_2d(model, {"rgb": (1, 4, 4, 4, 2)})
