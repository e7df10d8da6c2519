"""The paper's table 1: exact counts, shapes at every stage and costs of what is built."""

import dataclasses
import inspect
import json

import keras
import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.cli.main import main
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.exporting.tensorflow import feature_tensors
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.systems import (
    FPS,
    SYSTEMS,
    System,
    clips_at_test,
    multiply_adds,
    paper_systems,
)
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.network import builder_of, streams_of
from kinetics_i3d.weights.assign import assign

# The names of models by default.
NAMES = {
    "ConvNetLSTM": "conv_net_lstm",
    "C3D": "c3d",
    "TwoStream": "two_stream",
    "TwoStreamFused": "two_stream_fused",
    "TwoStreamI3D": "two_stream_i3d",
    "InceptionI3D": "inception_i3d",
    "InceptionV1": "inception_v1",
}
# Parameters in all and trained, variables, and multiply-adds of one training clip, 400 classes.
COUNTS = {
    "ConvNetLSTM": (8_963_232, 8_946_624, 236, 37_512_652_800),
    "C3D": (79_656_464, 79_634_576, 42, 19_820_511_232),
    "TwoStream": (12_087_680, 12_058_560, 460, 3_664_269_312),
    "TwoStreamFused": (39_785_968, 39_755_824, 462, 25_253_785_600),
    "TwoStreamI3D": (25_387_136, 25_358_016, 460, 213_494_579_200),
    "InceptionI3D": (12_704_544, 12_689_984, 230, 111_153_143_808),
}
# Shapes without the batch, from the input to the logits, at the size of training.
SHAPES = {
    "ConvNetLSTM": {
        "rgb_stacks": (224, 224, 3),
        "rgb_stream": (1024,),
        "rgb_steps": (25, 1024),
        "Features_bn": (25, 1024),
        "LSTM": (512,),
        "Logits": (400,),
    },
    "TwoStream": {
        "rgb_stacks": (224, 224, 3),
        "flow_stacks": (224, 224, 20),
        "rgb_stream": (400,),
        "flow_stream": (400,),
        "rgb_steps": (1, 400),
        "flow_steps": (1, 400),
        "Snapshots": (1, 400),
        "Logits": (400,),
    },
    "TwoStreamFused": {
        "rgb_stacks": (224, 224, 3),
        "flow_stacks": (224, 224, 20),
        "rgb_stream": (7, 7, 1024),
        "flow_stream": (7, 7, 1024),
        "rgb_steps": (5, 7, 7, 1024),
        "flow_steps": (5, 7, 7, 1024),
        "Fused": (5, 7, 7, 2048),
        "Fused_3x3": (5, 7, 7, 512),
        "Fused_MaxPool3d_3x3": (3, 4, 4, 512),
        "AvgPool": (512,),
        "Logits": (400,),
    },
    "TwoStreamI3D": {"rgb_stream": (400,), "flow_stream": (400,), "Logits": (400,)},
}


@pytest.mark.parametrize("builder", NAMES)
def test_models_have_the_name_of_their_builder_by_default(builder):
    parameters = inspect.signature(getattr(ki3d, builder)).parameters
    assert parameters["name"].default == NAMES[builder]


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_counts_and_shapes_of_the_full_networks(name):
    row = SYSTEMS[name]
    model = row.build()
    trained = sum(int(keras.ops.size(v)) for v in model.trainable_weights)
    cost = multiply_adds(model)
    assert (model.count_params(), trained, len(model.weights), cost) == COUNTS[name]
    found = {layer: model.get_layer(layer).output.shape[1:] for layer in SHAPES.get(name, ())}
    assert found == SHAPES.get(name, {})
    assert model.output_shape == (None, 400)
    if name == "TwoStreamI3D":
        costs = [round(multiply_adds(model.streams[s]) / 1e9, 2) for s in ("rgb", "flow")]
        assert costs == [111.15, 102.34]
    # The specs agree with the row: size, and the stride at 25 frames per second.
    streams = row.streams[:1] if row.reads_one else row.streams
    assert tuple(model.clip_specs) == streams
    for stream, spec in model.clip_specs.items():
        assert (spec.size, FPS / spec.fps) == (row.size, row.stride[stream])


def test_counts_are_those_of_the_paper():
    for name, row in SYSTEMS.items():
        # Cut for (b) and (d), rounded for (a); one of both for all.
        count = COUNTS[name][0] / 1e6
        assert row.million_parameters in (int(count), round(count)), name


def test_rows_agree_with_themselves():
    assert [row.letter for row in paper_systems().values()] == list("abcde")
    for name, row in SYSTEMS.items():
        assert row.name == name and row.builder is getattr(ki3d, name)
        frames, stride, test = row.train_frames, row.stride, row.test_frames
        assert list(frames) == list(stride) == list(test) == list(row.streams)
        for stream in row.streams:
            assert frames[stream] * stride[stream] / FPS == pytest.approx(row.train_seconds)
            assert test[stream] * stride[stream] / FPS == pytest.approx(row.test_seconds)
            assert test[stream] % frames[stream] == 0 or "Mixed_5c" in row.endpoints
        assert row.trained_as in SYSTEMS
    assert [row.loss for row in SYSTEMS.values()] == ["all steps"] + 5 * ["last"]
    assert [name for name, row in SYSTEMS.items() if row.is_separate] == ["TwoStreamI3D"]
    assert SYSTEMS["TwoStream"].train_shape == {
        "rgb": (1, 224, 224, 3),
        "flow": (10, 224, 224, 2),
    }
    assert SYSTEMS["C3D"].train_shape == (16, 112, 112, 3)
    assert SYSTEMS["InceptionI3D"].train_shape == (64, 224, 224, 3)


