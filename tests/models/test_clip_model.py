"""`ClipModel`: what it knows goes through save and load, and cuts and views of it."""

import dataclasses

import keras
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.models import clip_model
from kinetics_i3d.models.clip_model import ClipModel, check_minimum
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.load import feature_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(narrow, randomize):
    return randomize(InceptionI3D(architecture=narrow["googlenet"], classes=3, name="mine"), seed=9)


@pytest.fixture(scope="module")
def clip():
    return np.random.default_rng(0).uniform(-1, 1, (1, 9, 34, 40, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", ["clips", "images", "features"])
def test_a_keras_file_keeps_everything(tmp_path, narrow, randomize, model, clip, kind):
    saved, inputs = {
        "clips": (model, clip),
        "images": (InceptionV1(architecture=narrow["inception_v1"], classes=3), clip[0]),
        "features": (feature_model(model, "Mixed_3c"), clip),
    }[kind]
    saved.clip_spec = dataclasses.replace(saved.clip_spec, name="own", fps=12.5, low=-3.0, high=2.0)
    saved.labels = ("a", "b", "c")
    saved.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, ClipModel)
    for what in ("clip_spec", "labels", "minimum", "architecture", "name"):
        assert getattr(loaded, what) == getattr(saved, what), what
    assert isinstance(loaded.clip_spec, ClipSpec) and isinstance(loaded.minimum, tuple)
    np.testing.assert_array_equal(np.asarray(loaded(inputs)), np.asarray(saved(inputs)))
    if kind == "clips":
        with pytest.raises(ValueError, match="frames=8"):
            loaded(inputs[:, :8])


def test_a_copy_from_the_config_has_values_of_its_own(model, clip):
    copy = ClipModel.from_config(model.get_config())
    copy.set_weights([np.zeros_like(value) for value in copy.get_weights()])
    assert not np.asarray(copy(clip)).any() and np.asarray(model(clip)).any()


def test_an_endpoint_shares_its_layers(model, clip):
    cut = feature_model(model, "Mixed_4f")
    assert cut.get_layer("Mixed_3b") is model.get_layer("Mixed_3b")
    assert cut.name == "mine_Mixed_4f" and cut.architecture == model.architecture
    plain = keras.Model(model.input, model.get_layer("Mixed_4f").output)
    np.testing.assert_array_equal(np.asarray(cut(clip)), np.asarray(plain(clip)))
    assert cut(clip[:, :1, :4, :4]).shape[:4] == (1, 1, 1, 1)  # the backbone reads any size


@pytest.mark.parametrize("endpoint", ["AvgPool_0a_7x7", "Conv3d_0c_1x1", "Logits"])
def test_endpoints_of_the_top_need_as_much_as_the_model(model, clip, endpoint):
    cut = feature_model(model, endpoint)
    assert cut(clip).shape[0] == 1
    with pytest.raises(ValueError, match=r"9 x 32 x 32.*frames=8"):
        cut(clip[:, :8])


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("Mixed_4g", "Mixed_4"), ("mixed5c", "Mixed_5c"), ("Conv2d_1a_7x7", "Conv3d_1a")],
)
def test_near_endpoints_are_named(model, wrong, near):
    with pytest.raises(
        ValueError, match=rf"`endpoint` must name .* of mine; similar names: .*{near}"
    ) as raised:
        feature_model(model, wrong)
    assert repr(wrong) in str(raised.value)


def test_views_are_averaged_by_their_share(model):
    random = np.random.default_rng(1)
    views = [
        (random.uniform(-1, 1, (1, f, 32, 32, 3)).astype(np.float32), s)
        for f, s in ((9, 9), (11, 2))
    ]
    first, second = (np.asarray(model(clips))[0] for clips, _ in views)
    found = model.predict_views(iter(views))
    assert found.shape == (3,) and found.dtype == np.float32
    np.testing.assert_allclose(found, (9 * first + 2 * second) / 11, rtol=1e-5)
    np.testing.assert_allclose(model.predict_views(views[:1]), first, rtol=1e-5)


def test_short_views_of_one_size_are_read_together(model, monkeypatch):
    views = [
        (np.full((1, frames, 32, 32, 3), number / 8, np.float32), number + 1)
        for number, frames in enumerate((9, 9, 9, 11, 9, 251, 9))
    ]
    single = [np.asarray(model(clips))[0] for clips, _ in views]
    read = []
    plain = ClipModel.predict_on_batch
    monkeypatch.setattr(clip_model, "FRAMES_AT_ONCE", 20)
    monkeypatch.setattr(
        ClipModel, "predict_on_batch", lambda self, x: read.append(x.shape[:2]) or plain(self, x)
    )
    found = model.predict_views(views)
    assert read == [(2, 9), (1, 9), (1, 11), (1, 9), (1, 251), (1, 9)]
    np.testing.assert_allclose(found, np.average(single, axis=0, weights=range(1, 8)), rtol=1e-4)


def test_unknown_sizes_pass_and_small_ones_are_named():
    check_minimum((None, None, None, None, 3), (9, 32, 32))
    check_minimum((None, 9, 32, 32, 3), (9, 32, 32))
    check_minimum(None, (9, 32, 32))
    with pytest.raises(ValueError, match=r"width=31 in shape=\(2, None, 31, 3\)"):
        check_minimum((2, None, 31, 3), (32, 32))


def test_labels_are_checked_when_they_are_set(model):
    copy = ClipModel.from_config(model.get_config())
    copy.labels = np.array(["a", "b", "c"])
    assert copy.labels == ("a", "b", "c") and type(copy.labels[0]) is str
    copy.labels = None
    assert copy.labels == ()
    for wrong in ("abc", ["a", 1, "c"], ["a", "a", "b"], ["a", "b\nc", "d"]):
        with pytest.raises(ValueError, match="must be"):
            copy.labels = wrong
