"""`classify`: the whole-video protocol, held against a loop by hand."""

import dataclasses
import logging
import pathlib

import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.quantization import quantize_flow
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.inference import classify as module
from kinetics_i3d.video.writer import write_video

SHORT = register()

pytestmark = pytest.mark.slow  # each trains or runs whole networks

SPEC = ClipSpec("tiny", fps=10, short_side=36, size=32)
LABELS = ("sit", "stand", "wave")


@pytest.fixture(scope="module")
def model():
    import keras

    keras.utils.set_random_seed(1)
    model = ki3d.InceptionI3D(architecture=SHORT, classes=3)
    model.clip_spec, model.labels = SPEC, LABELS
    # Fresh weights answer nearly alike to everything; a louder classifier tells videos apart.
    kernel, bias = model.get_layer("Conv3d_0c_1x1").get_weights()
    model.get_layer("Conv3d_0c_1x1").set_weights([kernel * 50, bias])
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
    result = ki3d.classify(video, model, top=2)
    expected = softmax(np.asarray(model(ki3d.load_clip(video, spec=SPEC)))[0])
    order = np.argsort(-expected)
    assert result.path == str(video) and result.seconds > 0
    assert [label for label, _ in result.predictions] == [LABELS[index] for index in order[:2]]
    np.testing.assert_allclose([p for _, p in result.predictions], expected[order[:2]], rtol=1e-4)


def test_a_long_video_is_the_average_weighted_by_new_frames(model, video):
    clip = ki3d.load_clip(video, spec=SPEC)
    assert clip.shape[1] == 34
    # 16 + 16 + 2; the rest is filled up to the least that the model reads, 9.
    views = [(clip[:, :16], 16), (clip[:, 16:32], 16), (clip[:, 25:34], 2)]
    logits = sum(np.asarray(model(view))[0] * share for view, share in views) / 34
    expected = softmax(logits)
    result = dict(ki3d.classify(video, model, window=16).predictions)
    np.testing.assert_allclose([result[label] for label in LABELS], expected, rtol=1e-4)
    whole = dict(ki3d.classify(video, model).predictions)
    # The test would notice an ignored window.
    assert max(abs(whole[x] - result[x]) for x in LABELS) > 1e-4


def test_weights_are_taken_instead_of_a_model(model, video, tmp_path, monkeypatch):
    ki3d.save_weights(model, tmp_path / "mine.h5")
    expected = ki3d.classify(video, model).predictions
    assert ki3d.classify(video, tmp_path / "mine.h5").predictions == expected
    with pytest.raises(ki3d.WeightsError, match="no such weights file"):
        ki3d.classify(video, tmp_path / "none.h5")
    built = []
    monkeypatch.setattr(module, "load_model", lambda: built.append(model) or model)
    module._default_model.cache_clear()
    for _ in range(2):
        assert ki3d.classify(video).predictions == expected
    module._default_model.cache_clear()
    assert len(built) == 1  # the default is kept


def test_progress_counts_the_frames_of_a_long_video(model, video, capsys):
    with ki3d.show_progress(every=0.0):
        ki3d.classify(video, model, window=16)
    shown = [line.partition(",")[0] for line in capsys.readouterr().err.splitlines()]
    assert shown == [f"{video}: {done} of 34 frames" for done in (16, 32, 34)]


