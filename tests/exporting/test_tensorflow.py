"""SavedModels: outputs and errors of the signatures, the assets, and the parity check."""

import json

import numpy as np
import pytest
import tensorflow as tf
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import ExportError
from kinetics_i3d.core.labels import softmax
from kinetics_i3d.exporting import isolated_runner, tensorflow
from kinetics_i3d.exporting.verify import run_in_subprocess

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def loaded(saved):
    return tf.saved_model.load(str(saved)).signatures


@pytest.fixture(scope="module")
def frames():
    """Two clips that need a crop and nothing else, so that NumPy can make the model's clips."""
    return np.random.default_rng(3).integers(0, 256, (2, 11, 36, 44, 3), np.uint8)


@pytest.fixture(scope="module")
def expected(model, frames):
    """Logits by the Keras model."""
    crop = frames[:, :, 2:34, 6:38].astype(np.float32)
    return model(crop / 255 * 2.5 - 0.5, training=False).numpy()


@pytest.mark.long
def test_labels_and_scores_are_those_of_the_model(loaded, frames, expected):
    actual = loaded["serving_default"](rgb=tf.constant(frames))
    odds = softmax(expected)
    np.testing.assert_allclose(actual["probabilities"], odds, rtol=1e-4)
    order = np.argsort(-odds, axis=1)[:, :2]
    labels = np.array([b"sit", b"stand", b"wave"], object)
    assert (actual["labels"].numpy() == labels[order]).all()
    np.testing.assert_allclose(actual["scores"], np.take_along_axis(odds, order, 1), rtol=1e-4)
    assert actual["scores"].shape == (2, 2)


def test_logits_features_and_float_clips(loaded, model, frames, expected):
    tensor = tf.constant(frames)
    np.testing.assert_allclose(
        loaded["logits"](rgb=tensor)["logits"], expected, rtol=1e-4, atol=1e-5
    )
    clips = frames[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    floats = loaded["float_clips"](rgb=tf.constant(clips))
    assert set(floats) == {"logits", "probabilities", "labels", "scores"}
    np.testing.assert_allclose(floats["logits"], expected, rtol=1e-4, atol=1e-5)
    grid = ki3d.feature_model(model, "Mixed_5c")(clips).numpy()
    features = loaded["features"](rgb=tensor)
    assert set(features) == {"Mixed_5c"}
    np.testing.assert_allclose(features["Mixed_5c"], grid, rtol=1e-3, atol=1e-5 * grid.max())


RANK = "rgb_must_be_batch_frames_height_width_3"
WRONG = [
    ("serving_default", (1, 8, 36, 36, 3), "rgb must have 9 frames or more"),
    ("logits", (1, 9, 36, 36, 4), r"rgb must be \(batch, frames, height, width, 3\)"),
    ("features", (0, 9, 36, 36, 3), "rgb must not be empty"),
    ("serving_default", (1, 9, 0, 36, 3), "rgb must not be empty"),
    ("float_clips", (1, 9, 31, 32, 3), "rgb must be 32 x 32 pixels or more"),
    ("float_clips", (1, 8, 32, 32, 3), "rgb must have 9 frames or more"),
    ("serving_default", (9, 36, 36, 3), r"(?s)\[9,36,36,3\].*" + RANK),
    ("logits", (36, 36, 3), RANK),
    ("features", (1, 1, 9, 36, 36, 3), RANK),
    ("float_clips", (9, 32, 32, 3), RANK),
    ("default", (9, 32, 32, 3), RANK),
    ("default", (1, 8, 32, 32, 3), "rgb must have 9 frames or more"),
]


@pytest.mark.parametrize(("name", "shape", "message"), WRONG)
def test_a_wrong_shape_is_refused_by_the_graph(loaded, name, shape, message):
    dtype = tf.float32 if name in ("float_clips", "default") else tf.uint8
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        loaded[name](rgb=tf.zeros(shape, dtype))


@pytest.mark.parametrize("value", [255.0, -2.0, np.nan, np.inf])
def test_values_of_another_range_are_refused_by_the_graph(loaded, value):
    clip = np.zeros((1, 9, 32, 32, 3), np.float32)
    clip[0, 4, 7, 9, 1] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"scaled to -0\.5 to 2, and finite"):
        loaded["float_clips"](rgb=tf.constant(clip))


def test_the_names_of_the_hub_tutorial_work(loaded, model, frames):
    """https://www.tensorflow.org/hub/tutorials/action_recognition_with_tf_hub: `default`."""
    clips = frames[:, :, 2:34, 6:38].astype(np.float32) / 255 * 2.5 - 0.5
    actual = loaded["default"](tf.constant(clips))
    assert set(actual) == {"default"}
    np.testing.assert_allclose(actual["default"], model(clips), rtol=1e-4, atol=1e-5)


