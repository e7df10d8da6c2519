"""`export`: formats, their options, and errors before anything is written."""

import inspect

import keras
import pytest
import tensorflow as tf
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import ExportError, UserError
from kinetics_i3d.exporting.export import FORMATS, find_writer


@pytest.mark.parametrize("to", FORMATS)
def test_each_format_has_a_function_of_a_model_and_a_path(to):
    parameters = list(inspect.signature(find_writer(to)).parameters.values())
    assert [parameter.name for parameter in parameters[:2]] == ["model", "output"]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters[2:])


def test_wrong_arguments(model, tmp_path):
    with pytest.raises(ValueError, match="`to` must be one of"):
        ki3d.export(model, tmp_path / "x", to="onxx")
    with pytest.raises(ValueError, match=r"`frames` must be left out for to='savedmodel'"):
        ki3d.export(model, tmp_path / "x", frames=16)
    with pytest.raises(ValueError, match=r"`endpoints` must name activations .* 'Mixed_9z'"):
        ki3d.export(model, tmp_path / "x", endpoints=("Mixed_9z",))
    (tmp_path / "taken").write_text("old")
    with pytest.raises(UserError, match="taken: already exists"):
        ki3d.export(model, tmp_path / "taken")
    nameless = ki3d.InceptionI3D(architecture=register(), classes=3)
    with pytest.raises(ExportError, match="its 3 classes have no names"):
        ki3d.export(nameless, tmp_path / "x")
    with pytest.raises(ValueError, match="end in logits: include_top=True"):
        ki3d.export(ki3d.feature_model(nameless, "Mixed_3c"), tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_other_keras_backend_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match=r"export requires Keras' TensorFlow backend, but .* jax"):
        ki3d.export("rgb_figures", tmp_path / "x")


def test_full_disk_is_one_line_with_the_path(model, tmp_path, monkeypatch):
    def fail(model, output):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")

    monkeypatch.setattr("kinetics_i3d.exporting.export.find_writer", lambda to: fail)
    with pytest.raises(ExportError, match=r"x: cannot be written \(No space left on device\)$"):
        ki3d.export(model, tmp_path / "x")
