"""Values that are clearly not a model's are refused with the line that fixes them."""

import dataclasses
import warnings

import keras
import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW, INCEPTION5H, ClipSpec
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.input_checks import check_values

tf = pytest.importorskip("tensorflow")
SHAPE = (2, 9, 32, 32, 3)
RAW = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
RIGHT = DEEPMIND.normalize(RAW)
TARGETS = np.array([0, 1])


def network(specs=DEEPMIND):
    """A small model; what is checked does not depend on what is inside."""
    all_specs = specs if isinstance(specs, dict) else {"rgb": specs}
    inputs = {
        stream: keras.Input((None, None, None, spec.channels), name=stream)
        for stream, spec in all_specs.items()
    }
    parts = [keras.layers.GlobalAveragePooling3D()(part) for part in inputs.values()]
    x = keras.layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    model = ClipModel(
        inputs if len(inputs) > 1 else inputs["rgb"],
        keras.layers.Dense(2)(x),
        clip_spec=specs,
        architecture="small",
        minimum=dict.fromkeys(inputs, (9, 32, 32)),
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def dataset(clips):
    return tf.data.Dataset.from_tensor_slices((clips, TARGETS)).batch(1)


WAYS = {
    "call": lambda model, clips: model(clips),
    "call on a tensor": lambda model, clips: model(tf.constant(clips)),
    "predict": lambda model, clips: model.predict(clips, verbose=0),
    "predict_on_batch": lambda model, clips: model.predict_on_batch(clips),
    "fit": lambda model, clips: model.fit(clips, TARGETS, verbose=0),
    "evaluate": lambda model, clips: model.evaluate(clips, TARGETS, verbose=0),
    "train_on_batch": lambda model, clips: model.train_on_batch(clips, TARGETS),
    "test_on_batch": lambda model, clips: model.test_on_batch(clips, TARGETS),
    "validation": lambda model, clips: model.fit(
        RIGHT, TARGETS, validation_data=(clips, TARGETS), verbose=0
    ),
}
GRAPHS = {
    "fit": lambda model, clips: model.fit(dataset(clips), shuffle=False, verbose=0),
    "evaluate": lambda model, clips: model.evaluate(dataset(clips), verbose=0),
    "predict": lambda model, clips: model.predict(dataset(clips), verbose=0),
}
WRONG = {
    "uint8": (RAW, r"must be float values from -1 to 1 .*model\.clip_spec\.normalize\(inputs\)"),
    "0..255": (RAW.astype(np.float32), r"use model\.clip_spec\.normalize\(inputs\) for 0\.\.255"),
    "not finite": (np.full(SHAPE, np.nan, np.float32), "must be finite values"),
    "channels first": (np.moveaxis(RIGHT, -1, 1), r"np\.moveaxis\(inputs, 1, -1\)"),
    "channels second": (np.moveaxis(RIGHT, -1, 2), r"np\.moveaxis\(inputs, 2, -1\)"),
    "without a batch": (RIGHT[0], r"add the batch: inputs\[None\]"),
    "an empty batch": (RIGHT[:0], "with a batch of 1 or more"),
}


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", WRONG)
def test_wrong_clips_are_refused_with_the_line_that_fixes_them(model, way, kind):
    clips, why = WRONG[kind]
    with pytest.raises(ValueError, match=why):
        WAYS[way](model, clips)


@pytest.mark.parametrize("way", WAYS)
def test_right_clips_pass(model, way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        WAYS[way](model, RIGHT)


@pytest.mark.parametrize("way", GRAPHS)
@pytest.mark.parametrize("kind", ["0..255", "not finite"])
def test_wrong_batches_of_a_dataset_are_refused_in_the_graph(model, way, kind):
    with pytest.raises(tf.errors.InvalidArgumentError, match="values from -1 to 1"):
        GRAPHS[way](model, WRONG[kind][0])


@pytest.mark.parametrize("way", GRAPHS)
def test_datasets_of_bytes_are_refused_and_right_ones_pass(model, way):
    with pytest.raises(ValueError, match="must be float values"):
        GRAPHS[way](model, RAW)
    GRAPHS[way](model, RIGHT)


def test_a_path_is_refused_with_the_functions_that_take_one(model, tmp_path):
    for path in ("video.mp4", tmp_path / "video.mp4"):
        for call in (model.predict, model.predict_on_batch, model.evaluate):
            with pytest.raises(ValueError, match=r"load_clip\(path, spec=model.clip_spec\).*mp4'$"):
                call(path)


def test_nested_lists_are_refused(model):
    with pytest.raises(ValueError, match=r"(?i)inputs"):
        model([[[[[0.0, 0.0, 0.0]]]]])


def test_a_range_of_0_to_1_is_a_warning_once_a_model():
    model = network()
    unit = (RAW / 255).astype(np.float32)
    with pytest.warns(UserWarning, match=r"look like 0 to 1; use inputs \* 2 - 1"):
        model(unit)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(unit)
        model.predict(unit, verbose=0)


def test_another_range_than_the_specs_is_found():
    assert "(inputs + 1) * 127.5 + -117" in check_values(RIGHT, INCEPTION5H)
    assert check_values(INCEPTION5H.normalize(RAW), INCEPTION5H) is None
    assert check_values(RAW, ClipSpec("raw", low=0.0, high=255.0)) is None
    assert check_values(np.zeros(SHAPE, np.float32), DEEPMIND) is None
    assert check_values(np.full(SHAPE, 0.5, np.float32), DEEPMIND) is None


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"rgb": RAW}, r'model\.clip_specs\["rgb"\]\.normalize\(inputs\["rgb"\]\)'),
        ({"flow": 15 * RIGHT[..., :2]}, r'np\.clip\(inputs\["flow"\], -20, 20\) / 20'),
        ({"flow": RAW[..., :2]}, r'model\.clip_specs\["flow"\]\.normalize'),
        ({"flow": np.moveaxis(RIGHT[..., :2], -1, 1)}, r"np\.moveaxis\(inputs, 1, -1\)"),
    ],
)
@pytest.mark.parametrize("way", ["call", "predict", "fit"])
def test_the_stream_that_is_wrong_is_named(wrong, why, way):
    model = network({"rgb": DEEPMIND, "flow": DEEPMIND_FLOW})
    with pytest.raises(ValueError, match=why):
        WAYS[way](model, {"rgb": RIGHT, "flow": RIGHT[..., :2]} | wrong)


def test_the_switch_lets_any_values_pass(model):
    before = ki3d.set_input_checks(False)
    try:
        model(RAW)
        assert ki3d.set_input_checks(False) is False
    finally:
        ki3d.set_input_checks(before)
    with pytest.raises(ValueError, match="must be float"):
        model(RAW)


def test_a_range_of_ones_own_is_that_of_the_spec():
    model = network()
    model.clip_spec = dataclasses.replace(DEEPMIND, low=-117.0, high=138.0)
    model.predict(INCEPTION5H.normalize(RAW), verbose=0)


def test_one_bad_clip_in_a_batch_is_seen(model):
    clips = np.concatenate([RIGHT] * 2)
    clips[3] = 200
    with pytest.raises(ValueError, match="values from -1 to 1"):
        model(clips)


def test_a_model_around_a_model_is_checked_at_the_inner_one(model):
    around = keras.Sequential([keras.Input((9, 32, 32, 3)), model])
    with pytest.raises(ValueError, match="values from -1 to 1"):
        around(RAW.astype(np.float32))
    scaled = keras.Sequential(
        [keras.Input((9, 32, 32, 3)), keras.layers.Rescaling(1 / 127.5, -1), model]
    )
    assert scaled(RAW).shape == (2, 2)