def test_labels_and_spec_are_assets(saved, model):
    assets = saved / "assets"
    assert assets.joinpath("labels.txt").read_text() == "sit\nstand\nwave\n"
    fields = json.loads(assets.joinpath("clip_spec.json").read_text())["rgb"]
    assert fields.pop("minimum_frames") == 9
    assert ClipSpec(**fields) == model.clip_spec
    card = (saved / "README.md").read_text()
    assert card.startswith("---\n") and "`assets/labels.txt`" in card and "(rgb=rgb_frames)" in card


@pytest.mark.long
def test_the_command_writes_a_saved_model_with_an_endpoint(tmp_path, capsys, monkeypatch, model):
    from kinetics_i3d.cli.main import main

    path, output = tmp_path / "mine.h5", tmp_path / "out"
    ki3d.save_weights(model, path)
    folders = []

    def run(folder, inputs, **_):
        folders.append(folder)
        return run_here(folder, inputs)

    monkeypatch.setattr(tensorflow, "run_in_subprocess", run)
    words = ["export", str(path), "--to", "savedmodel", "--output", str(output)]
    assert main([*words, "--endpoints", "Mixed_3c"]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    # It was compared before it was renamed.
    assert folders[0].parent == tmp_path and not folders[0].exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.h5", "out"]


def run_here(folder, inputs, **_):
    """`run_in_subprocess` in this process, which is faster."""
    calls: dict = {}
    for key, array in inputs.items():
        name, stream = key.split("/")
        calls.setdefault(name, {})[stream] = array
    results = isolated_runner.RUNTIMES["saved_model"](str(folder), calls)
    return {f"{name}/{key}": array for name in results for key, array in results[name].items()}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("logits/logits", r"its logits differ by 0\.01 of the largest value"),
        ("features/Mixed_5c", r"its features's Mixed_5c differ by 0\.01"),
        ("serving_default/labels", "its top label differs"),
    ],
)
def test_a_failed_parity_check_leaves_no_folder_and_reports_the_difference(
    saved, model, tmp_path, monkeypatch, key, message
):
    monkeypatch.setattr(tensorflow, "write_saved_model", lambda model, folder, **_: None)

    def run(folder, inputs, **_):
        outputs = run_here(saved, inputs)
        wrong = outputs[key] * 1.01 if key != "serving_default/labels" else outputs[key][:, ::-1]
        return {**outputs, key: wrong}

    monkeypatch.setattr(tensorflow, "run_in_subprocess", run)
    with pytest.raises(ExportError, match=message) as raised:
        ki3d.export(model, tmp_path / "out")
    assert str(raised.value).startswith(f"{tmp_path / 'out'}: not written; ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_an_artifact_that_does_not_run_is_reported_with_the_reason(tmp_path):
    with pytest.raises(ExportError, match=r"it does not run without this package \(.*exist"):
        run_in_subprocess(tmp_path / "nothing", {}, runtime="saved_model", output="out")


@pytest.mark.long
def test_two_streams_take_frames_and_8_bit_flow(tmp_path, monkeypatch):
    model = ki3d.TwoStreamI3D(architecture=register(), classes=3)
    specs = {"rgb": ClipSpec("tiny", short_side=36, size=32)}
    specs["flow"] = ClipSpec("tiny_flow", stream="flow", short_side=36, size=32)
    model.labels, model.clip_specs = ("sit", "stand", "wave"), specs
    monkeypatch.setattr(tensorflow, "run_in_subprocess", run_here)
    output = ki3d.export(model, tmp_path / "both")
    loaded = tf.saved_model.load(str(output)).signatures
    random = np.random.default_rng(1)
    rgb = random.integers(0, 256, (1, 10, 36, 40, 3), np.uint8)
    flow = random.integers(0, 256, (1, 10, 32, 32, 2), np.uint8)
    clips = {"rgb": rgb[:, :, 2:34, 4:36], "flow": flow}
    clips = {stream: clip.astype(np.float32) / 127.5 - 1 for stream, clip in clips.items()}
    expected = model(clips, training=False).numpy()
    actual = loaded["logits"](rgb=tf.constant(rgb), flow=tf.constant(flow))["logits"]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    assert set(loaded["features"].structured_outputs) == {"rgb_Mixed_5c", "flow_Mixed_5c"}
    for wrong, text in [
        ((1, 11, 32, 32, 2), "flow must have 1 times the frames of rgb"),
        ((2, 10, 32, 32, 2), "flow and rgb must be of the same videos"),
        ((1, 10, 64, 64, 2), "flow must be computed between frames"),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            loaded["logits"](rgb=tf.constant(rgb), flow=tf.zeros(wrong, tf.uint8))
