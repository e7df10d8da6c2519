"""The inflated network: counts, names, shapes, options, and its numbers against plain NumPy."""

import json
import pathlib

import keras
import numpy as np
import pytest
import reference

from kinetics_i3d.core.clip_spec import DEEPMIND, INCEPTION5H
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.load import feature_model
from kinetics_i3d.weights.assign import named_variables

# Every variable of rgb-400 in order. Made again, but for the line breaks, with:
#   json.dumps({n: list(v.shape) for n, v in named_variables(InceptionI3D()).items()})
MANIFEST = json.loads(pathlib.Path(__file__).with_name("inception_i3d_manifest.json").read_text())

# Steps, side and channels for 64 frames of 224 pixels.
ENDPOINTS = {
    "Conv3d_1a_7x7": (32, 112, 64),
    "MaxPool3d_2a_3x3": (32, 56, 64),
    "Conv3d_2b_1x1": (32, 56, 64),
    "Conv3d_2c_3x3": (32, 56, 192),
    "MaxPool3d_3a_3x3": (32, 28, 192),
    "Mixed_3b": (32, 28, 256),
    "Mixed_3c": (32, 28, 480),
    "MaxPool3d_4a_3x3": (16, 14, 480),
    "Mixed_4b": (16, 14, 512),
    "Mixed_4c": (16, 14, 512),
    "Mixed_4d": (16, 14, 512),
    "Mixed_4e": (16, 14, 528),
    "Mixed_4f": (16, 14, 832),
    "MaxPool3d_5a_2x2": (8, 7, 832),
    "Mixed_5b": (8, 7, 832),
    "Mixed_5c": (8, 7, 1024),
    "AvgPool_0a_7x7": (7, 1, 1024),
    "Conv3d_0c_1x1": (7, 1, 400),
}


@pytest.fixture(scope="module")
def full():
    return InceptionI3D()


@pytest.fixture(scope="module")
def small(narrow, randomize):
    """Narrow networks with their top, 7 classes, by the name of their row."""
    return {
        name: randomize(InceptionI3D(architecture=row, classes=7), seed=1)
        for name, row in narrow.items()
    }


@pytest.fixture(scope="module")
def clips():
    """Odd sizes, so that asymmetric padding matters: (2, 11, 33, 40, 3)."""
    return np.random.default_rng(2).uniform(-1, 1, (2, 11, 33, 40, 3)).astype(np.float32)


def count(model):
    trained = sum(np.prod(v.shape) for v in model.trainable_weights)
    return model.count_params(), int(trained)


def test_parameters_rgb(full):
    assert count(full) == (12_704_544, 12_689_984)
    assert len(full.weights) == 230


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"input_shape": (None, None, None, 2)}, (12_682_592, 12_668_032)),
        ({"classes": 600}, (12_909_544, 12_894_984)),
    ],
)
def test_parameters_of_the_other_releases(options, expected):
    assert count(InceptionI3D(**options)) == expected


def test_variables_are_those_of_the_frozen_manifest(full):
    found = {name: list(variable.shape) for name, variable in named_variables(full).items()}
    assert found == MANIFEST
    assert list(found) == list(MANIFEST)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_every_endpoint_can_be_had(full, endpoint):
    steps, side, channels = ENDPOINTS[endpoint]
    cut = feature_model(full, endpoint)
    assert cut.compute_output_shape((3, 64, 224, 224, 3)) == (3, steps, side, side, channels)
    assert cut.output_shape[-1] == channels and cut.clip_spec == full.clip_spec


@pytest.mark.parametrize(
    ("frames", "mixed_5c", "logits"), [(9, 2, 1), (64, 8, 7), (79, 10, 9), (250, 32, 31)]
)
def test_steps_of_time(full, frames, mixed_5c, logits):
    shape = (1, frames, 224, 224, 3)
    assert feature_model(full, "Mixed_5c").compute_output_shape(shape)[1] == mixed_5c
    assert feature_model(full, "Conv3d_0c_1x1").compute_output_shape(shape)[1] == logits
    assert full.compute_output_shape(shape) == (1, 400)


