"""LiteRT files: builtin operations, the model's logits, quantization, and the zip inside."""

import collections
import importlib.util
import json
import pathlib
import re
import sys
import types
import zipfile

import numpy as np
import pytest
import tensorflow as tf

import kinetics_i3d as ki3d
from kinetics_i3d.cli import export as verb
from kinetics_i3d.cli.main import main
from kinetics_i3d.core.errors import DatasetError, ExportError, UserError
from kinetics_i3d.exporting import litert
from kinetics_i3d.exporting.isolated_runner import open_litert
from kinetics_i3d.exporting.litert import FakeQuantizer
from kinetics_i3d.video.writer import write_video


@pytest.fixture
def in_this_process(monkeypatch):
    """Runs files in this process, which saves the start of another."""

    def run(path, inputs, **_):
        clips = {key.split("/")[1]: value for key, value in inputs.items()}
        return {"logits/logits": open_litert(path)(**clips)["logits"]}

    monkeypatch.setattr(litert, "run_in_subprocess", run)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A table of two videos to train and one to test, of noise that differs in brightness."""
    folder = tmp_path_factory.mktemp("videos")
    random, lines = np.random.default_rng(0), ["path,label,split\n"]
    for name, split, top in [("a", "train", 256), ("b", "train", 128), ("c", "test", 256)]:
        frames = random.integers(0, top, (12, 40, 48, 3), np.uint8)
        write_video(folder / f"{name}.mp4", frames, fps=10)
        lines.append(f"{name}.mp4,sit,{split}\n")
    (folder / "videos.csv").write_text("".join(lines))
    return folder / "videos.csv"


@pytest.mark.slow
def test_float32_runs_alone_and_gives_the_logits_of_the_model(model, tmp_path):
    path, reports = tmp_path / "tiny.tflite", []
    ki3d.export(model, path, to="litert", frames=10, report=reports.append)
    pixels = np.random.default_rng(5).integers(0, 256, (1, 10, 32, 32, 3), np.uint8)
    expected = model(pixels.astype(np.float32) / 255 * 2.5 - 0.5, training=False)
    actual = open_litert(path)(rgb=pixels)["logits"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    with zipfile.ZipFile(path) as beside:
        assert beside.read("labels.txt").decode() == "sit\nstand\nwave\n"
        assert json.loads(beside.read("clip_spec.json"))["rgb"]["low"] == -0.5
        assert reports == [json.loads(beside.read("operations.json"))]
        assert 'library_name: "litert"' in beside.read("README.md").decode()
    # 21 units and the classifier, each one convolution.
    assert reports[0]["CONV_2D"] == 22
    assert not {name for name in reports[0] if "3D" in name or name.startswith("custom")}
    assert [item.name for item in tmp_path.iterdir()] == ["tiny.tflite"]


@pytest.fixture
def example(monkeypatch):
    """`examples/classify_litert.py`, with TensorFlow's interpreter where LiteRT's is missing."""
    if importlib.util.find_spec("ai_edge_litert") is None:
        interpreter = types.SimpleNamespace(Interpreter=tf.lite.Interpreter)
        monkeypatch.setitem(sys.modules, "ai_edge_litert", types.ModuleType("ai_edge_litert"))
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", interpreter)
    path = pathlib.Path(__file__).parents[2] / "examples" / "classify_litert.py"
    spec = importlib.util.spec_from_file_location("classify_litert", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_example_prints_the_probabilities_of_the_model(
    activation, model, sigmoid_model, dataset, tmp_path, in_this_process, example, capsys
):
    model = {"softmax": model, "sigmoid": sigmoid_model}[activation]
    path, video = tmp_path / "tiny.tflite", dataset.with_name("c.mp4")
    ki3d.export(model, path, to="litert", frames=12)
    with zipfile.ZipFile(path) as beside:
        assert beside.read("activation.txt").decode() == f"{activation}\n"
    capsys.readouterr()
    example.main(str(video), str(path))
    printed = re.findall(r"([\d.]+) %  (\w+)", capsys.readouterr().out)
    logits = model(ki3d.load_clip(video, spec=model.clip_spec), training=False)
    (expected,) = ki3d.decode_predictions(logits, labels=model.labels, activation=activation)
    assert [label for _, label in printed] == [label for label, _ in expected]
    actual = [float(percent) / 100 for percent, _ in printed]
    np.testing.assert_allclose(actual, [odds for _, odds in expected], atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "share"), [("float16", 0.62), ("dynamic_int8", 0.42)])
def test_lower_precisions_have_smaller_files(model, tmp_path, in_this_process, precision, share):
    path = tmp_path / "tiny.tflite"
    ki3d.export(model, path, to="litert", frames=9, precision=precision)
    assert path.stat().st_size < share * 4 * model.count_params()


@pytest.mark.long
def test_the_command_calibrates_int8_by_training_videos(
    model, dataset, tmp_path, in_this_process, monkeypatch, capsys
):
    seen = []

    def recorded(videos, *arguments):
        for clip in calibration_clips(videos, *arguments):
            seen.append(clip["rgb"])
            yield clip

    calibration_clips = litert.calibration_clips
    monkeypatch.setattr(litert, "calibration_clips", recorded)
    path, weights = tmp_path / "x.tflite", tmp_path / "mine.h5"
    ki3d.save_weights(model, weights)
    words = ["export", weights, "--output", path, "--to", "litert", "--precision", "int8"]
    words += ["--frames", 9]
    assert main([str(word) for word in (*words, "--calibration", dataset, "--report")]) == 0
    *report, last = capsys.readouterr().out.splitlines()
    assert last == str(path) and "CONV_2D            22" in report
    # Both training videos, each once; black is -0.5, and white of the first one 2.
    assert sorted(round(float(clip.max())) for clip in seen) == [1, 2]
    network = open_litert(path)
    details = network.get_input_details()["rgb"]
    scale, zero = details["quantization"]
    # One step is one of the pixels', and 0 is the pixel of 51.
    assert details["dtype"] == np.uint8 and zero == 51
    assert scale == pytest.approx(2.5 / 255, rel=1e-3)
    assert network.get_output_details()["logits"]["dtype"] == np.float32
    pixels = model.clip_spec.denormalize(seen[0])
    expected = model(seen[0], training=False)
    actual = network(rgb=pixels)["logits"]
    assert 0 < np.abs(actual - expected).max() < 0.1 * np.abs(expected).max()
    # Kernels and activations of every unit, but of the last two modules and the classifier.
    kinds = collections.Counter(np.dtype(item["dtype"]).name for item in tensors(path))
    assert kinds["int8"] > 2 * 9


def tensors(path):
    """The types of all tensors of a file."""
    from tensorflow.lite.python import schema_py_generated as schema

    graph = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(path.read_bytes(), 0))
    names = {code: name.lower() for name, code in vars(schema.TensorType).items() if name.isupper()}
    return [{"dtype": names[item.type]} for item in graph.subgraphs[0].tensors]


@pytest.mark.slow
def test_a_delegate_takes_the_whole_network(model):
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="the extra `litert` is not installed"
    )
    file = litert.convert(model, {"rgb": (1, 9, 32, 32, 3)})
    network = interpreter.Interpreter(model_content=file, num_threads=1)
    network.allocate_tensors()
    kinds = [item["op_name"] for item in network._get_ops_details()]
    # An operation that the delegate does not know would cut the network in two.
    assert kinds.count("DELEGATE") == 1


def test_activations_are_measured_and_then_rounded_to_their_range():
    import tensorflow as tf

    quantizer = FakeQuantizer(224)
    first, same, other = (quantizer.activation(key) for key in "aab")
    first(tf.constant([0.0, 10.0]))
    same(tf.constant([25.5, 3.0]))
    other(tf.constant([-2.0, 0.55]))
    rounded = tf.function(lambda x: (first(x), other(x)))
    actual = rounded(tf.constant([0.04, 0.06, 12.34, 99.0, -3.0]))
    np.testing.assert_allclose(actual[0], [0.0, 0.1, 12.3, 25.5, 0.0], atol=1e-5)
    np.testing.assert_allclose(actual[1], [0.04, 0.06, 0.55, 0.55, -2.0], atol=1e-5)
    # What no clip excites still has steps that are large enough for a runtime.
    dead = quantizer.activation("c")
    dead(tf.constant([0.0, 1e-7]))
    actual = tf.function(dead)(tf.constant([1.0]))
    np.testing.assert_allclose(actual, 0.0255, rtol=1e-5)
    kernel = np.array([[1.27, -100.0], [0.014, 127.0]], np.float32)
    actual = tf.function(lambda: quantizer.kernel(kernel))()
    np.testing.assert_allclose(actual, [[1.27, -100.0], [0.01, 127.0]], atol=1e-5)


def test_a_failed_parity_check_leaves_no_file(model, tmp_path, monkeypatch):
    monkeypatch.setattr(litert, "convert", lambda *_, **__: b"")
    monkeypatch.setattr(litert, "count_operations", lambda file: {"CONV_2D": 1})
    logits = {"logits/logits": np.full((1, 3), 1e3, np.float32)}
    monkeypatch.setattr(litert, "run_in_subprocess", lambda *_, **__: logits)
    with pytest.raises(ExportError, match=r"not written; its logits differ by [\d.e+]+ of"):
        ki3d.export(model, tmp_path / "x.tflite", to="litert", frames=9)
    monkeypatch.setattr(litert, "count_operations", lambda file: {"custom FlexMaxPool3D": 1})
    with pytest.raises(ExportError, match="these operations are not builtin: custom FlexMaxPool3D"):
        ki3d.export(model, tmp_path / "x.tflite", to="litert", frames=9)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int4"}, "`precision` must be one of"),
        ({"precision": "int8"}, "`calibration` must be given for precision='int8'"),
        ({"calibration": ["a.mp4"]}, "`calibration` must be given for precision='int8'"),
        ({"frames": 8}, "`frames` must be at least 9"),
    ],
)
def test_wrong_arguments(model, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        ki3d.export(model, tmp_path / "x.tflite", to="litert", **options)


def test_unusable_outputs_and_videos_are_reported(model, tmp_path):
    with pytest.raises(ExportError, match=r"x\.h5: the name must end in \.tflite"):
        ki3d.export(model, tmp_path / "x.h5", to="litert")
    int8 = {"to": "litert", "precision": "int8"}
    with pytest.raises(DatasetError, match="nothing"):
        ki3d.export(model, tmp_path / "x.tflite", calibration=tmp_path / "nothing", **int8)
    with pytest.raises(ExportError, match="no videos to calibrate with"):
        ki3d.export(model, tmp_path / "x.tflite", calibration=[], **int8)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "taken.tflite").write_bytes(b"kept")
    with pytest.raises(UserError, match=r"taken\.tflite: already exists"):
        ki3d.export(model, tmp_path / "taken.tflite", to="litert")
    assert (tmp_path / "taken.tflite").read_bytes() == b"kept"


def test_the_command_offers_the_precisions_of_the_library():
    # The verb has a list of its own, so that --help loads no Keras.
    assert verb.PRECISIONS == litert.PRECISIONS


@pytest.mark.slow
def test_clip_sizes_of_all_streams(model):
    assert litert.clip_sizes(model) == {"rgb": (1, 64, 32, 32, 3)}
    both = ki3d.TwoStream(architecture="inception_v1_quarter", classes=3)
    expected = {"rgb": (1, 2, 224, 224, 3), "flow": (1, 20, 224, 224, 2)}
    assert litert.clip_sizes(both, 2) == expected
    assert litert.clip_sizes(both)["flow"][1] == 10
    fixed = ki3d.C3D(architecture="c3d_eighth", classes=3)
    assert litert.clip_sizes(fixed) == {"rgb": (1, 16, 112, 112, 3)}
    with pytest.raises(ValueError, match="`frames` must be 16 for c3d"):
        litert.clip_sizes(fixed, 20)