def test_the_result_is_frozen_and_json_ready(model, video):
    result = ki3d.classify(video, model, top=1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.path = "other"
    ((label, probability),) = result.predictions
    assert result.to_dict()["predictions"] == [{"label": label, "probability": probability}]


@pytest.fixture(scope="module")
def two_streams(model):
    import keras

    keras.utils.set_random_seed(2)
    both = ki3d.TwoStreamI3D(architecture=SHORT, classes=3)
    both.clip_specs = {"rgb": SPEC, "flow": dataclasses.replace(SPEC, stream="flow")}
    both.labels = LABELS
    both.streams["rgb"].set_weights(model.get_weights())
    head = both.streams["flow"].get_layer("Conv3d_0c_1x1")
    kernel, bias = head.get_weights()
    head.set_weights([kernel * 50, bias])
    return both


def flow_by_hand(video):
    """Clips (1, 33, 32, 32, 2): flow of the whole frames, coded, cropped and scaled."""
    frames = np.stack(list(ki3d.read_frames(video, fps=10, short_side=36)))
    quantized = quantize_flow(ki3d.optical_flow(frames)).astype(np.float32)
    crop = quantized[:, 2:34, 8:40]
    assert frames.shape[1:3] == (36, 48)
    return (crop * (2 / 255) - 1)[None]


@pytest.mark.long
def test_two_streams_see_one_video(two_streams, video):
    result = ki3d.classify(video, two_streams, top=3)
    rgb = ki3d.load_clip(video, spec=SPEC)[:, :33]  # the last frame has no flow
    logits = np.asarray(two_streams.streams["rgb"](rgb))[0]
    logits = logits + np.asarray(two_streams.streams["flow"](flow_by_hand(video)))[0]
    found_odds = dict(result.predictions)
    np.testing.assert_allclose([found_odds[x] for x in LABELS], softmax(logits), rtol=1e-3)
    assert result.to_dict()["clip_specs"]["flow"]["stream"] == "flow"


def test_a_model_of_flow_alone(two_streams, video):
    flow = two_streams.streams["flow"]
    flow.labels, flow.clip_spec = LABELS, two_streams.clip_specs["flow"]
    odds = dict(ki3d.classify(video, flow).predictions)
    logits = np.asarray(flow(flow_by_hand(video)))[0]
    np.testing.assert_allclose([odds[x] for x in LABELS], softmax(logits), rtol=1e-3)


@pytest.mark.long
def test_flow_stored_for_another_spec_is_passed_over(two_streams, video, tmp_path, caplog):
    flow = two_streams.streams["flow"]
    flow.labels, flow.clip_spec = LABELS, two_streams.clip_specs["flow"]
    reference = ki3d.classify(video, flow).predictions
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(pathlib.Path(video).read_bytes())
    quick = FlowSettings("farneback")
    write_flow_file(copy, settings=quick)  # 256 pixels, as `kinetics-i3d flow` makes it
    with caplog.at_level(logging.WARNING, logger="absl"):
        assert ki3d.classify(copy, flow).predictions == reference
        ki3d.classify(copy, flow)
    assert (
        caplog.text.count("flow was computed from frames at 25fps_256px, but 10fps_36px is needed")
        == 1
    )
    assert "`kinetics-i3d flow --weights NAME`" in caplog.text
    # Beside it there may be that of this spec, which is taken.
    write_flow_file(copy, spec=flow.clip_spec, settings=quick)
    assert len(list(tmp_path.glob("*.flow.npz"))) == 2
    assert ki3d.classify(copy, flow).predictions != reference
    # So it is by an evaluation.
    dataset = VideoDataset("x", LABELS, (Video(copy, LABELS[0], "test", "x"),))
    assert evaluate(flow, dataset, cache=tmp_path / "logits").paths == (str(copy),)


def test_the_spec_is_in_the_result(model, video):
    result = ki3d.classify(video, model, top=1)
    assert result.clip_specs == {"rgb": SPEC}
    assert result.to_dict()["clip_specs"] == {"rgb": SPEC.to_dict()}


def test_what_cannot_name_actions_is_refused_before_decoding(model):
    quarter = {"architecture": SHORT}
    nameless = ki3d.InceptionI3D(classes=3, **quarter)
    wrong = {
        "must name its 3 classes": nameless,
        "must read clips and": ki3d.InceptionV1(classes=3, **quarter),
        "end in logits": ki3d.InceptionI3D(include_top=False, pooling="avg", **quarter),
        "Predictions": ki3d.InceptionI3D(classes=3, classifier_activation="softmax", **quarter),
    }
    for message, network in wrong.items():
        with pytest.raises(ValueError, match=message):
            ki3d.classify("/none.mp4", network)
    for top in (0, -1, 2.5):
        with pytest.raises(ValueError, match="`top` must be"):
            ki3d.classify("/none.mp4", model, top=top)
    with pytest.raises(ki3d.VideoError, match=r"/none\.mp4"):
        ki3d.classify("/none.mp4", model)


def test_frames_in_memory_are_classified_as_their_file(model, video):
    from kinetics_i3d.video.reader import read_frames

    memory = ki3d.VideoFrames(np.stack(list(read_frames(video))), fps=10)
    result, reference = (ki3d.classify(source, model, top=3) for source in (memory, video))
    assert result.path == "frames in memory"
    assert [label for label, _ in result.predictions] == [
        label for label, _ in reference.predictions
    ]
    np.testing.assert_allclose(
        [p for _, p in result.predictions], [p for _, p in reference.predictions], atol=0.02
    )


def test_weights_are_taken_where_a_model_is(model, video, tmp_path):
    ki3d.save_weights(model, tmp_path / "mine.h5")
    result, reference = (ki3d.classify(video, network) for network in (tmp_path / "mine.h5", model))
    assert result.predictions == reference.predictions
    assert ki3d.feature_model("rgb_figures", "Mixed_4f").name == "inception_i3d_Mixed_4f"
    for wrong in (7, [model]):
        with pytest.raises(ValueError, match="`model` must be a ClipModel"):
            ki3d.classify(video, wrong)


@pytest.mark.parametrize("wrong", [0, None, np.zeros((9, 8, 8, 3), np.uint8)])
def test_what_is_no_video_is_refused_before_anything_is_built(wrong):
    with pytest.raises(ValueError, match="`path` must be a path or VideoFrames"):
        ki3d.classify(wrong, "rgb_figures")
