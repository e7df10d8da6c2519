"""Models of weights by what those say they are."""

import keras

import kinetics_i3d as ki3d
from kinetics_i3d.models.load import load_model


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
