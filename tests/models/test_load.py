"""Models of weights by what those say they are."""

import keras
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.models import load
from kinetics_i3d.models.load import load_model
from kinetics_i3d.weights import DEFAULT_WEIGHTS
from kinetics_i3d.weights.catalog import CATALOG, PAIRS


@pytest.mark.slow
def test_a_model_is_in_float32_whatever_the_policy(tmp_path):
    built = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=3)
    ki3d.save_weights(built, tmp_path / "mine.h5", labels=("a", "b", "c"))
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = load_model(tmp_path / "mine.h5")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model.labels == ("a", "b", "c")


@pytest.mark.parametrize("streams", [None, ("rgb",), ("flow",), ("rgb", "flow")])
def test_default_weights_are_in_the_catalog_and_read_what_is_requested(streams, monkeypatch):
    name = DEFAULT_WEIGHTS[streams]
    members = PAIRS[name].members if name in PAIRS else (name,)
    read = tuple(CATALOG[member].clip_spec.stream for member in members)
    assert read == (streams or ("rgb",))
    calls = []
    monkeypatch.setattr(load, "_load", lambda *arguments: calls.append(arguments))
    ki3d.load_model(streams=streams)
    assert calls == [(name, streams)]


def test_frames_are_distinguished_into_400_actions_by_default():
    assert len(CATALOG[DEFAULT_WEIGHTS[None]].labels) == 400
