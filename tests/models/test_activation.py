"""The activation that weights carry: softmax, or sigmoid for several labels per video."""

import json

import keras
import numpy as np
import pytest
from short_network import register

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.labels import decode_predictions, sigmoid, softmax
from kinetics_i3d.exporting.tensorflow import signatures
from kinetics_i3d.inference.classify import classify
from kinetics_i3d.inference.quantize import clips_function
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.video.clip import load_clip
from kinetics_i3d.video.writer import write_video
from kinetics_i3d.weights.checkpoint import WeightsInfo, read_info

SHORT = register()
LABELS = ("sit", "stand", "wave")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = InceptionI3D(architecture=SHORT, classes=3)
    model.labels, model.activation = LABELS, "sigmoid"
    return model


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".h5", ".keras", ".safetensors"])
def test_weights_keep_the_activation(model, tmp_path, suffix):
    save_weights(model, tmp_path / f"weights{suffix}")
    assert InceptionI3D(weights=tmp_path / f"weights{suffix}").activation == "sigmoid"


def test_new_classifier_starts_with_softmax(model, tmp_path):
    save_weights(model, tmp_path / "weights.h5")
    new = InceptionI3D(weights=tmp_path / "weights.h5", head="new", classes=2)
    assert new.activation == "softmax"


def test_softmax_is_not_stored_and_files_without_activation_are_softmax(tmp_path):
    plain = InceptionI3D(architecture=SHORT, classes=3)
    save_weights(plain, tmp_path / "weights.h5")
    info = read_info(tmp_path / "weights.h5")
    assert info.activation == "softmax" and "activation" not in json.loads(info.to_json())


def test_unknown_activation_in_a_file_is_refused(model, tmp_path):
    import h5py

    path = tmp_path / "weights.h5"
    save_weights(model, path)
    with h5py.File(path, "a") as file:
        text = file.attrs["kinetics_i3d"]
        file.attrs["kinetics_i3d"] = text.replace('"sigmoid"', '"relu"')
    with pytest.raises(WeightsError, match="activation 'relu' is not one of"):
        read_info(path)
    fields = json.loads(text)
    assert WeightsInfo.from_json(json.dumps(fields)).activation == "sigmoid"


@pytest.mark.long
def test_streams_must_agree_on_the_activation(model, tmp_path):
    flow = InceptionI3D(architecture=SHORT, classes=3, input_shape=(None, None, None, 2))
    flow.labels, flow.clip_spec = LABELS, model.clip_spec.for_flow()
    save_weights(model, tmp_path / "rgb.h5")
    save_weights(flow, tmp_path / "flow.h5")
    weights = {"rgb": tmp_path / "rgb.h5", "flow": tmp_path / "flow.h5"}
    with pytest.raises(WeightsError, match="must have the same activation"):
        TwoStreamI3D(weights=weights)
    flow.activation = "sigmoid"
    save_weights(flow, tmp_path / "flow.h5")
    both = TwoStreamI3D(weights=weights)
    assert both.activation == "sigmoid"
    save_weights(both, tmp_path / "both.h5")
    assert TwoStreamI3D(weights=tmp_path / "both.h5").activation == "sigmoid"


def test_decode_predictions_with_sigmoid():
    ((first, second),) = decode_predictions(
        [[0.0, 2.0]], labels=("sit", "stand"), activation="sigmoid"
    )
    assert first == ("stand", pytest.approx(1 / (1 + np.exp(-2)))) and second == ("sit", 0.5)
    with pytest.raises(ValueError, match=r"`activation` must be one of .*activation='relu'"):
        decode_predictions([[0.0, 2.0]], labels=("sit", "stand"), activation="relu")


@pytest.mark.long
def test_classify_and_exports_use_the_activation(model, tmp_path):
    frames = np.random.default_rng(2).integers(0, 255, (12, 40, 48, 3), np.uint8)
    write_video(tmp_path / "video.mp4", frames, fps=25)
    result = classify(tmp_path / "video.mp4", model, top=3)
    odds = dict(result.predictions)
    assert sum(odds.values()) != pytest.approx(1)
    whole = np.asarray(model(load_clip(tmp_path / "video.mp4", spec=model.clip_spec)))
    expected = dict(zip(LABELS, sigmoid(whole)[0], strict=True))
    assert odds == {label: pytest.approx(expected[label], rel=1e-4) for label in LABELS}
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    logits = np.asarray(model(clips))
    assert not np.allclose(sigmoid(logits), softmax(logits), atol=0.1)
    outputs = signatures(model, top=2, endpoints=None)["float_clips"](rgb=clips)
    np.testing.assert_allclose(outputs["probabilities"], sigmoid(logits), atol=1e-5)
    np.testing.assert_allclose(outputs["scores"], np.sort(sigmoid(logits))[:, :0:-1], atol=1e-5)
    spec = model.clip_spec
    shape = (1, 9, spec.size, spec.size, 3)
    clips = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    function, _ = clips_function(model)
    outputs = function(clips)
    expected = sigmoid(np.asarray(outputs["logits"]))
    np.testing.assert_allclose(outputs["probabilities"], expected, atol=1e-6)
