"""ONNX files: the outputs in ONNX Runtime, the metadata, and the parity check."""

import json
import sys

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import ExportError, UserError
from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.exporting import isolated_runner, verify

pytestmark = pytest.mark.slow
WHY = "requirements/formats.txt is not installed"
SOME = np.random.default_rng(3).integers(0, 256, (2, 11, 36, 44, 3), np.uint8)


def installed():
    """onnx, onnxruntime and tf2onnx, or no test."""
    pytest.importorskip("tf2onnx", reason=WHY)
    return pytest.importorskip("onnx", reason=WHY), pytest.importorskip("onnxruntime", reason=WHY)


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    installed()
    return ki3d.export(model, tmp_path_factory.mktemp("onnx") / "tiny.onnx", to="onnx")


def test_frames_of_any_number_and_size(file, model):
    _, runtime = installed()
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (tensor,) = session.get_inputs()
    axes = ["batch", "rgb_frames", "rgb_height", "rgb_width", 3]
    assert (tensor.name, tensor.type, tensor.shape) == ("rgb", "tensor(uint8)", axes)
    clips = SOME[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    expected = model(clips, training=False).numpy()
    logits, odds = session.run(["logits", "probabilities"], {"rgb": SOME})
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(odds, softmax(expected), rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 8, 36, 44, 3), (1, 4, 36, 44, 3), (2, 1, 36, 44, 3)])
def test_too_few_frames_are_refused_in_words(file, shape):
    _, runtime = installed()
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    with pytest.raises(Exception, match="Name:'rgb_must_have_9_frames_or_more'"):
        session.run(["logits"], {"rgb": np.zeros(shape, np.uint8)})


def test_sigmoid_weights_have_a_probability_for_each_class(sigmoid_model, tmp_path):
    onnx, runtime = installed()
    file = ki3d.export(sigmoid_model, tmp_path / "several.onnx", to="onnx")
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (odds,) = session.run(["probabilities"], {"rgb": SOME})
    clips = SOME[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    expected = sigmoid(sigmoid_model(clips, training=False).numpy())
    np.testing.assert_allclose(odds, expected, rtol=1e-4)
    assert not np.allclose(odds.sum(-1), 1, atol=0.1)
    texts = {field.key: field.value for field in onnx.load(file).metadata_props}
    assert texts["activation"] == "sigmoid"


def test_labels_spec_and_card_are_in_the_metadata(file, model):
    onnx, _ = installed()
    card = onnx.load(file).doc_string
    assert 'library_name: "onnx"' in card and "metadata property `labels`" in card
    texts = {field.key: field.value for field in onnx.load(file).metadata_props}
    assert json.loads(texts["labels"]) == ["sit", "stand", "wave"]
    fields = json.loads(texts["clip_spec"])["rgb"]
    assert fields.pop("minimum_frames") == 9
    assert ClipSpec(**fields) == model.clip_spec


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("one/logits", r"its logits differ by 0\.01 of the largest value, where 0\.0001"),
        ("two/logits", r"its logits differ by 0\.01"),
        ("one/probabilities", r"its probabilities differ by 0\.01"),
    ],
)
def test_a_failed_parity_check_leaves_no_file_and_reports_the_difference(
    file, model, tmp_path, monkeypatch, key, message
):
    import tf2onnx

    onnx, _ = installed()
    convert = lambda *_, **__: (onnx.load(file), None)  # noqa: E731
    monkeypatch.setattr(tf2onnx.convert, "from_function", convert)
    shapes = []

    def run(path, inputs, *, runtime, output):
        assert runtime == "onnx" and path.parent == tmp_path and path != output
        shapes.append({name: array.shape[:2] for name, array in inputs.items()})
        files = [tmp_path.parent / f"{tmp_path.name}_{name}.npz" for name in ("in", "out")]
        np.savez(files[0], **inputs)
        isolated_runner.run_file(runtime, path, *files)
        outputs = dict(np.load(files[1]))
        outputs[key] = outputs[key] * 1.01
        return outputs

    monkeypatch.setattr(verify, "run_in_subprocess", run)
    with pytest.raises(ExportError, match=message):
        ki3d.export(model, tmp_path / "x.onnx", to="onnx")
    assert list(tmp_path.iterdir()) == []
    assert shapes == [{"one/rgb": (1, 9), "two/rgb": (2, 18)}]


def test_wrong_arguments(model, tmp_path, monkeypatch):
    with pytest.raises(ExportError, match=r"x\.bin: the name must end in \.onnx"):
        ki3d.export(model, tmp_path / "x.bin", to="onnx")
    (tmp_path / "taken.onnx").write_text("old")
    with pytest.raises(UserError, match=r"taken\.onnx: already exists"):
        ki3d.export(model, tmp_path / "taken.onnx", to="onnx")
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    with pytest.raises(ExportError, match=r"ONNX needs .*pip install 'kinetics-i3d\[onnx\]'"):
        ki3d.export(model, tmp_path / "x.onnx", to="onnx")
