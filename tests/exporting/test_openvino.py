"""OpenVINO models: the outputs in float32 and in 8 bits, and the parity check."""

import json
import sys

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import DEEPMIND, FVD, MEDIAPIPE, ClipSpec
from kinetics_i3d.core.errors import ExportError, UserError
from kinetics_i3d.core.labels import sigmoid, softmax
from kinetics_i3d.exporting import openvino as openvino_export
from kinetics_i3d.exporting.openvino import with_borders
from kinetics_i3d.models.folding import late_layers
from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.writer import write_video

pytestmark = pytest.mark.slow
WHY = "requirements/formats.txt is not installed"
SOME = np.random.default_rng(3).integers(0, 256, (2, 11, 36, 44, 3), np.uint8)


@pytest.fixture(scope="module")
def openvino():
    return pytest.importorskip("openvino", reason=WHY)


@pytest.fixture(scope="module")
def folder(openvino, model, tmp_path_factory):
    return ki3d.export(model, tmp_path_factory.mktemp("openvino") / "tiny", to="openvino")


@pytest.fixture(scope="module")
def expected(model):
    """Logits of `SOME` by the Keras model."""
    clips = SOME[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    return model(clips, training=False).numpy()


def run_folder(openvino, folder, frames):
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(folder / "model.xml", "CPU", options)
    outputs = run({"rgb": frames})
    return {output.any_name: outputs[output] for output in run.outputs}


def test_frames_of_any_number_and_size(openvino, folder, expected):
    actual = run_folder(openvino, folder, SOME)
    np.testing.assert_allclose(actual["logits"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(actual["probabilities"], softmax(expected), rtol=1e-4)


def test_sigmoid_weights_have_a_probability_for_each_class(
    openvino, sigmoid_model, expected, tmp_path
):
    folder = ki3d.export(sigmoid_model, tmp_path / "several", to="openvino")
    actual = run_folder(openvino, folder, SOME)
    np.testing.assert_allclose(actual["logits"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(actual["probabilities"], sigmoid(expected), rtol=1e-4)
    assert (folder / "activation.txt").read_text() == "sigmoid\n"
    inside = openvino.Core().read_model(folder / "model.xml")
    assert inside.get_rt_info(["kinetics_i3d", "activation"]).astype(str) == "sigmoid"


def test_a_full_disk_is_named_and_leaves_nothing(openvino, model, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("basic_ios::clear: iostream error")  # what it raises on a full disk

    monkeypatch.setattr(openvino, "save_model", fail)
    with pytest.raises(ki3d.ExportError, match=r"out: cannot be written, perhaps .* disk is full"):
        ki3d.export(model, tmp_path / "out", to="openvino")
    assert list(tmp_path.iterdir()) == []


def test_labels_and_spec_are_beside_it_and_inside(openvino, folder, model):
    assert (folder / "labels.txt").read_text() == "sit\nstand\nwave\n"
    card = (folder / "README.md").read_text()
    assert 'library_name: "openvino"' in card and "`labels.txt`" in card
    fields = json.loads((folder / "clip_spec.json").read_text())["rgb"]
    assert fields.pop("minimum_frames") == 9
    assert ClipSpec(**fields) == model.clip_spec
    inside = openvino.Core().read_model(folder / "model.xml")
    labels = inside.get_rt_info(["kinetics_i3d", "labels"]).astype(str)
    assert json.loads(labels) == ["sit", "stand", "wave"]


def test_8_bits_are_close_and_the_preprocessing_is_exact(
    openvino, model, expected, tmp_path, capsys
):
    pytest.importorskip("nncf", reason=WHY)
    for number, clip in enumerate(SOME):
        write_video(tmp_path / f"{number}.mp4", clip, fps=10)
    videos = sorted(tmp_path.glob("*.mp4"))
    folder = tmp_path / "int8"
    ki3d.export(model, folder, to="openvino", precision="int8", calibration=videos)
    assert capsys.readouterr().out == ""
    graph = openvino.Core().read_model(folder / "model.xml")
    nodes = graph.get_ordered_ops()
    constants = [node for node in nodes if node.get_type_name() == "Constant"]
    kernels = sum(layer.name.endswith("_conv") for layer in model.layers)
    kernels -= sum(name.endswith("_conv") for name in late_layers(model))
    assert [node.get_element_type() for node in constants].count(openvino.Type.i8) == kernels
    matmuls = [node for node in nodes if node.get_type_name() == "MatMul"]
    read = [node.input_value(side).get_node() for node in matmuls for side in (0, 1)]
    assert len(matmuls) == 2 and "FakeQuantize" not in [node.get_type_name() for node in read]
    actual = run_folder(openvino, folder, SOME)["logits"]
    assert not np.allclose(actual, expected, rtol=1e-3)
    np.testing.assert_allclose(actual, expected, atol=0.2 * np.abs(expected).max())


def test_a_failed_parity_check_leaves_no_folder_and_reports_the_difference(
    openvino, folder, model, tmp_path, monkeypatch
):
    def other(function):
        graph = openvino.Core().read_model(folder / "model.xml")
        for node in graph.get_ordered_ops():
            if node.get_type_name() == "Convolution":
                last = node
        kernel = last.input_value(1).get_node()
        ops = openvino.opset13
        more = ops.multiply(kernel, np.float32(1.05))
        last.input(1).replace_source_output(more.output(0))
        return graph

    monkeypatch.setattr(openvino_export, "openvino_graph", other)
    with pytest.raises(ExportError, match=r"its logits differ by 0\.0\d+ of the largest"):
        ki3d.export(model, tmp_path / "x", to="openvino")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", [DEEPMIND, MEDIAPIPE, FVD])
def test_the_crop_of_a_clip_with_borders_is_the_clip(spec):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, spec.size, spec.size, 3), np.uint8)
    frames = with_borders(pixels, spec)
    assert spec.resized(*frames.shape[2:4]) == frames.shape[2:4]
    np.testing.assert_array_equal(center_crop(frames, spec.size), pixels)


def test_wrong_arguments(model, tmp_path, monkeypatch):
    for options, message in [
        ({"precision": "bfloat16"}, r"`precision` must be one of \('float32', 'int8'\)"),
        ({"precision": "int8"}, "`calibration` must be given for precision='int8'"),
        ({"calibration": "x"}, "`calibration` must be given for precision='int8'"),
    ]:
        with pytest.raises(ValueError, match=message):
            ki3d.export(model, tmp_path / "x", to="openvino", **options)
    (tmp_path / "taken").write_text("old")
    with pytest.raises(UserError, match="taken: already exists"):
        ki3d.export(model, tmp_path / "taken", to="openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError, match=r"need openvino: pip install 'kinetics-i3d\[openvino\]'"):
        ki3d.export(model, tmp_path / "x", to="openvino")
