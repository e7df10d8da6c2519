"""Recipes: which settings the weights and the user override."""

import dataclasses

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.recipes import RECIPES, config_from_recipe
from kinetics_i3d.weights.checkpoint import Checkpoint, WeightsInfo, write_checkpoint


@pytest.fixture
def messages(caplog):
    """The lines of the log."""
    caplog.set_level("INFO", logger="absl")
    return lambda: caplog.messages


def weights_file(path, *, architecture="inception_v1", system=None, flow_fps=None, stream="rgb"):
    """A file of weights that says what it is and holds next to nothing."""
    spec = ClipSpec("mine", stream=stream, fps=5.0)
    flow = flow_fps and ClipSpec("mine_flow", stream="flow", fps=flow_fps)
    info = WeightsInfo(architecture, 3, spec, 2, ("a", "b"), {}, system, flow)
    write_checkpoint(path, Checkpoint(info, {"layer/kernel": np.zeros(1, np.float32)}))
    return str(path)


def test_recipe_without_contradiction_is_unchanged(messages):
    assert config_from_recipe("figures", epochs=1) == dataclasses.replace(
        RECIPES["figures"], epochs=1
    )
    assert config_from_recipe(None, system="C3D") == TrainConfig(system="C3D")
    assert config_from_recipe("finetune_kinetics") == RECIPES["finetune_kinetics"]
    assert messages() == []


def test_weights_override_a_recipe_and_each_change_is_logged(messages):
    config = config_from_recipe("jhmdb", weights="rgb_kinetics400", epochs=3)
    assert config == dataclasses.replace(
        RECIPES["jhmdb"],
        weights="rgb_kinetics400",
        architecture="inception_v1",
        temporal="average",
        transfer="full",
        epochs=3,
    )
    assert sorted(messages()) == [
        f"recipe 'jhmdb': {field}={old!r} is replaced by {new!r} because of "
        "weights='rgb_kinetics400'"
        for field, old, new in (
            ("architecture", "googlenet", "inception_v1"),
            ("temporal", "center", "average"),
            ("transfer", "original", "full"),
        )
    ]


def test_explicit_settings_are_kept_and_may_be_refused():
    config = config_from_recipe("jhmdb", weights="rgb_kinetics400", architecture="googlenet")
    assert config.architecture == "googlenet"  # refused when the network is built
    with pytest.raises(ValueError, match="`transfer` must be 'full' or 'fixed'"):
        config_from_recipe("jhmdb", weights="rgb_kinetics400", transfer="original")
    with pytest.raises(ValueError, match="`inflate` must be None if `weights` is given"):
        config_from_recipe("jhmdb", weights="rgb_kinetics400", inflate="x")


def test_weights_of_a_file_override_a_recipe(tmp_path):
    path = weights_file(tmp_path / "mine.h5", architecture="inception_v1_quarter", stream="flow")
    config = config_from_recipe("jhmdb", weights=path)
    assert (config.architecture, config.streams) == ("inception_v1_quarter", ("flow",))
    with pytest.raises(WeightsError, match="no such weights file"):
        config_from_recipe("jhmdb", weights=str(tmp_path / "none.h5"))


def test_weights_set_transfer_and_streams_without_a_recipe(messages):
    config = config_from_recipe(None, weights="flow_kinetics400")
    assert (config.transfer, config.streams) == ("full", ("flow",))
    assert messages() == [
        "defaults: streams=() is replaced by ('flow',) because of weights='flow_kinetics400'",
    ]
    assert config_from_recipe(None, weights="rgb_kinetics400").streams == ()


def test_flow_recipe_keeps_its_stream_with_rgb_weights():
    config = config_from_recipe("kinetics_flow", weights="rgb_kinetics400")
    assert (config.streams, config.transfer) == (("flow",), "full")


def test_explicit_weights_replace_those_of_the_recipe(tmp_path):
    path = weights_file(tmp_path / "images.h5", architecture="googlenet")
    config = config_from_recipe("finetune_kinetics", inflate=path)
    assert (config.weights, config.inflate, config.transfer) == (None, path, "full")
    config = config_from_recipe("figures", inflate=path)
    assert config.architecture == "googlenet"


def test_weights_replace_inflate_of_a_recipe(monkeypatch):
    inflated = dataclasses.replace(RECIPES["jhmdb"], inflate="images.h5")
    monkeypatch.setitem(RECIPES, "jhmdb", inflated)
    config = config_from_recipe("jhmdb", weights="rgb_kinetics400")
    assert (config.weights, config.inflate) == ("rgb_kinetics400", None)


def test_stride_follows_the_frame_rates_of_two_streams(tmp_path):
    path = weights_file(tmp_path / "both.h5", system="TwoStream", flow_fps=25.0)
    config = config_from_recipe("paper_two_stream", weights=path)
    assert (config.stride, config.streams) == (5, ())


def test_fixed_transfer_turns_mixup_off():
    config = config_from_recipe("finetune_kinetics", transfer="fixed")
    assert (config.transfer, config.mixup) == ("fixed", 0.0)


def test_unknown_recipe_or_other_system_is_refused():
    with pytest.raises(ValueError, match="Did you mean 'jhmdb'"):
        config_from_recipe("jhmbd")
    with pytest.raises(ValueError, match="`recipe` must be one for C3D; 'figures' trains Incep"):
        config_from_recipe("figures", system="C3D")


def test_fixed_transfer_has_its_own_defaults_and_logs_them(messages):
    config = config_from_recipe(None, weights="rgb_kinetics400", transfer="fixed")
    assert (config.learning_rate, config.epochs) == (3e-3, 60)
    taken = "learning_rate=0.003, epochs=60 by default for transfer='fixed'"
    assert messages() == [f"defaults: {taken}"]
    config = config_from_recipe("finetune_kinetics", transfer="fixed", epochs=4)
    assert (config.learning_rate, config.epochs) == (3e-3, 4)
    assert messages()[1:] == [
        "recipe 'finetune_kinetics': learning_rate=0.003 by default for transfer='fixed'",
        "recipe 'finetune_kinetics': mixup=0.2 is replaced by 0.0 because of transfer='fixed'",
    ]
    config = config_from_recipe(
        None, weights="rgb_kinetics400", transfer="fixed", epochs=20, learning_rate=1e-4
    )
    assert (config.learning_rate, config.epochs) == (1e-4, 20)
    assert len(messages()) == 3


@pytest.mark.parametrize("name", ["kinetics_rgb", "paper_c3d"])
def test_epochs_replace_the_steps_of_a_recipe(messages, name):
    config = config_from_recipe(name, epochs=3)
    assert (config.epochs, config.steps) == (3, 0)
    replaced = f"recipe '{name}': steps={RECIPES[name].steps} is replaced by 0"
    assert f"{replaced} because of epochs=3" in messages()
    assert config_from_recipe(name, epochs=3, steps=7).steps == 7
