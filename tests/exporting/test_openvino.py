"""OpenVINO models: what they answer in float32 and in 8 bits, and that they are run first."""

import dataclasses
import json
import sys

import numpy as np
import pytest
from short_network import shortened

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import DEEPMIND, FVD, MEDIAPIPE, ClipSpec
from kinetics_i3d.core.errors import ExportError, UserError
from kinetics_i3d.core.labels import softmax
from kinetics_i3d.exporting import openvino as openvino_export
from kinetics_i3d.exporting.openvino import clip_sizes, framed
from kinetics_i3d.models.folding import late_layers
from kinetics_i3d.models.inception_i3d import ARCHITECTURES
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
def wanted(model):
    """Logits of `SOME` by the Keras model."""
    clips = SOME[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    return model(clips, training=False).numpy()


def answer(openvino, folder, frames):
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    run = openvino.Core().compile_model(folder / "model.xml", "CPU", options)
    found = run({"rgb": frames})
    return {each.any_name: found[each] for each in run.outputs}


def test_any_number_and_size_of_frames_is_answered(openvino, folder, wanted):
    found = answer(openvino, folder, SOME)
    np.testing.assert_allclose(found["logits"], wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found["probabilities"], softmax(wanted), rtol=1e-4)


def test_labels_and_spec_are_beside_it_and_inside(openvino, folder, model):
    assert (folder / "labels.txt").read_text() == "sit\nstand\nwave\n"
    fields = json.loads((folder / "clip_spec.json").read_text())["rgb"]
    assert fields.pop("minimum_frames") == 9
    assert ClipSpec(**fields) == model.clip_spec
    inside = openvino.Core().read_model(folder / "model.xml")
    labels = inside.get_rt_info(["kinetics_i3d", "labels"]).astype(str)
    assert json.loads(labels) == ["sit", "stand", "wave"]


def test_eight_bits_are_near_and_the_pixels_before_them_exact(
    openvino, model, wanted, tmp_path, capsys
):
    pytest.importorskip("nncf", reason=WHY)
    for number, clip in enumerate(SOME):
        write_video(tmp_path / f"{number}.mp4", clip, fps=10)
    videos = sorted(tmp_path.glob("*.mp4"))
    given = {"precision": "int8", "calibration": videos}
    folder = ki3d.export(model, tmp_path / "int8", to="openvino", **given)
    assert capsys.readouterr().out == ""
    graph = openvino.Core().read_model(folder / "model.xml")
    nodes = graph.get_ordered_ops()
    constants = [node for node in nodes if node.get_type_name() == "Constant"]
    kernels = sum(layer.name.endswith("_conv") for layer in model.layers)
    kernels -= sum(name.endswith("_conv") for name in late_layers(model))
    assert [one.get_element_type() for one in constants].count(openvino.Type.i8) == kernels
    products = [node for node in nodes if node.get_type_name() == "MatMul"]
    read = [node.input_value(side).get_node() for node in products for side in (0, 1)]
    assert len(products) == 2 and "FakeQuantize" not in [one.get_type_name() for one in read]
    found = answer(openvino, folder, SOME)["logits"]
    assert not np.allclose(found, wanted, rtol=1e-3)
    np.testing.assert_allclose(found, wanted, atol=0.2 * np.abs(wanted).max())


def test_response_norms_stay_in_floats(openvino, tmp_path, monkeypatch):
    pytest.importorskip("nncf", reason=WHY)
    row = shortened(dataclasses.replace(ARCHITECTURES["googlenet"], width=0.1))
    monkeypatch.setitem(ARCHITECTURES, row.name, row)
    model = ki3d.InceptionI3D(architecture=row.name, classes=3)
    model.clip_spec = ClipSpec("tiny", fps=10, short_side=36, size=32)
    write_video(tmp_path / "a.mp4", SOME[0], fps=10)
    graph, _ = openvino_export.quantized(model, [tmp_path / "a.mp4"])
    nodes = {node.get_friendly_name(): node for node in graph.get_ordered_ops()}
    norms = openvino_export.response_norms(graph)
    assert len(norms) == 16 == len({*norms})  # two norms, from the squares to the last product
    for name in norms:
        inputs = range(nodes[name].get_input_size())
        read = [nodes[name].input_value(index).get_node().get_type_name() for index in inputs]
        assert "FakeQuantize" not in read, name
    assert sum(node.get_type_name() == "FakeQuantize" for node in nodes.values()) > 10


def test_a_failing_comparison_leaves_nothing_and_says_by_how_much(
    openvino, folder, model, tmp_path, monkeypatch
):
    def other(function, signature):
        graph = openvino.Core().read_model(folder / "model.xml")
        for node in graph.get_ordered_ops():
            if node.get_type_name() == "Convolution":
                last = node
        kernel = last.input_value(1).get_node()
        ops = openvino.opset13
        more = ops.multiply(kernel, np.float32(1.05))
        last.input(1).replace_source_output(more.output(0))
        return graph

    monkeypatch.setattr(openvino_export, "_graph", other)
    with pytest.raises(ExportError, match=r"its logits would be off by 0\.0\d+ of the largest"):
        ki3d.export(model, tmp_path / "x", to="openvino")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", [DEEPMIND, MEDIAPIPE, FVD])
def test_a_clip_is_framed_so_that_it_is_the_crop(spec):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, spec.size, spec.size, 3), np.uint8)
    frames = framed(pixels, spec)
    assert spec.resized(*frames.shape[2:4]) == frames.shape[2:4]
    np.testing.assert_array_equal(center_crop(frames, spec.size), pixels)


def test_clips_to_calibrate_by_are_in_the_ratio_of_the_streams():
    two = ki3d.TwoStream(architecture="inception_v1_quarter", classes=3)
    assert {key: size[1] for key, size in clip_sizes(two).items()} == {"rgb": 2, "flow": 20}
    c3d = ki3d.C3D(architecture="c3d_eighth", classes=3)
    assert clip_sizes(c3d) == {"rgb": (1, 16, 112, 112, 3)}


def test_wrong_arguments(model, tmp_path, monkeypatch):
    for options, said in [
        ({"precision": "bfloat16"}, r"`precision` must be one of \('float32', 'int8'\)"),
        ({"precision": "int8"}, "`calibration` must be given for precision='int8'"),
        ({"calibration": "x"}, "`calibration` must be given for precision='int8'"),
    ]:
        with pytest.raises(ValueError, match=said):
            ki3d.export(model, tmp_path / "x", to="openvino", **options)
    (tmp_path / "taken").write_text("old")
    with pytest.raises(UserError, match="taken: exists already"):
        ki3d.export(model, tmp_path / "taken", to="openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(
        ExportError, match=r"needs openvino: pip install 'kinetics-i3d\[openvino\]'"
    ):
        ki3d.export(model, tmp_path / "x", to="openvino")
