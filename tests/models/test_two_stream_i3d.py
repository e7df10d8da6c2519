"""Two-Stream I3D: the sum of both streams, weights of every kind, and what does not match."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW, INCEPTION5H
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.convert import convert
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.load import feature_model
from kinetics_i3d.models.pretrained import checkpoint_of, save_weights
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D
from kinetics_i3d.weights import catalog
from kinetics_i3d.weights.assign import named_variables
from kinetics_i3d.weights.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow  # each trains or runs whole networks

LABELS = ("a", "b", "c")
SPEC = dataclasses.replace(DEEPMIND, name="own", fps=12.5, short_side=40, size=32, low=0.0)
FLOW_SPEC = dataclasses.replace(SPEC, name="own_flow", stream="flow", low=-1.0)


@pytest.fixture(scope="module")
def model(known, randomize):
    made = randomize(TwoStreamI3D(architecture="inception_v1_narrow_short", classes=3), seed=1)
    made.labels = LABELS
    made.clip_specs = {"flow": FLOW_SPEC, "rgb": SPEC}
    return made


@pytest.fixture(scope="module")
def clips():
    random = np.random.default_rng(2)
    shapes = {"rgb": (2, 11, 33, 40, 3), "flow": (2, 11, 33, 40, 2)}
    lows = {"rgb": SPEC.low, "flow": FLOW_SPEC.low}
    return {k: random.uniform(lows[k], 1, s).astype(np.float32) for k, s in shapes.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory, known, randomize):
    """Checkpoints of single streams, by what is special about them."""
    folder = tmp_path_factory.mktemp("streams")
    kinds = {
        "rgb": (3, SPEC, LABELS),
        "flow": (2, FLOW_SPEC, LABELS),
        "fps": (2, dataclasses.replace(FLOW_SPEC, fps=25.0), LABELS),
        "larger": (2, dataclasses.replace(FLOW_SPEC, short_side=56, size=48), LABELS),
        "labels": (2, FLOW_SPEC, ("a", "c", "b")),
        "nameless": (2, FLOW_SPEC, ()),
        "classes": (2, FLOW_SPEC, ("a", "b")),
    }
    paths, models = {}, {}
    for name, (channels, spec, labels) in kinds.items():
        row = "googlenet_narrow_short" if name == "flow" else "inception_v1_narrow_short"
        built = (row, len(labels) or 3, channels)
        if built not in models:
            shape = (None, None, None, channels)
            single = InceptionI3D(architecture=row, classes=built[1], input_shape=shape)
            models[built] = randomize(single, seed=len(models))
        paths[name] = folder / f"{name}.h5"
        save_weights(models[built], paths[name], labels=labels, clip_spec=spec)
    return paths


def test_logits_are_the_sum_of_both_streams(model, clips):
    found = np.asarray(model(clips))
    parts = [np.asarray(model.streams[stream](clips[stream])) for stream in ("rgb", "flow")]
    assert found.shape == (2, 3) and np.abs(parts).min() > 1e-4
    np.testing.assert_allclose(found, parts[0] + parts[1], rtol=1e-6)
    np.testing.assert_array_equal(model.predict(clips, verbose=0), found)


def test_probabilities_are_those_of_the_sum(model, clips, known):
    inflated = TwoStreamI3D(
        architecture="inception_v1_narrow_short", classes=3, classifier_activation="softmax"
    )
    inflated.set_weights(model.get_weights())
    inflated.clip_specs = model.clip_specs
    odds = np.exp(np.asarray(model(clips), np.float64))
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(inflated(clips)), expected, rtol=1e-5)


def test_streams_specs_and_names(model):
    assert list(model.streams) == list(model.clip_specs) == ["rgb", "flow"]
    assert model.clip_spec == SPEC and model.clip_specs["flow"] == FLOW_SPEC
    assert [model.streams[key].clip_spec for key in ("rgb", "flow")] == [SPEC, FLOW_SPEC]
    assert model.minimums == {"rgb": (9, 32, 32), "flow": (9, 32, 32)}
    names = list(named_variables(model))
    alone = list(named_variables(model.streams["rgb"]))
    assert names == [f"{stream}/{name}" for stream in ("rgb", "flow") for name in alone]
    assert len(names) == len(model.weights) == 172
    single = InceptionI3D(architecture=model.streams["rgb"].architecture, classes=2)
    assert single.clip_specs == {"rgb": DEEPMIND} and single.streams["rgb"] is single


def test_random_weights_bring_the_specs_of_the_architecture(known):
    assert TwoStreamI3D(architecture="inception_v1_narrow_short").clip_specs == {
        "rgb": DEEPMIND,
        "flow": DEEPMIND_FLOW,
    }
    specs = TwoStreamI3D(architecture="googlenet_narrow_short").clip_specs
    assert specs["rgb"] == INCEPTION5H
    assert (specs["flow"].low, specs["flow"].high, specs["flow"].stream) == (-1.0, 1.0, "flow")


def test_one_file_keeps_both_streams(tmp_path, model, clips):
    save_weights(model, tmp_path / "both.h5", about={"top1": 0.5})
    info = read_checkpoint(tmp_path / "both.h5").info
    assert (info.system, info.rank, info.classes) == ("TwoStreamI3D", 3, 3)
    assert (info.clip_spec, info.flow_spec, info.about) == (SPEC, FLOW_SPEC, {"top1": 0.5})
    loaded = TwoStreamI3D(weights=tmp_path / "both.h5")
    assert loaded.clip_specs == model.clip_specs and loaded.labels == LABELS
    np.testing.assert_array_equal(np.asarray(loaded(clips)), np.asarray(model(clips)))
    with pytest.raises(WeightsError, match=r"both.h5 holds a model of another kind \(TwoStreamI3D"):
        InceptionI3D(weights=tmp_path / "both.h5")


def test_files_of_one_stream_say_what_older_readers_know(files):
    fields = json.loads(read_checkpoint(files["rgb"]).info.to_json())
    assert set(fields) == {
        "format", "architecture", "rank", "clip_spec", "classes", "labels", "about"
    }  # fmt: skip


def test_arrays_of_no_stream_are_named(model):
    checkpoint = checkpoint_of(model)
    checkpoint.arrays["depth/a/kernel"] = np.zeros(1)
    with pytest.raises(WeightsError, match=r"of no stream: \['depth/a/kernel'\]"):
        TwoStreamI3D(weights=checkpoint)


def test_a_keras_file_keeps_everything(tmp_path, model, clips):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for what in ("clip_specs", "labels", "minimums", "architecture", "system", "name"):
        assert getattr(loaded, what) == getattr(model, what), what
    assert loaded.streams["flow"].name == "flow_stream"
    np.testing.assert_array_equal(np.asarray(loaded(clips)), np.asarray(model(clips)))


@pytest.mark.slow
def test_a_file_of_each_stream_whatever_its_architecture(tmp_path, files, clips):
    weights = {"flow": files["flow"], "rgb": str(files["rgb"])}
    model = TwoStreamI3D(weights=weights)
    parts = [
        np.asarray(InceptionI3D(weights=weights[stream])(clips[stream]))
        for stream in ("rgb", "flow")
    ]
    expected = parts[0] + parts[1]
    np.testing.assert_allclose(np.asarray(model(clips)), expected, rtol=1e-5, atol=1e-6)
    assert model.labels == LABELS and model.clip_specs["flow"] == FLOW_SPEC
    save_weights(model, tmp_path / "both.h5")
    again = TwoStreamI3D(weights=tmp_path / "both.h5")
    assert again.streams["flow"].architecture == "googlenet_narrow_short"
    np.testing.assert_array_equal(np.asarray(again(clips)), np.asarray(model(clips)))


def test_two_architectures_are_converted_and_give_features(tmp_path, files, clips):
    weights = {"rgb": files["rgb"], "flow": files["flow"]}
    save_weights(TwoStreamI3D(weights=weights), tmp_path / "both.h5")
    converted = TwoStreamI3D(weights=convert(tmp_path / "both.h5", tmp_path / "both.safetensors"))
    expected = TwoStreamI3D(weights=weights)(clips)
    np.testing.assert_allclose(np.asarray(converted(clips)), np.asarray(expected), rtol=1e-5)
    wider = InceptionI3D(
        architecture="inception_v1_quarter", classes=3, input_shape=(None, None, None, 2)
    )
    weights["flow"] = tmp_path / "wider.h5"
    save_weights(wider, weights["flow"], labels=LABELS, clip_spec=FLOW_SPEC)
    features = TwoStreamI3D(weights=weights, include_top=False, pooling="avg")
    assert features.output_shape == (None, 104 + 256)


def test_saving_with_other_specs_leaves_the_model_as_it_is(tmp_path, model):
    specs = {"rgb": dataclasses.replace(SPEC, fps=25.0), "flow": DEEPMIND_FLOW}
    save_weights(model, tmp_path / "model.keras", clip_spec=specs)
    inside = {stream: network.clip_spec for stream, network in model.streams.items()}
    assert model.clip_specs == inside == {"rgb": SPEC, "flow": FLOW_SPEC}
    assert keras.saving.load_model(tmp_path / "model.keras").clip_specs == specs


def test_a_pair_of_the_catalog(monkeypatch, files, clips):
    for stream in ("rgb", "flow"):
        entry = dataclasses.replace(
            catalog.CATALOG["rgb_figures"], name=f"{stream}_both", file=files[stream].name
        )
        monkeypatch.setitem(catalog.CATALOG, entry.name, entry)
    pair = catalog.Pair("both", rgb="rgb_both", flow="flow_both", accuracy={}, protocol="")
    monkeypatch.setitem(catalog.PAIRS, "both", pair)
    monkeypatch.setattr(catalog, "FOLDERS", (files["rgb"].parent,))
    model = TwoStreamI3D(weights="both")
    alone = TwoStreamI3D(weights={stream: files[stream] for stream in ("rgb", "flow")})
    assert model.labels == LABELS
    np.testing.assert_array_equal(np.asarray(model(clips)), np.asarray(alone(clips)))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ("fps", r"must have the same fps.*12.5 \(rgb\), 25.0 \(flow\)"),
        ("labels", r"must have the same labels.*'b', 'c'.*'c', 'b'"),
        ("nameless", r"must have the same labels"),
        ("classes", r"must have the same classes.*3 \(rgb\), 2 \(flow\)"),
        ("rgb", r"rgb.h5: reads rgb clips, but was passed for the flow stream"),
    ],
)
def test_streams_that_do_not_belong_together(files, other, why):
    with pytest.raises(WeightsError, match=why) as raised:
        TwoStreamI3D(weights={"rgb": files["rgb"], "flow": files[other]})
    assert str(files[other]) in str(raised.value) and "\n" not in str(raised.value)


def test_streams_of_unlike_sizes(files, clips, tmp_path):
    model = TwoStreamI3D(weights={"rgb": files["rgb"], "flow": files["larger"]})
    assert {key: spec.size for key, spec in model.clip_specs.items()} == {"rgb": 32, "flow": 48}
    larger = {**clips, "flow": np.repeat(clips["flow"], 2, axis=2)}
    parts = [np.asarray(model.streams[key](larger[key])) for key in ("rgb", "flow")]
    np.testing.assert_allclose(np.asarray(model(larger)), parts[0] + parts[1], rtol=1e-6)
    save_weights(model, tmp_path / "both.h5")
    assert TwoStreamI3D(weights=tmp_path / "both.h5").clip_specs == model.clip_specs


@pytest.mark.slow
def test_a_new_head_needs_no_labels_in_common(files, clips):
    weights = {"rgb": files["rgb"], "flow": files["labels"]}
    model = TwoStreamI3D(weights=weights, head="new", classes=5)
    assert model.output_shape == (None, 5) and model.labels == ()
    joined = TwoStreamI3D(weights=weights, include_top=False, pooling="avg")
    parts = [
        np.asarray(InceptionI3D(weights=weights[s], include_top=False, pooling="avg")(clips[s]))
        for s in ("rgb", "flow")
    ]
    expected = np.concatenate(parts, axis=1)
    np.testing.assert_allclose(np.asarray(joined(clips)), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("weights", "error", "why"),
    [
        ("imagenet_kinetics40", WeightsError, "did you mean imagenet_kinetics400"),
        (
            "rgb_figures",
            WeightsError,
            "rgb_figures: weights of one stream, .* kinetics400",
        ),
        ("none.h5", WeightsError, "none.h5: no such weights file"),
        ({"rgb": "rgb_figures"}, ValueError, "`weights` of two streams must be"),
        ({"rgb": "rgb_figures", "flow": None}, ValueError, "`weights` of two streams must be"),
    ],
)
def test_weights_that_are_no_pair(weights, error, why):
    with pytest.raises(error, match=why):
        TwoStreamI3D(weights=weights)


def test_a_file_of_one_stream_is_refused(files):
    with pytest.raises(WeightsError, match=r"rgb.h5 holds a model of clips .*, not of two streams"):
        TwoStreamI3D(weights=files["rgb"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"flow": (2, 8, 33, 40, 2)}, "9 x 32 x 32 .*frames=8"),
        ({"rgb": (2, 11, 31, 40, 3)}, "9 x 32 x 32 .*height=31"),
        ({"flow": (2, 10, 33, 40, 2)}, "ratio 1 to 1. Received: 11 rgb frames, 10 flow frames"),
        ({"flow": (1, 11, 33, 40, 2)}, "same videos. Received: 2 rgb clips, 1 flow clips"),
        ({"depth": (2, 11, 33, 40, 1)}, r"keys \['rgb', 'flow'\].*'depth'"),
    ],
)
def test_clips_that_do_not_belong_together(model, clips, change, why, monkeypatch):
    wrong = {**clips, **{k: np.zeros(shape, np.float32) for k, shape in change.items()}}
    with pytest.raises(ValueError, match=why):
        model(wrong)
    # A graph that has met several sizes lets any pass; the views are looked at before it.
    monkeypatch.setattr(ClipModel, "predict_on_batch", None)
    with pytest.raises(ValueError, match=why):
        model.predict_views([(wrong, 1)])


def test_both_streams_are_needed(model, clips):
    for wrong in (clips["rgb"], {"rgb": clips["rgb"]}):
        with pytest.raises(
            ValueError, match="`inputs` must be a dictionary of clips with the keys"
        ):
            model(wrong)


@pytest.mark.slow
def test_views_of_both_streams_are_averaged_by_their_share(model, clips):
    views = [({k: v[n : n + 1, : 11 - n] for k, v in clips.items()}, 3 - n) for n in (0, 1)]
    first, second = (np.asarray(model(view))[0] for view, _ in views)
    expected = (3 * first + 2 * second) / 5
    np.testing.assert_allclose(model.predict_views(views), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("specs", "why"),
    [
        ({"rgb": SPEC}, "Received: rgb 12.5"),
        (
            {"rgb": SPEC, "flow": dataclasses.replace(FLOW_SPEC, fps=25)},
            "ratio of their .*: rgb .*flow 25",
        ),
        ({"rgb": FLOW_SPEC, "flow": SPEC}, "ClipSpec of that stream"),
    ],
)
def test_specs_must_belong_together(model, specs, why):
    before = model.clip_specs
    with pytest.raises(ValueError, match=why):
        model.clip_specs = specs
    with pytest.raises(ValueError, match="`clip_specs` must be set on two_stream_i3d"):
        model.clip_spec = DEEPMIND
    assert model.clip_specs == before


@pytest.mark.parametrize(
    "shape", [(9, 64, 64, 3), {"rgb": (9, 64, 64, 3)}, {"rgb": (9, 8, 8, 3), "flow": (9, 8, 8, 3)}]
)
def test_wrong_input_shapes(known, shape):
    with pytest.raises(ValueError, match=r"`input_shape` must be \{'rgb'"):
        TwoStreamI3D(architecture="inception_v1_narrow_short", input_shape=shape)


def test_an_endpoint_of_a_stream(model, clips):
    cut = feature_model(model.streams["flow"], "Mixed_3c")
    assert np.asarray(cut(clips["flow"])).shape[:2] == (2, 6)
    with pytest.raises(ValueError, match="`endpoint` must name an activation"):
        feature_model(model, "flow_stream")
    sums = feature_model(model, "Logits")
    np.testing.assert_array_equal(np.asarray(sums(clips)), np.asarray(model(clips)))
