"""The flat twin of every system answers as the system does, layer by layer too."""

import dataclasses

import keras
import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.exporting import fresh_litert, litert_file
from kinetics_i3d.exporting.lower_3d_to_2d import flatten
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


def stir(model):
    """Gives every statistic and bias a value of its own, as after training."""
    random = np.random.default_rng(0)
    for variable in model.variables:
        if variable.path.endswith("moving_variance"):
            variable.assign(random.uniform(0.5, 1.5, variable.shape))
        elif variable.path.endswith(("beta", "bias", "moving_mean")):
            variable.assign(random.uniform(-0.3, 0.3, variable.shape))


@pytest.mark.slow
@pytest.mark.parametrize("letter", SYSTEMS)
def test_the_twin_answers_as_the_system(letter, tmp_path):
    build, options, sizes = SYSTEMS[letter]
    keras.utils.set_random_seed(0)
    model = build(**options)
    stir(model)
    random = np.random.default_rng(1)
    pixels = {key: random.integers(0, 256, (1, *size), np.uint8) for key, size in sizes.items()}
    clips = {key: model.clip_specs[key].normalize(part) for key, part in pixels.items()}
    given = clips if len(clips) > 1 else clips["rgb"]
    wanted = model(given, training=False)
    shapes = {key: clip.shape for key, clip in clips.items()}
    flat = flatten(model, shapes)
    assert flat.weights == []
    found = flat(given, training=False)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())
    assert np.ptp(wanted) > 1e-3  # the clip has a say
    if letter in "ad":  # of an LSTM; of two streams, nested networks and all kinds of layers else
        file = litert_file.convert(model, shapes)
        assert not [name for name in litert_file.operations(file) if name.startswith("custom")]
        path = tmp_path / "x.tflite"
        path.write_bytes(file)
        found = fresh_litert.open_file(path)(**pixels)["logits"]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("frames", [4, 5, 6])
def test_layers_one_by_one(padding, stride, frames):
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
        flat = flatten(model, {"rgb": (1, *size)})
        np.testing.assert_allclose(flat(clip), model(clip), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (keras.layers.AveragePooling3D(2, padding="same", name="mean"), "mean: a mean with padd"),
        (keras.layers.Conv3DTranspose(2, 2, name="up"), r"up \(Conv3DTranspose\) has no form in"),
    ],
)
def test_what_has_no_form_in_2d_is_named(layer, said):
    clips = keras.Input((4, 4, 4, 2))
    model = keras.Model(clips, layer(clips))
    with pytest.raises(ExportError, match=said):
        flatten(model, {"rgb": (1, 4, 4, 4, 2)})