@pytest.mark.slow
@pytest.mark.parametrize("row", ["inception_v1", "googlenet"])
def test_network_equals_plain_numpy(small, arrays_of, clips, row):
    model = small[row]
    expected = reference.inception_v1(clips, arrays_of(model), of_2014=row == "googlenet")
    # From the bottom up, so that the first failure says where.
    for endpoint in ("Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c"):
        found = np.asarray(feature_model(model, endpoint)(clips))
        close(found, expected[endpoint], endpoint)
    logits = np.asarray(model(clips))
    assert logits.shape == (2, 7)
    close(logits, expected["logits"], "logits")
    assert np.ptp(expected["logits"], axis=0).max() > 1e-2  # the clips are told apart


@pytest.mark.slow
@pytest.mark.parametrize("frames", [9, 16, 17])
def test_other_lengths_equal_plain_numpy(small, arrays_of, frames):
    model = small["inception_v1"]
    clip = np.random.default_rng(frames).uniform(-1, 1, (1, frames, 32, 47, 3)).astype(np.float32)
    expected = reference.inception_v1(clip, arrays_of(model))
    close(np.asarray(model(clip)), expected["logits"], "logits")


def close(found, expected, what):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * scale, err_msg=what)


@pytest.mark.slow
def test_logits_are_averaged_over_time_before_the_softmax(small, narrow, clips):
    model, row = small["inception_v1"], narrow["inception_v1"]
    inflated = InceptionI3D(architecture=row, classes=7, classifier_activation="softmax")
    inflated.set_weights(model.get_weights())
    long = np.concatenate([clips, clips[:, ::-1]], axis=1)
    steps = np.asarray(feature_model(model, "Conv3d_0c_1x1")(long))[:, :, 0, 0]
    assert steps.shape == (2, 2, 7)
    logits = steps.mean(axis=1)
    np.testing.assert_allclose(np.asarray(model(long)), logits, rtol=1e-5, atol=1e-6)
    odds = np.exp(logits)
    np.testing.assert_allclose(
        np.asarray(inflated(long)), odds / odds.sum(axis=1, keepdims=True), rtol=1e-5
    )


