"""`export`: formats, their options, and errors before anything is written."""

import collections
import inspect
import types

import keras
import pytest
import tensorflow as tf
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.cli.export import FORMATS_OF
from kinetics_i3d.cli.main import main
from kinetics_i3d.core.errors import ExportError, UserError
from kinetics_i3d.exporting.export import FORMATS, find_writer
from kinetics_i3d.exporting.model_card import provenance
from kinetics_i3d.exporting.verify import run_in_subprocess


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
    with pytest.raises(ValueError, match=r"`endpoints` must be a list of names. Received: end"):
        ki3d.export(model, tmp_path / "x", endpoints="Mixed_3c")
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


def test_the_command_knows_the_options_of_each_format(capsys, tmp_path):
    taken = collections.defaultdict(list)
    for to in FORMATS:
        for name, parameter in inspect.signature(find_writer(to)).parameters.items():
            if parameter.kind is parameter.KEYWORD_ONLY and name != "about":
                taken[name].append(to)
    assert {name: tuple(formats) for name, formats in taken.items()} == FORMATS_OF
    words = ["export", "rgb_figures", "--output", str(tmp_path / "x"), "--to"]
    for wrong, message in (
        (["onnx", "--report"], "--report is for --to litert only. Received: --to onnx"),
        (["onnx", "--without-top"], "--without-top is for --to hub only. Received: --to onnx"),
        (["hub", "--model-version", "2"], "--model-version is for --to serving only."),
        (["serving", "--precision", "int8"], "--precision is for --to litert or openvino only."),
    ):
        assert main([*words, *wrong]) == 2
        assert message in capsys.readouterr().err


def test_other_labels_keep_the_provenance(capsys, tmp_path, monkeypatch):
    arguments = {}

    def write(model, output, **options):
        arguments.update(options, labels=model.labels)
        return output

    monkeypatch.setattr("kinetics_i3d.exporting.export.export", write)
    labels = [f"Klasse {number}" for number in range(12)]
    (tmp_path / "de.txt").write_text("\n".join(labels))
    words = ["export", "rgb_figures", "--to", "hub", "--labels", str(tmp_path / "de.txt")]
    assert main([*words, "--output", str(tmp_path / "x")]) == 0
    assert arguments["labels"] == tuple(labels)
    assert arguments["about"] == provenance("rgb_figures")


def test_a_check_that_was_killed_is_named(tmp_path, monkeypatch):
    done = types.SimpleNamespace(returncode=-9, stderr="cuda_platform.cc: no GPU")
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: done)
    with pytest.raises(ExportError, match="was killed by signal 9, perhaps because memory ran out"):
        run_in_subprocess(tmp_path / "x", {}, runtime="onnx", output="out")


def test_full_disk_is_one_line_with_the_path(model, tmp_path, monkeypatch):
    def fail(model, output):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore")

    monkeypatch.setattr("kinetics_i3d.exporting.export.find_writer", lambda to: fail)
    with pytest.raises(ExportError, match=r"x: cannot be written \(No space left on device\)$"):
        ki3d.export(model, tmp_path / "x")
