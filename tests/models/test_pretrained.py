"""`weights=` and `save_weights`: the same outputs come back, and what does not fit is refused."""

import dataclasses

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.weights.checkpoint import read_checkpoint
from kinetics_i3d.weights.read import read_weights

pytestmark = pytest.mark.slow

SPEC = ClipSpec("own", fps=12.5, short_side=40, size=32, low=-3.0, high=2.0)
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def model(known, randomize):
    made = InceptionI3D(architecture="inception_v1_narrow", classes=3)
    made.clip_spec, made.labels = SPEC, LABELS
    return randomize(made, seed=11)


@pytest.fixture(scope="module")
def path(tmp_path_factory, model):
    file = tmp_path_factory.mktemp("saved") / "mine.h5"
    save_weights(model, file, about={"accuracy": 0.5})
    return file


@pytest.fixture
def clip():
    return np.random.default_rng(0).uniform(-1, 1, (1, 10, 33, 40, 3)).astype(np.float32)


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_a_file_gives_the_same_model(model, path, clip, as_path):
    loaded = InceptionI3D(weights=as_path(path))
    assert (loaded.clip_spec, loaded.labels, loaded.architecture) == (
        SPEC,
        LABELS,
        model.architecture,
    )
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(np.asarray(loaded(clip)), np.asarray(model(clip)))
    assert read_checkpoint(path).info.about == {"accuracy": 0.5}


@pytest.mark.parametrize("name", ["x.h5", "x.safetensors"])
def test_about_may_hold_numbers_of_numpy(tmp_path, model, name):
    about = {"accuracy": np.float32(0.5), "best": np.int64(3), "curve": np.array([1.0, 2.0])}
    save_weights(model, tmp_path / name, about=about)
    expected = {"accuracy": 0.5, "best": 3, "curve": [1.0, 2.0]}
    assert read_weights(tmp_path / name).info.about == expected
    with pytest.raises(ValueError, match="`about` must be JSON-serializable"):
        save_weights(model, tmp_path / "y.h5", about={"when": object()})
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_image_model_too(tmp_path, known, randomize, clip):
    model = randomize(InceptionV1(architecture="googlenet_narrow", classes=2))
    save_weights(model, tmp_path / "flat.h5")
    loaded = InceptionV1(weights=tmp_path / "flat.h5")
    assert loaded.labels == () and loaded.clip_spec == model.clip_spec
    np.testing.assert_array_equal(np.asarray(loaded(clip[0])), np.asarray(model(clip[0])))


def test_half_precision_halves_the_file_and_hardly_moves_the_outputs(tmp_path, model, path, clip):
    half = tmp_path / "half.h5"
    save_weights(model, half, dtype="float16")
    loaded = InceptionI3D(weights=half)
    assert half.stat().st_size < 0.6 * path.stat().st_size
    assert all(value.dtype == np.float32 for value in loaded.get_weights())
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(new, old, rtol=2**-11, atol=2**-24)
    exact = np.asarray(model(clip))
    np.testing.assert_allclose(np.asarray(loaded(clip)), exact, atol=5e-3 * np.abs(exact).max())