@pytest.mark.slow
def test_without_the_top(small, narrow, clips):
    row = narrow["inception_v1"]
    models = {
        pooling: InceptionI3D(architecture=row, include_top=False, pooling=pooling)
        for pooling in (None, "avg", "max")
    }
    for model in models.values():
        model.set_weights(small["inception_v1"].get_weights()[:-2])
    grid = np.asarray(models[None](clips))
    np.testing.assert_allclose(
        grid, np.asarray(feature_model(small["inception_v1"], "Mixed_5c")(clips)), rtol=1e-5
    )
    average, maximum = (np.asarray(models[pooling](clips)) for pooling in ("avg", "max"))
    np.testing.assert_allclose(average, grid.mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(maximum, grid.max(axis=(1, 2, 3)))
    assert models["avg"](clips[:, :1, :8, :8]).shape == (
        2,
        grid.shape[-1],
    )  # no minimum to speak of
    assert models["avg"].labels == () and models["avg"].clip_spec == DEEPMIND


def test_features_of_the_full_network():
    model = InceptionI3D(include_top=False)
    assert model.compute_output_shape((1, 64, 224, 224, 3)) == (1, 8, 7, 7, 1024)
    assert model.compute_output_shape((1, 10, 100, 65, 3)) == (1, 2, 4, 3, 1024)


@pytest.mark.slow
@pytest.mark.parametrize(("options", "found"), [({}, 0.5), ({"dropout": 0.25}, 0.25)])
def test_dropout_comes_before_the_classifier_in_training_only(narrow, options, found):
    model = InceptionI3D(architecture=narrow["inception_v1"], classes=3, **options)
    names = [layer.name for layer in model.layers]
    assert model.get_layer("Dropout_0b").rate == found
    assert names[names.index("Dropout_0b") + 1] == "Conv3d_0c_1x1"
    assert names[names.index("Dropout_0b") - 1] == "AvgPool_0a_7x7"
    cut = keras.Model(model.input, model.get_layer("Dropout_0b").output)
    clip = np.random.default_rng(0).normal(0, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    still = np.asarray(cut(clip))
    assert (still > 0).sum() > 40
    # Of twenty draws together, 0.1 is five standard deviations.
    dropped = [(np.asarray(cut(clip, training=True))[still > 0] == 0).mean() for _ in range(20)]
    assert abs(np.mean(dropped) - found) < 0.1


def test_labels_and_name_and_architecture(full, small):
    assert full.name == "inception_i3d" and full.architecture == "inception_v1"
    assert full.output_shape == (None, 400) and full.input_shape == (None, None, None, None, 3)
    assert full.minimum == (9, 32, 32) and full.labels == () and full.clip_spec == DEEPMIND
    assert small["googlenet"].clip_spec == INCEPTION5H
    assert small["googlenet"].architecture == "googlenet_narrow"


FRAMES = r"This model needs 9 x 32 x 32 \(frames x height x width\) or more. Received: frames=8"
HEIGHT = r"This model needs 9 x 32 x 32 .* Received: height=31"
WIDTH = r"This model needs 9 x 32 x 32 .* Received: width=31"


@pytest.mark.parametrize(
    ("size", "why"), [((8, 32, 32), FRAMES), ((9, 31, 32), HEIGHT), ((9, 32, 31), WIDTH)]
)
def test_a_clip_that_is_too_small_is_refused(small, narrow, size, why):
    clip = np.zeros((1, *size, 3), np.float32)
    with pytest.raises(ValueError, match=why):
        small["inception_v1"](clip)
    with pytest.raises(ValueError, match=why):
        small["inception_v1"].predict(clip, verbose=0)
    with pytest.raises(ValueError, match=why):
        InceptionI3D(input_shape=(*size, 3), architecture=narrow["inception_v1"])


def test_a_fixed_size_may_be_small_without_the_top(narrow):
    options = {"architecture": narrow["inception_v1"], "include_top": False}
    assert InceptionI3D(input_shape=(8, 31, 31, 3), **options).output_shape[:4] == (None, 1, 1, 1)


def test_the_smallest_clip_has_one_step(small):
    assert np.isfinite(np.asarray(small["inception_v1"](np.zeros((1, 9, 32, 32, 3))))).all()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"input_shape": (None, None, 3)}, r"`input_shape` must be \(frames, height, width, chan"),
        ({"include_top": False, "pooling": "mean"}, "`pooling` must be one of .*'avg', 'max'"),
        ({"architecture": "inception_v2"}, "similar: 'inception_v1'.*Received.*'inception_v2'"),
        ({"architecture": 7}, "`architecture` must be one of"),
    ],
)
def test_wrong_arguments(narrow, options, why):
    with pytest.raises(ValueError, match=why):
        InceptionI3D(**{"architecture": narrow["inception_v1"], **options})


def test_arguments_are_keywords():
    with pytest.raises(TypeError):
        InceptionI3D(True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "top", [{"classes": 7}, {"classes": 7, "classifier_activation": "softmax"}]
)
def test_mixed_precision_ends_in_float32(narrow, small, clips, top):
    plain = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = InceptionI3D(architecture=narrow["googlenet"], **top)
    finally:
        keras.config.set_dtype_policy(plain)
    model.set_weights(small["googlenet"].get_weights())
    assert model.get_layer("Mixed_5c").compute_dtype == "bfloat16"
    assert all(v.dtype == "float32" for v in model.weights)
    found = model(clips)
    assert keras.backend.standardize_dtype(found.dtype) == "float32"
    if len(top) == 1:
        exact = np.asarray(small["googlenet"](clips))
        assert np.abs(np.asarray(found) - exact).max() < 0.1 * np.abs(exact).max()
        assert not np.array_equal(np.asarray(found), exact)
