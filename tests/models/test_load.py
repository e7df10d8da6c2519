"""Models of weights by what those say they are, in float32 or in bfloat16."""

import keras
import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.models.load import load_model


def test_a_model_may_compute_in_bfloat16(tmp_path):
    policy = keras.config.dtype_policy()
    built = ki3d.InceptionI3D(architecture="inception_v1_quarter", classes=3)
    ki3d.save_weights(built, tmp_path / "mine.h5", labels=("a", "b", "c"))
    exact = load_model(tmp_path / "mine.h5")
    quick = load_model(tmp_path / "mine.h5", precision="bfloat16")
    assert keras.config.dtype_policy() == policy
    convolutions = [one for one in quick.layers if isinstance(one, keras.layers.Conv3D)]
    assert {one.compute_dtype for one in convolutions} == {"bfloat16"}
    # The logits stay exact, and batch norms are folded.
    assert quick.get_layer("Logits").compute_dtype == "float32"
    assert not any(isinstance(one, keras.layers.BatchNormalization) for one in quick.layers)
    assert quick.labels == ("a", "b", "c")
    clips = np.random.default_rng(0).uniform(-1, 1, (1, 9, 64, 64, 3)).astype(np.float32)
    near, right = (model.predict(clips, verbose=0) for model in (quick, exact))
    assert near.dtype == np.float32 and not np.array_equal(near, right)
    np.testing.assert_allclose(near, right, atol=0.03 * np.abs(right).max())


def test_other_precisions_are_refused():
    with pytest.raises(ValueError, match=r"`precision` must be one of \('float32', 'bfloat16'\)"):
        load_model("rgb_figures", precision="float16")
