"""The network of a config: initial weights, trained layers, and configs that do not fit."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from short_network import register

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.models.corrected_gradients import Conv3D
from kinetics_i3d.models.inception_i3d import INCEPTION_V1, InceptionI3D
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.models.pretrained import save_weights
from kinetics_i3d.training.batch_norm import all_layers
from kinetics_i3d.training.network import (
    build,
    frames_of,
    per_stream_logits,
    streams_of,
)
from kinetics_i3d.training.optimizers import make_optimizer, prepare_optimizer
from kinetics_i3d.training.step import Step

SHORT = register()

pytestmark = pytest.mark.slow  # each trains or runs whole networks

LABELS = ("sit", "stand")
pytestmark = pytest.mark.slow

NARROW = dataclasses.replace(INCEPTION_V1, width=0.1)
WIDE_THIRD = dataclasses.replace(NARROW, third_kernel=5)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A checkpoint of clips with two labels."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("start") / "start.h5"
    model = InceptionI3D(architecture=SHORT, classes=2)
    spec = ClipSpec("own", fps=10.0, short_side=64, size=64)
    save_weights(model, path, labels=LABELS, clip_spec=spec)
    return str(path)


def is_norm(layer):
    return isinstance(layer, keras.layers.BatchNormalization)


def test_inflated_weights_and_frozen_layers(tiny, tmp_path, monkeypatch):
    from kinetics_i3d.models import inception_i3d

    row = dataclasses.replace(inception_i3d.GOOGLENET, name="small", width=0.1)
    monkeypatch.setitem(inception_i3d.ARCHITECTURES, "small", row)
    image_model = InceptionV1(architecture="small", classes=9)
    save_weights(image_model, tmp_path / "image.h5")
    config = dataclasses.replace(
        tiny,
        architecture="small",
        inflate=str(tmp_path / "image.h5"),
        temporal="center",
        freeze=("Conv3d_1a", "Conv3d_2"),
        dropout=0.25,
    )
    model = build(config, "abcd")
    assert model.output_shape == (None, 4) and model.clip_specs == config.specs(("rgb",))
    assert model.get_layer("Dropout_0b").rate == 0.25
    kernel = model.get_layer("Conv3d_2c_3x3_conv").kernel.numpy()
    flat = image_model.get_layer("Conv2d_2c_3x3_conv").kernel.numpy()
    np.testing.assert_array_equal(kernel[1], flat)
    frozen = {layer.name for layer in model.layers if not layer.trainable}
    assert {"Conv3d_1a_7x7_conv", "Conv3d_2b_1x1_conv", "Conv3d_2c_3x3_conv"} <= frozen
    assert all(name.startswith(("Conv3d_1a", "Conv3d_2")) for name in frozen)
    assert all(layer.trainable for layer in build(tiny, LABELS).layers)


def test_fixed_transfer_changes_only_the_classifier(tiny, start):
    config = dataclasses.replace(tiny, weights=start, transfer="fixed", weight_decay=0.5)
    model = build(config, ("a", "b", "c"))
    assert [one.path.split("/")[0] for one in model.trainable_variables] == ["Conv3d_0c_1x1"] * 2
    body = [one.numpy() for one in model.weights[:-2]]
    optimizer = make_optimizer(config)
    prepare_optimizer(optimizer, model)
    clips = tf.random.stateless_normal((2, 9, 32, 32, 3), (0, 0))
    head = [one.numpy() for one in model.weights[-2:]]
    Step(model, optimizer).train(clips, tf.eye(3)[:2])
    for old, new in zip(body, model.weights[:-2], strict=True):
        assert old.tobytes() == new.numpy().tobytes()
    assert not any((a == b.numpy()).all() for a, b in zip(head, model.weights[-2:], strict=True))


def test_weights_with_a_new_or_their_own_classifier(tiny, start):
    wanted = InceptionI3D(weights=start).get_weights()
    config = dataclasses.replace(tiny, weights=start, transfer="full")
    fresh, kept = build(config, LABELS), build(dataclasses.replace(config, head="keep"), LABELS)
    same = [
        [np.array_equal(a, b) for a, b in zip(model.get_weights(), wanted, strict=True)]
        for model in (fresh, kept)
    ]
    assert all(same[0][:-2]) and not same[0][-2] and all(same[1])
    assert fresh.clip_specs == config.specs(("rgb",))  # not that of the weights
    with pytest.raises(ValueError, match=r"labels of the weights, 2 \(sit, stand\), .* 2 \(a, b\)"):
        build(dataclasses.replace(config, head="keep"), ("a", "b"))


def test_modules_that_a_shorter_backbone_lacks_may_be_frozen(tiny):
    config = dataclasses.replace(tiny, freeze=("Conv3d_1a", "Mixed_4b"))
    model = build(config, ("sit", "stand"))
    frozen = {layer.name for layer in all_layers(model) if not layer.trainable}
    assert "Conv3d_1a_7x7_conv" in frozen and not any("Mixed_4b" in name for name in frozen)


@pytest.mark.parametrize(("norm", "trained"), [("train", True), ("freeze", False)])
def test_norm_freeze_keeps_batch_norm_statistics(tiny, norm, trained):
    model = build(dataclasses.replace(tiny, batch_norm=norm, batch_norm_momentum=0.9), LABELS)
    norms = [layer for layer in model.layers if is_norm(layer)]
    assert len(norms) == 21 and all(layer.trainable == trained for layer in norms)
    assert all(layer.momentum == 0.9 for layer in norms)
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 9, 32, 32, 3)).astype(np.float32)
    model(clips, training=True)
    assert (norms[0].moving_mean.numpy().any()) == trained


def test_precision_is_that_of_the_network_alone(tiny):
    model = build(dataclasses.replace(tiny, precision="mixed_bfloat16"), LABELS)
    assert model.get_layer("Conv3d_1a_7x7_conv").compute_dtype == "bfloat16"
    assert keras.config.dtype_policy().name == "float32"


SYSTEMS = {
    "InceptionI3D": ({"streams": ("flow",)}, {"flow": 9}),
    "ConvNetLSTM": ({"frames": 4, "stride": 5}, {"rgb": 4}),
    "TwoStream": ({"frames": 10, "stride": 10}, {"rgb": 1, "flow": 10}),
    "TwoStreamFused": ({"frames": 20, "stride": 10}, {"rgb": 2, "flow": 20}),
    "TwoStreamI3D": ({}, {"rgb": 9, "flow": 9}),
}


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_inputs_and_outputs_of_every_system(tiny, system):
    fields, frames = SYSTEMS[system]
    fields = {**fields, "precision": "mixed_bfloat16"}
    config = dataclasses.replace(tiny, system=system, **fields)
    model = build(config, LABELS)
    assert frames_of(config, model) == frames and tuple(model.clip_specs) == streams_of(config)
    # Plain convolutions over time have wrong gradients in bfloat16.
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.Conv3D) and layer.kernel_size[0] > 1:
            assert isinstance(layer, Conv3D)
    outputs = tf.nest.flatten(per_stream_logits(model).output)
    assert len(outputs) == (2 if system == "TwoStreamI3D" else 1)
    assert outputs[0].shape == ((None, None, 2) if system == "ConvNetLSTM" else (None, 2))


@pytest.mark.slow
def test_c3d_requires_its_own_clip_size(tiny):
    sides = {"size": 112, "test_size": 112, "test_short_side": 128}
    config = dataclasses.replace(tiny, system="C3D", architecture="c3d_eighth", frames=16, **sides)
    assert build(config, LABELS).output_shape == (None, 2)
    with pytest.raises(ValueError, match=r"`frames` must be 16 for C3D\. Received: frames=17"):
        build(dataclasses.replace(config, frames=17), LABELS)
    with pytest.raises(ValueError, match="`test_size` must be 112 for C3D"):
        build(dataclasses.replace(config, test_size=120), LABELS)


@pytest.mark.slow
def test_systems_can_start_from_image_weights(tiny, tmp_path):
    quarter = "inception_v1_quarter"  # the walk from images knows nothing shorter
    images = InceptionV1(architecture=quarter, classes=5)
    save_weights(images, tmp_path / "image.h5")
    config = dataclasses.replace(
        tiny,
        system="ConvNetLSTM",
        architecture=quarter,
        frames=4,
        inflate=str(tmp_path / "image.h5"),
    )
    backbone = build(config, LABELS).streams["rgb"]
    np.testing.assert_array_equal(
        backbone.get_layer("Mixed_4f_Branch_0_Conv2d_0a_1x1_conv").kernel,
        images.get_layer("Mixed_4f_Branch_0_Conv2d_0a_1x1_conv").kernel,
    )


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"system": "ConvNetLTSM"}, "`system` must be one of .*Did you mean 'ConvNetLSTM'"),
        (
            {"streams": ("rgb", "flow")},
            "`streams` must be one of .* for InceptionI3D; TwoStream",
        ),
        (
            {"freeze": ("Conv3d_1a", "Mixd_3")},
            "match no layer: 'Mixd_3'",
        ),
        ({"system": "C3D", "streams": ("flow",)}, r"`streams` must be \('rgb',\) for C3D"),
        (
            {"frames": 8},
            "`frames` must be at least 9 for the rgb .* Received: frames=8",
        ),
        (
            {"size": 31},
            "`size` must be at least 32 for the rgb .* Received: size=31",
        ),
        ({"architecture": "inception_v3"}, "`architecture` must be one of .*inception_v1"),
        ({"system": "TwoStream", "frames": 10}, "`stride` must be 10 for TwoStream"),
        (
            {"system": "TwoStream", "frames": 15, "stride": 10},
            "`frames` must be a multiple of stride=10 for TwoStream",
        ),
    ],
)
def test_configs_that_do_not_fit_the_network_are_refused(tiny, wrong, why):
    with pytest.raises(ValueError, match=why):
        build(dataclasses.replace(tiny, **wrong), LABELS)