@pytest.mark.parametrize("pooling", [None, "avg"])
def test_without_the_top_the_classifier_is_left_out(path, model, pooling):
    loaded = InceptionI3D(weights=path, include_top=False, pooling=pooling)
    for old, new in zip(model.get_weights()[:-2], loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert loaded.labels == () and loaded.clip_spec == SPEC


def test_features_alone_can_be_saved(tmp_path, path):
    body = InceptionI3D(weights=path, include_top=False)
    save_weights(body, tmp_path / "body.h5")
    assert read_checkpoint(tmp_path / "body.h5").info.classes == 0
    again = InceptionI3D(weights=tmp_path / "body.h5", include_top=False)
    for old, new in zip(body.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    with pytest.raises(WeightsError, match="has no classes, not 400"):
        InceptionI3D(weights=tmp_path / "body.h5")


def test_labels_and_spec_can_be_given(tmp_path, model):
    spec = dataclasses.replace(SPEC, name="other")
    save_weights(model, tmp_path / "new.h5", labels=["x", "y", "z"], clip_spec=spec)
    loaded = InceptionI3D(weights=tmp_path / "new.h5")
    assert loaded.labels == ("x", "y", "z") and loaded.clip_spec == spec
    save_weights(model, tmp_path / "none.h5", labels=())
    assert InceptionI3D(weights=tmp_path / "none.h5").labels == ()


def test_labels_must_be_as_many_as_classes(tmp_path, model):
    with pytest.raises(ValueError, match=r"`labels` must name the model's 3 classes. Received: 2"):
        save_weights(model, tmp_path / "new.h5", labels=("x", "y"))
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_not_finite_are_not_saved(tmp_path, model):
    model = ClipModel.from_config(model.get_config())
    bias = model.get_layer("Conv3d_0c_1x1").bias
    bias.assign([0.0, np.nan, 0.0])
    with pytest.raises(WeightsError, match="Conv3d_0c_1x1/bias has values that are not finite"):
        save_weights(model, tmp_path / "new.h5")
    bias.assign([0.0, 1e6, 0.0])
    with pytest.raises(WeightsError, match=r"new.h5: Conv3d_0c_1x1/bias .* not finite in float16"):
        save_weights(model, tmp_path / "new.h5", dtype="float16")
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_fit_is_refused(path, known):
    name = path.name
    with pytest.raises(
        WeightsError, match=f"{name} has 3 classes, not 4; use head=.new. .* include_top=False"
    ):
        InceptionI3D(weights=path, classes=4)
    with pytest.raises(WeightsError, match=rf"{name} holds a model of clips \(InceptionI3D\)"):
        InceptionV1(weights=path)
    with pytest.raises(
        ValueError, match=f"`architecture` must be 'inception_v1_narrow' for .*{name}"
    ):
        InceptionI3D(weights=path, architecture="googlenet_narrow")
    with pytest.raises(
        WeightsError, match=r"does not match.*Conv3d_1a_7x7_conv/kernel is .*3, 8\) instead of"
    ):
        InceptionI3D(weights=path, input_shape=(None, None, None, 2))
    assert (
        InceptionI3D(weights=path, architecture=known["inception_v1"], classes=3).labels == LABELS
    )


def test_images_are_to_be_inflated_first(tmp_path, known):
    save_weights(InceptionV1(architecture="googlenet_narrow", classes=2), tmp_path / "flat.h5")
    with pytest.raises(WeightsError, match=r"flat.h5 holds a model of images .*inflate it first"):
        InceptionI3D(weights=tmp_path / "flat.h5")


def test_weights_of_flow_bring_their_channels(tmp_path, known):
    model = InceptionI3D(architecture="googlenet_narrow", classes=2, input_shape=(None,) * 3 + (2,))
    save_weights(model, tmp_path / "flow.h5", clip_spec=ClipSpec("flow", stream="flow"))
    assert InceptionI3D(weights=tmp_path / "flow.h5").input_shape == (None, None, None, None, 2)


def test_a_spec_of_other_channels_is_not_saved(tmp_path, known):
    model = InceptionV1(architecture="googlenet_narrow", classes=2, input_shape=(None, None, 2))
    with pytest.raises(ValueError, match="`clip_spec` must be of a stream of 2 channels"):
        save_weights(model, tmp_path / "flow.h5")
    assert list(tmp_path.iterdir()) == []
    save_weights(model, tmp_path / "flow.h5", clip_spec=ClipSpec("flow", stream="flow"))


def test_a_network_of_no_stream_keeps_its_channels(tmp_path, known):
    shape = (16, 64, 64, 1)
    model = InceptionI3D(architecture="googlenet_narrow", classes=2, input_shape=shape)
    save_weights(model, tmp_path / "gray.h5")
    read = InceptionI3D(classes=2, weights=tmp_path / "gray.h5", input_shape=shape)
    assert read.input_shape == (None, *shape)


@pytest.mark.parametrize("dtype", ["int8", "bfloat16", "float64"])
def test_weights_are_saved_as_float32_or_float16_only(tmp_path, model, dtype):
    with pytest.raises(ValueError, match="`dtype` must be 'float32' or 'float16'"):
        save_weights(model, tmp_path / "new.h5", dtype=dtype)
    assert list(tmp_path.iterdir()) == []
