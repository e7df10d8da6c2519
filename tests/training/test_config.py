"""`TrainConfig`: its specs, its JSON, its defaults, and values that it refuses."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from kinetics_i3d.training.config import RENAMED_FIELDS, TrainConfig, recorded_fields
from kinetics_i3d.training.recipes import RECIPES


def test_training_spec_has_the_ratio_of_the_test_crop():
    config = TrainConfig(size=112, test_short_side=256, test_size=224, fps=12.5)
    (train,), (test,) = (
        config.specs(("rgb",)).values(),
        config.test_specs(("rgb",), "mine").values(),
    )
    assert (train.size, train.short_side, train.fps) == (112, 128, 12.5)
    assert (test.name, test.size, test.short_side, test.fps) == ("mine", 224, 256, 12.5)
    assert (train.low, train.high) == (test.low, test.high) == (-1.0, 1.0)


def test_stride_divides_the_rgb_frame_rate_of_two_streams():
    specs = TrainConfig(stride=10).test_specs(("rgb", "flow"), "mine")
    assert {name: (one.fps, one.stream) for name, one in specs.items()} == {
        "rgb": (2.5, "rgb"),
        "flow": (25.0, "flow"),
    }
    assert [one.name for one in specs.values()] == ["mine", "mine_flow"]
    assert TrainConfig().test_specs(("flow",), "mine")["flow"].name == "mine"


def test_config_to_json_has_all_fields():
    config = TrainConfig(frames=17, freeze=("Conv3d",))
    fields = json.loads(config.to_json())
    assert fields["frames"] == 17 and fields["freeze"] == ["Conv3d"]
    assert set(fields) == {field.name for field in dataclasses.fields(config)}


def test_shipped_recipes_are_unchanged():
    common = {"optimizer": "adamw", "schedule": "cosine", "warmup": 1.0, "weight_decay": 0.05}
    common |= {"ema": 0.0, "global_clipnorm": 0.0, "accumulate": 1, "crop": "resized", "seed": 0}
    common |= {"stride": 1, "steps": 0, "batch_norm": "train", "transfer": "original", "flip": True}
    jhmdb = {"frames": 24, "size": 160, "fps": 25.0, "batch_size": 16, "epochs": 24, "mixup": 0.4}
    figures = {"frames": 32, "size": 80, "fps": 12.5, "batch_size": 16, "epochs": 22, "mixup": 0.0}
    for name, wanted in (("jhmdb", jhmdb), ("figures", figures)):
        fields = dataclasses.asdict(RECIPES[name])
        assert {key: fields[key] for key in common | wanted} == common | wanted


def test_weights_are_fine_tuned_and_an_inflated_network_is_trained_as_in_the_paper():
    assert TrainConfig().transfer == TrainConfig(inflate="x").transfer == "original"
    assert TrainConfig(weights="x").transfer == "full"


def test_config_of_an_earlier_version_has_the_present_names():
    before = {"batch": 4, "norm": "freeze", "clip_norm": 1.0, "frames": 9}
    assert recorded_fields(before) == {
        "loss": "softmax",
        "class_weight": "none",
        "batch_size": 4,
        "batch_norm": "freeze",
        "global_clipnorm": 1.0,
        "frames": 9,
    }
    assert recorded_fields({"streams": ["flow", "rgb"]})["streams"] == ["rgb", "flow"]
    names = {field.name for field in dataclasses.fields(TrainConfig)}
    assert {*RENAMED_FIELDS.values()} <= names and not {*RENAMED_FIELDS} & names


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            {"optimizer": "adam"},
            r"`optimizer` must be one of \('adamw', 'sgd'\)\. Did you mean 'adamw'\? "
            "Received: optimizer='adam'",
        ),
        ({"precision": "half"}, "`precision` must be one of .*precision='half'"),
        ({"schedule": "relase_rgb"}, "Did you mean 'release_rgb'"),
        ({"transfer": "fix"}, "Did you mean 'fixed'"),
        ({"batch_norm": "frozen"}, "`batch_norm` must be one of .*batch_norm='frozen'"),
        ({"streams": ("rbg",)}, "`streams` must be 'rgb', 'flow' or 'rgb,flow'"),
        ({"seed": -1}, "`seed` must be at least 0"),
        ({"seed": 2**31 - 4}, r"`seed` must be below 2\*\*31 - 4"),
        ({"flip": "no"}, "`flip` must be True or False. Received: flip='no'"),
        ({"epochs": "2"}, "`epochs` must be a whole number. Received: epochs='2'"),
        ({"epochs": 1.5}, "`epochs` must be a whole number"),
        ({"batch_size": None}, "`batch_size` must be a whole number. Received: batch_size=None"),
        ({"fps": "25"}, "`fps` must be a number"),
        ({"freeze": "Mixed_5"}, "`freeze` must be a list of names. Received: freeze='Mixed_5'"),
        ({"frames": 0}, "`frames` must be at least 1. Received: frames=0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"size": 0}, "`size` must be at least 1"),
        ({"steps": -1}, "`steps` must be at least 0"),
        ({"global_clipnorm": -1.0}, "`global_clipnorm` must be at least 0"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0"),
        ({"ema": 1.0}, r"`ema` must be in \[0, 1\). Received: ema=1.0"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\)"),
        ({"label_smoothing": 1}, r"`label_smoothing` must be in \[0, 1\)"),
        ({"area": (2.0, -1.0)}, r"`area` must be two fractions \(low, high\) with 0 < low"),
        ({"area": (0.5,)}, "`area` must be two fractions"),
        ({"batch_size": 6, "accumulate": 4}, "`accumulate` must be a divisor of batch_size=6"),
        ({"schedule": "plateau"}, "`validation` must be given for schedule='plateau'"),
        ({"transfer": "full"}, r"`weights` must be given \(or `inflate`\) for transfer='full'"),
        ({"weights": "x", "transfer": "original"}, "`transfer` must be 'full' or 'fixed' if"),
        (
            {"weights": "x", "inflate": "y", "transfer": "full"},
            "`inflate` must be None if `weights` is given",
        ),
    ],
)
def test_fields_out_of_range_are_refused(wrong, why):
    with pytest.raises(ValueError, match=why):
        TrainConfig(**wrong)


def test_defaults_depend_on_transfer_and_loss():
    for fields, wanted in (
        ({}, (1e-4, 20)),
        ({"transfer": "full"}, (1e-4, 20)),
        ({"transfer": "fixed"}, (3e-3, 60)),
        ({"transfer": "fixed", "epochs": 3}, (3e-3, 3)),
        ({"transfer": "fixed", "learning_rate": 1e-4}, (1e-4, 60)),
    ):
        config = TrainConfig(**fields, **({"weights": "x"} if fields else {}))
        assert (config.learning_rate, config.epochs) == wanted
    assert TrainConfig().label_smoothing is None
    assert TrainConfig().for_labels(multi_label=False) == TrainConfig(
        loss="softmax", label_smoothing=0.1
    )
    assert TrainConfig().for_labels(multi_label=True) == TrainConfig(
        loss="sigmoid", label_smoothing=0.0
    )
    kept = TrainConfig(label_smoothing=0.3).for_labels(multi_label=True)
    assert (kept.loss, kept.label_smoothing) == ("sigmoid", 0.3)
    assert kept.for_labels(multi_label=False) == kept


def test_numbers_of_numpy_and_paths_become_those_of_json():
    config = TrainConfig(
        epochs=np.int64(3),
        learning_rate=np.float32(0.5),
        freeze=["Mixed_5c"],
        validation=0.2,
        weights=pathlib.Path("w.h5"),
        transfer="full",
    )
    fields = json.loads(config.to_json())
    assert (fields["epochs"], fields["learning_rate"], fields["validation"]) == (3, 0.5, "0.2")
    assert fields["weights"] == "w.h5" and config.freeze == ("Mixed_5c",)
