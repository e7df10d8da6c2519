"""Reusable SavedModels: a call, and fine-tuning with Keras 2, tf_keras or TensorFlow alone."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.exporting import hub, tensorflow
from kinetics_i3d.exporting.tensorflow import feature_tensors

pytestmark = pytest.mark.slow
FINE_TUNE = pathlib.Path(__file__).with_name("fine_tune.py")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    """Its parity check runs the call too."""
    return ki3d.export(model, tmp_path_factory.mktemp("hub") / "tiny", to="hub", top=2)


@pytest.fixture(scope="module")
def loaded(folder):
    return tf.saved_model.load(str(folder))


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).uniform(-0.5, 2, (2, 10, 32, 33, 3)).astype("float32")


@pytest.mark.long
def test_a_call_gives_the_logits_of_the_model(folder, loaded, model, clips):
    expected = model(clips, training=False)
    np.testing.assert_allclose(loaded(clips), expected, rtol=1e-4, atol=1e-5)
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint="__call__")
    np.testing.assert_allclose(layer(clips), expected, rtol=1e-4, atol=1e-5)
    assert set(loaded.signatures) == {
        "serving_default",
        "logits",
        "features",
        "float_clips",
        "default",
    }


@pytest.mark.parametrize(
    ("shape", "value", "message"),
    [
        ((1, 8, 32, 32, 3), 0, "rgb must have 9 frames or more"),
        ((1, 9, 32, 32, 2), 0, r"rgb must be \(batch, frames, height, width, 3\)"),
        ((1, 9, 32, 32, 3), 255, r"rgb must be scaled to -0\.5 to 2"),
    ],
)
def test_a_call_refuses_wrong_clips(loaded, shape, value, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded(np.full(shape, value, np.float32))


def test_plain_tensorflow_can_train_it(loaded, model, clips):
    reusable, whole = loaded, [variable.numpy() for variable in loaded.variables]
    assert len(reusable.trainable_variables) == len(model.trainable_variables)
    assert len(reusable.variables) == len(model.weights)
    assert list(reusable.regularization_losses) == []
    means = [variable for variable in reusable.variables if "moving_mean" in variable.name]
    before = [variable.numpy() for variable in means]
    inputs = tf.constant(clips)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        total = tf.reduce_sum(reusable(inputs, training=True) ** 2)
    gradients = tape.gradient(total, [inputs, *reusable.trainable_variables])
    assert all(variable is not None and np.abs(variable).max() > 0 for variable in gradients)
    # Batch norm's statistics change in training, and must not at test.
    moved = [
        np.abs(variable.numpy() - old).max() for variable, old in zip(means, before, strict=True)
    ]
    assert means and min(moved) > 0
    before = [variable.numpy() for variable in means]
    reusable(clips, training=False)
    assert all((variable.numpy() == old).all() for variable, old in zip(means, before, strict=True))
    for variable, old in zip(reusable.variables, whole, strict=True):
        variable.assign(old)  # others read it too


def test_hub_and_tf_keras_train_it_further(folder):
    """`fine_tune.py` runs by itself, in any environment, and asserts what moves and what stays."""
    # tensorflow_hub imports pkg_resources, which setuptools has until version 80.
    for name in ("tensorflow_hub", "tf_keras", "pkg_resources"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    done = subprocess.run(
        [sys.executable, str(FINE_TUNE), str(folder), "3"],
        env={**os.environ, "TF_USE_LEGACY_KERAS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def called(model, forward):
    """The root object of a reusable SavedModel, unsaved."""
    root = tf.train.Checkpoint()
    hub.make_reusable(root, model, forward)
    return root


def test_features_are_the_mean_of_the_last_grid(model, clips):
    pooled = hub.pooled_features(model)
    assert pooled.output_shape == (None, 256)
    root = called(model, pooled)
    grid = ki3d.feature_model(model, "Mixed_5c")(clips).numpy()
    actual = getattr(root, "__call__")(clips)  # noqa: B004, B009 - it is set on the object
    np.testing.assert_allclose(actual, grid.mean((1, 2, 3)), rtol=1e-3, atol=1e-5)
    # The classifier is not part of the call, so it must not be offered for training.
    assert len(root.trainable_variables) == len(model.trainable_variables) - 2


def test_two_streams_are_called_with_a_dictionary():
    both = ki3d.TwoStreamI3D(architecture=register(), classes=3)
    specs = {"rgb": ClipSpec("tiny", short_side=36, size=32)}
    specs["flow"] = ClipSpec("tiny_flow", stream="flow", short_side=36, size=32)
    both.labels, both.clip_specs = ("sit", "stand", "wave"), specs
    random = np.random.default_rng(1)
    clips = {
        "rgb": random.uniform(-1, 1, (1, 9, 32, 32, 3)).astype("float32"),
        "flow": random.uniform(-1, 1, (1, 9, 32, 32, 2)).astype("float32"),
    }
    actual = getattr(called(both, both), "__call__")(clips)  # noqa: B004, B009
    np.testing.assert_allclose(actual, both(clips), rtol=1e-4, atol=1e-5)


def test_a_system_without_a_common_grid_has_no_feature_form(tmp_path):
    model = ki3d.TwoStream(architecture=register(), classes=3)
    model.labels = ("sit", "stand", "wave")
    assert feature_tensors(model) == {}
    with pytest.raises(ExportError, match="use include_top=True"):
        ki3d.export(model, tmp_path / "x", to="hub", include_top=False)
    assert list(tmp_path.iterdir()) == []


def test_the_parity_check_covers_the_call(model, tmp_path, monkeypatch):
    def run(folder, inputs, **_):
        assert "__call__/rgb" in inputs
        raise ExportError("enough")

    monkeypatch.setattr(tensorflow, "run_in_subprocess", run)
    monkeypatch.setattr(hub, "write_saved_model", lambda *_, **__: None)
    with pytest.raises(ExportError, match="enough"):
        ki3d.export(model, tmp_path / "x", to="hub")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("terms", "name"),
    [
        ("Trained on CC BY 4.0, from Apache-2.0", "Attribution 4.0 International (CC BY 4.0)"),
        ("Apache-2.0", "Apache 2.0"),
        ("mine alone", "INSERT_LICENSE_NAME_HERE"),
    ],
)
def test_the_page_on_kaggle(model, terms, name):
    files = hub.hub_page(
        model, model, about={"name": "My Model.h5", "license": terms, "data": "films"}
    )
    page, instance = (
        json.loads(files[f"{name}-metadata.json"]) for name in ("model", "model-instance")
    )
    assert page["licenseName"] == instance["licenseName"] == name
    assert page["slug"] == instance["modelSlug"] == "my-model" and page["title"] == "My Model"
    assert page["description"] == files["README.md"] and "\n# My Model.h5\n" in page["description"]
    assert page["description"].startswith("---\n")
    assert instance["framework"] == "tensorFlow2" and instance["fineTunable"] is True
    assert instance["trainingData"] == ["films"]
    headings = [line for line in instance["usage"].splitlines() if line.startswith("# ")]
    kinds = ("Model format", "Model inputs", "Model outputs", "Model usage", "Fine-tuning")
    assert headings == [f"# {kind}" for kind in kinds]
    assert '"${PATH}", trainable=True' in instance["usage"] and "| rgb | 10 |" in instance["usage"]
    assert "### Fine-tuning" in files["README.md"] and "${PATH}" not in files["README.md"]
