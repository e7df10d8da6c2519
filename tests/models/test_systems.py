"""The paper's table 1: exact counts, shapes at every stage and costs of what is built."""

import keras
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.models.multiply_adds import multiply_adds
from kinetics_i3d.models.systems import FPS, SYSTEMS

# Parameters in all and trained, variables, and multiply-adds of one training clip, 400 classes.
COUNTS = {
    "ConvNetLSTM": (8_963_232, 8_946_624, 236, 37_512_652_800),
    "C3D": (79_656_464, 79_634_576, 42, 19_820_511_232),
    "TwoStream": (12_087_680, 12_058_560, 460, 3_664_269_312),
    "TwoStreamFused": (39_785_968, 39_755_824, 462, 25_253_785_600),
    "TwoStreamI3D": (25_387_136, 25_358_016, 460, 213_494_579_200),
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
    # The specs say what the row says: size, and frames apart at 25 a second.
    assert {stream: spec.size for stream, spec in model.clip_specs.items()} == dict.fromkeys(
        row.streams, row.size
    )
    stride = {stream: FPS / spec.fps for stream, spec in model.clip_specs.items()}
    assert stride == row.stride


def test_counts_are_those_of_the_paper():
    for name, row in SYSTEMS.items():
        # Cut for (b) and (d), rounded for (a); one of both for all.
        count = COUNTS[name][0] / 1e6
        assert row.million_parameters in (int(count), round(count)), name


def test_rows_agree_with_themselves():
    assert [row.letter for row in SYSTEMS.values()] == list("abcde")
    for name, row in SYSTEMS.items():
        assert row.name == name and row.builder is getattr(ki3d, name)
        frames, stride, test = row.train_frames, row.stride, row.test_frames
        assert list(frames) == list(stride) == list(test) == list(row.streams)
        for stream in row.streams:
            assert frames[stream] * stride[stream] / FPS == pytest.approx(row.train_seconds)
            assert test[stream] * stride[stream] / FPS == pytest.approx(row.test_seconds)
            assert test[stream] % frames[stream] == 0 or name == "TwoStreamI3D"
    assert [row.loss for row in SYSTEMS.values()] == ["all steps"] + 4 * ["last"]
    assert SYSTEMS["TwoStream"].train_shape == {
        "rgb": (1, 224, 224, 3),
        "flow": (10, 224, 224, 2),
    }
    assert SYSTEMS["C3D"].train_shape == (16, 112, 112, 3)


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


def test_a_cost_needs_a_size():
    with pytest.raises(
        ValueError, match=r"`model` must have a fixed input_shape\. Received: Conv2d"
    ):
        multiply_adds(ki3d.InceptionV1(architecture="inception_v1_quarter"))


def test_an_image_network_costs_once_for_each_stack():
    def cost(stacks):
        shapes = {"rgb": (stacks, 32, 32, 3), "flow": (10 * stacks, 32, 32, 2)}
        return multiply_adds(
            ki3d.TwoStream(architecture="inception_v1_quarter", classes=4, input_shape=shapes)
        )

    assert cost(3) == 3 * cost(1)
