"""C3D: shapes at every stage, options, and its numbers against plain NumPy."""

import dataclasses

import numpy as np
import pytest
import reference

from kinetics_i3d.models.c3d import C3D
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import save_weights

# Steps, side and channels for 16 frames of 112 pixels, an eighth of the paper's width.
SHAPES = {
    "Conv3d_1a": (16, 112, 112, 8),
    "MaxPool3d_1": (8, 56, 56, 8),
    "Conv3d_2a": (8, 56, 56, 16),
    "MaxPool3d_2": (4, 28, 28, 16),
    "Conv3d_3a": (4, 28, 28, 32),
    "Conv3d_3b": (4, 28, 28, 32),
    "MaxPool3d_3": (2, 14, 14, 32),
    "Conv3d_4a": (2, 14, 14, 64),
    "Conv3d_4b": (2, 14, 14, 64),
    "MaxPool3d_4": (1, 7, 7, 64),
    "Conv3d_5a": (1, 7, 7, 64),
    "Conv3d_5b": (1, 7, 7, 64),
    "MaxPool3d_5": (1, 4, 4, 64),
    "Flatten": (1024,),
    "Dense_6": (512,),
    "Dense_7": (512,),
    "Logits": (400,),
}


def test_shapes_at_every_stage():
    model = C3D(architecture="c3d_eighth")
    found = {name: model.get_layer(name).output.shape[1:] for name in SHAPES}
    assert found == SHAPES
    names = [layer.name for layer in model.layers if layer.name in SHAPES]
    assert names == list(SHAPES)


@pytest.fixture(scope="module")
def model(randomize):
    made = C3D(architecture="c3d_eighth", classes=3, input_shape=(5, 37, 40, 3))
    return randomize(made, seed=1)


def test_the_network_equals_plain_numpy(model, arrays_of):
    clips = np.random.default_rng(2).uniform(-1, 1, (2, 5, 37, 40, 3)).astype(np.float32)
    arrays = arrays_of(model)

    def norm(x, name):
        parts = ("beta", "moving_mean", "moving_variance")
        return reference.relu(reference.batch_norm(x, *(arrays[f"{name}_bn/{p}"] for p in parts)))

    x = clips.astype(np.float64)
    for stage in (("1a",), ("2a",), ("3a", "3b"), ("4a", "4b"), ("5a", "5b")):
        for unit in stage:
            name = f"Conv3d_{unit}"
            x = norm(reference.conv(x, arrays[f"{name}_conv/kernel"]), name)
        x = reference.max_pool(x, (2, 2, 2), (2, 2, 2))
    grid, x = x, x.reshape(2, -1)
    for name in ("Dense_6", "Dense_7"):
        x = norm(x @ arrays[f"{name}_dense/kernel"], name)
    expected = x @ arrays["Classifier/kernel"] + arrays["Classifier/bias"]
    found = np.asarray(model(clips))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    body = C3D(architecture="c3d_eighth", include_top=False, input_shape=(None, None, None, 3))
    body.set_weights(model.get_weights()[: len(body.weights)])
    seen = np.asarray(body(clips))
    assert seen.shape == (2, 1, 2, 2, 64)
    np.testing.assert_allclose(seen, grid, rtol=1e-3, atol=1e-3 * grid.max())


def test_every_layer_but_the_classifier_is_normalized(model):
    biases = [v.path for v in model.weights if v.name == "bias"]
    assert [path.split("/")[-2] for path in biases] == ["Classifier"]
    assert sum(layer.name.endswith("_bn") for layer in model.layers) == 10
    rates = {n: model.get_layer(f"Dense_{n}_dropout").rate for n in (6, 7)}
    assert rates == {6: 0.5, 7: 0.5}


def test_a_file_gives_the_same_model(tmp_path, model):
    save_weights(model, tmp_path / "mine.h5", labels=("a", "b", "c"))
    loaded = C3D(weights=tmp_path / "mine.h5", input_shape=(5, 37, 40, 3))
    assert (loaded.labels, loaded.architecture, loaded.clip_spec.size) == (
        ("a", "b", "c"),
        "c3d_eighth",
        112,
    )
    for old, new in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_file_of_another_size_needs_no_shape(tmp_path):
    shape = (16, 32, 32, 3)
    small = C3D(architecture="c3d_eighth", classes=3, input_shape=shape)
    spec = dataclasses.replace(small.clip_spec, short_side=36, size=32)
    save_weights(small, tmp_path / "small.h5", clip_spec=spec)
    assert C3D(weights=tmp_path / "small.h5").input_shape == (None, *shape)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"input_shape": (None, 112, 112, 3)}, "`input_shape` must have no None if include_top"),
        ({"input_shape": (112, 112, 3)}, r"`input_shape` must be \(frames, height, width"),
        ({"architecture": "c4d"}, "`architecture` must be one of .*similar: 'c3d'"),
        ({"head": "old"}, "`head` must be None or 'new'"),
    ],
)
def test_wrong_arguments(options, why):
    with pytest.raises(ValueError, match=why):
        C3D(**{"architecture": "c3d_eighth", **options})


@pytest.mark.slow
def test_a_model_of_another_kind_is_refused(tmp_path, known):
    path = tmp_path / "i3d.h5"
    save_weights(InceptionI3D(architecture="inception_v1_narrow", classes=2), path)
    with pytest.raises(Exception, match=r"i3d.h5 holds a model of clips \(InceptionI3D\)"):
        C3D(weights=path)