def tiny_system(*, weights=None, input_shape=None, include_top=True, architecture=None, **options):
    """A builder as a new file in `models` would hold it: one convolution and a classifier."""
    info = weights.info if weights else None
    inputs = keras.Input(input_shape or (None, None, None, 3), name="clips")
    x = keras.layers.Conv3D(4, 3, padding="same", name="Conv")(inputs)
    x = keras.layers.GlobalAveragePooling3D(name="AvgPool")(x)
    x = keras.layers.Dense(info.classes if info else 2, name="Classifier")(x)
    x = keras.layers.Activation("linear", name="Logits")(x)
    model = ClipModel(
        inputs,
        x,
        clip_spec=info.clip_spec if info else ClipSpec("tiny"),
        labels=info.labels if info else ("a", "b"),
        architecture="tiny",
        minimum=(1, 1, 1),
        system="Tiny",
        name="tiny",
    )
    if weights:
        assign(model, weights.arrays)
    return model


def test_adding_a_system_costs_one_file_and_one_row(monkeypatch, capsys, tmp_path):
    row = System(
        name="Tiny",
        letter="f",
        title="Tiny",
        builder=tiny_system,
        backbone=None,
        train_frames={"rgb": 4},
        stride={"rgb": 1},
        train_seconds=0.16,
        test_frames={"rgb": 250},
        test_seconds=10.0,
        size=8,
        endpoints=("AvgPool",),
        aggregation="one clip",
        million_parameters=1,
    )
    for name in [name for name in SYSTEMS if name != "C3D"]:  # the others take long to build
        monkeypatch.delitem(SYSTEMS, name)
    monkeypatch.setitem(SYSTEMS, "C3D", dataclasses.replace(SYSTEMS["C3D"], letter=None))
    monkeypatch.setitem(SYSTEMS, "Tiny", row)

    model = row.build()
    code = main(["systems", "--json"])
    (listed,) = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (listed["name"], listed["parameters"]) == ("Tiny", model.count_params())

    ki3d.save_weights(model, tmp_path / "tiny.h5")
    loaded = ki3d.load_model(tmp_path / "tiny.h5")
    assert (loaded.system, loaded.labels) == ("Tiny", ("a", "b"))
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 4, 8, 8, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(clips), model(clips))

    converted = ki3d.load_model(ki3d.convert(tmp_path / "tiny.h5", tmp_path / "tiny.safetensors"))
    np.testing.assert_array_equal(converted(clips), model(clips))
    assert builder_of(TrainConfig(system="Tiny")) is tiny_system
    assert streams_of(TrainConfig(system="Tiny")) == ("rgb",)
    assert [*feature_tensors(model)] == ["AvgPool"]
    assert clips_at_test(loaded) == {"minimum": 1, "window": 250, "clips": None}


def test_an_unknown_system_is_refused_with_its_file(tmp_path):
    model = tiny_system()
    ki3d.save_weights(model, tmp_path / "other.h5")
    with pytest.raises(ki3d.WeightsError, match=r"other\.h5: unknown system 'Tiny'; must be one"):
        ki3d.load_model(tmp_path / "other.h5")


def test_multiply_adds_of_layers_that_can_be_counted_by_hand():
    clips = x = keras.Input((4, 6, 6, 2))
    x = keras.layers.Conv3D(5, (3, 2, 1), strides=2, padding="same")(x)  # 2 x 3 x 3 places
    x = keras.layers.Reshape((18, 5))(x)
    x = keras.layers.LSTM(7, return_sequences=True)(x)
    x = keras.layers.Dense(3)(x)
    model = keras.Model(clips, keras.layers.ReLU()(x))
    conv = 18 * (3 * 2 * 1 * 2 * 5)
    lstm = 18 * 4 * (5 * 7 + 7 * 7)
    assert multiply_adds(model) == conv + lstm + 18 * 7 * 3


@pytest.mark.slow
def test_a_cost_needs_a_size():
    with pytest.raises(
        ValueError, match=r"`model` must have a fixed input_shape\. Received: Conv2d"
    ):
        multiply_adds(ki3d.InceptionV1(architecture="inception_v1_quarter"))


@pytest.mark.slow
def test_an_image_network_costs_once_for_each_stack():
    def cost(stacks):
        shapes = {"rgb": (stacks, 32, 32, 3), "flow": (10 * stacks, 32, 32, 2)}
        return multiply_adds(
            ki3d.TwoStream(architecture="inception_v1_quarter", classes=4, input_shape=shapes)
        )

    assert cost(3) == 3 * cost(1)
