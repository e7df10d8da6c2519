"""`TrainConfig`: its specs, its JSON, and what it refuses."""

import dataclasses
import json

import pytest

from kinetics_i3d.training.config import TrainConfig


def test_training_clips_keep_the_share_that_the_test_crop_has():
    config = TrainConfig(size=112, test_short_side=256, test_size=224, fps=12.5)
    train, test = config.train_spec(), config.test_spec("mine")
    assert (train.size, train.short_side, train.fps) == (112, 128, 12.5)
    assert (test.name, test.size, test.short_side, test.fps) == ("mine", 224, 256, 12.5)
    assert (train.low, train.high) == (test.low, test.high) == (-1.0, 1.0)


def test_a_config_is_json():
    config = TrainConfig(frames=17, freeze=("Conv3d",))
    fields = json.loads(config.to_json())
    assert fields["frames"] == 17 and fields["freeze"] == ["Conv3d"]
    assert set(fields) == {field.name for field in dataclasses.fields(config)}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (
            {"optimizer": "adam"},
            r"`optimizer` must be one of \('adamw', 'sgd'\). .*optimizer='adam'",
        ),
        ({"precision": "half"}, "`precision` must be one of .*precision='half'"),
        ({"frames": 0}, "`frames` must be at least 1. Received: frames=0"),
        ({"batch": 0}, "`batch` must be at least 1"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"size": 0}, "`size` must be at least 1"),
        ({"ema": 1.0}, r"`ema` must be in \[0, 1\). Received: ema=1.0"),
        ({"dropout": -0.1}, r"`dropout` must be in \[0, 1\)"),
        ({"label_smoothing": 1}, r"`label_smoothing` must be in \[0, 1\)"),
    ],
)
def test_a_field_out_of_range(wrong, why):
    with pytest.raises(ValueError, match=why):
        TrainConfig(**wrong)
