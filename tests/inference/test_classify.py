"""`classify`: the whole-video protocol, held against a loop by hand."""

import dataclasses

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.video.writer import write_video

SPEC = ClipSpec("tiny", fps=10, short_side=36, size=32)
LABELS = ("sit", "stand", "wave")


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(1)
    model = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=3)
    model.clip_spec, model.labels = SPEC, LABELS
    # Fresh weights answer nearly alike to everything; a louder classifier tells videos apart.
    kernel, bias = model.get_layer("Conv3d_0c_1x1").get_weights()
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel * 200, bias])
    return model


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    frames = np.random.default_rng(0).integers(0, 256, (34, 48, 64, 3), np.uint8)
    frames[:17] //= 3
    write_video(path, frames, fps=10)
    return path


def softmax(logits):
    odds = np.exp(np.asarray(logits, float) - max(logits))
    return odds / odds.sum()


def test_a_short_video_is_one_clip(model, video):
    found = ki3d.classify(video, model, top=2)
    expected = softmax(np.asarray(model(ki3d.load_clip(video, spec=SPEC)))[0])
    order = np.argsort(-expected)
    assert found.path == str(video) and found.seconds > 0
    assert [label for label, _ in found.predictions] == [LABELS[index] for index in order[:2]]
    np.testing.assert_allclose([p for _, p in found.predictions], expected[order[:2]], rtol=1e-4)


def test_a_long_video_is_the_average_weighted_by_new_frames(model, video):
    clip = ki3d.load_clip(video, spec=SPEC)
    assert clip.shape[1] == 34
    # 16 + 16 + 2; the rest is filled up to the least that the model reads, 9.
    views = [(clip[:, :16], 16), (clip[:, 16:32], 16), (clip[:, 25:34], 2)]
    logits = sum(np.asarray(model(view))[0] * share for view, share in views) / 34
    expected = softmax(logits)
    found = dict(ki3d.classify(video, model, window=16).predictions)
    np.testing.assert_allclose([found[label] for label in LABELS], expected, rtol=1e-4)
    whole = dict(ki3d.classify(video, model).predictions)
    assert abs(whole["sit"] - found["sit"]) > 1e-4  # the test would notice an ignored window


def test_the_result_is_frozen_and_json_ready(model, video):
    found = ki3d.classify(video, model, top=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.path = "other"
    ((label, probability),) = found.predictions
    assert found.to_dict()["predictions"] == [{"label": label, "probability": probability}]


def test_what_cannot_name_actions_is_refused_before_decoding(model):
    quarter = {"architecture": "inception_v1_quarter"}
    nameless = ki3d.InceptionI3D(classes=3, **quarter)
    flow = ki3d.InceptionI3D(classes=3, input_shape=(None, None, None, 2), **quarter)
    flow.clip_spec = dataclasses.replace(SPEC, stream="flow")
    wrong = {
        "must name its 3 classes": nameless,
        "must read rgb clips": flow,
        "must read rgb": ki3d.InceptionV1(classes=3, **quarter),
        "must end in logits": ki3d.InceptionI3D(include_top=False, pooling="avg", **quarter),
        "Predictions": ki3d.InceptionI3D(classes=3, classifier_activation="softmax", **quarter),
    }
    for said, each in wrong.items():
        with pytest.raises(ValueError, match=said):
            ki3d.classify("/none.mp4", each)
    for top in (0, -1, 2.5):
        with pytest.raises(ValueError, match="`top` must be"):
            ki3d.classify("/none.mp4", model, top=top)
    with pytest.raises(ki3d.VideoError, match=r"/none\.mp4"):
        ki3d.classify("/none.mp4", model)
