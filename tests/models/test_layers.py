"""Parts against plain NumPy, and what they say of themselves."""

import keras
import numpy as np
import pytest
import reference

from kinetics_i3d.models.layers import LocalResponseNorm, conv_unit, mixed_module


@pytest.mark.parametrize("shape", [(2, 3, 4, 17), (1, 2, 3, 4, 7)])
def test_response_norm_equals_plain_numpy(shape):
    x = np.random.default_rng(0).normal(0, 60, shape)  # large, so that the sum counts
    expected = reference.response_norm(x)
    assert np.abs(expected * np.sqrt(2) / x - 1).max() > 0.2
    np.testing.assert_allclose(LocalResponseNorm()(x.astype(np.float32)), expected, rtol=1e-4)


def test_response_norm_in_float16_does_not_overflow():
    x = np.random.default_rng(0).normal(0, 300, (2, 3, 4, 17)).astype(np.float16)
    y = LocalResponseNorm(dtype="float16")(x)
    assert keras.backend.standardize_dtype(y.dtype) == "float16"
    expected = reference.response_norm(x.astype(np.float64))
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=2e-3, atol=1e-2)


def test_response_norm_sums_over_radius_neighbors_on_each_side():
    x = np.zeros((1, 1, 1, 9), np.float32)
    x[..., 4] = 3.0
    ones = np.ones_like(x)
    layer = LocalResponseNorm(radius=2, bias=1.0, alpha=1.0, beta=1.0)
    share = np.asarray(layer(ones * 1e-3 + x)).ravel() / (1e-3 + x.ravel())
    np.testing.assert_allclose(share, [1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 1, 1], rtol=1e-2)


def test_response_norm_keeps_its_constants_and_shape():
    layer = LocalResponseNorm(radius=1, bias=3.0, alpha=0.5, beta=0.25, name="norm")
    config = layer.get_config()
    again = LocalResponseNorm.from_config(config)
    assert (again.radius, again.bias, again.alpha, again.beta, again.name) == (
        1,
        3.0,
        0.5,
        0.25,
        "norm",
    )
    assert layer.compute_output_shape((None, 4, 4, 8)) == (None, 4, 4, 8)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_a_unit_is_convolution_then_norm_or_bias_then_relu(batch_norm):
    clips = keras.Input((5, 7, 8, 2))
    unit = conv_unit(clips, "unit", 4, 3, stride=2, rank=3, batch_norm=batch_norm)
    layers = keras.Model(clips, unit).layers[1:]
    kinds = ["Conv3D", "BatchNormalization", "ReLU"] if batch_norm else ["Conv3D", "ReLU"]
    assert [type(layer).__name__ for layer in layers] == kinds
    assert layers[0].use_bias is not batch_norm
    assert layers[-1].name == "unit" and layers[0].name == "unit_conv"
    if batch_norm:
        norm = layers[1]
        assert (norm.scale, norm.center, norm.momentum, norm.epsilon) == (False, True, 0.999, 1e-3)
        assert norm.name == "unit_bn"


def test_a_module_joins_its_branches_in_order():
    clips = keras.Input((4, 8, 8, 6))
    filters = (1, 9, 2, 9, 3, 4)
    joined = mixed_module(clips, "Mixed_9z", filters, third_kernel=3, rank=3, batch_norm=True)
    model = keras.Model(clips, joined)
    ends = [tensor.shape[-1] for tensor in model.get_layer("Mixed_9z").input]
    assert ends == [1, 2, 3, 4] and joined.shape == (None, 4, 8, 8, 10)
    kernels = [layer.kernel_size for layer in model.layers if hasattr(layer, "kernel_size")]
    assert sorted(kernels) == [(1, 1, 1)] * 4 + [(3, 3, 3)] * 2


def test_only_one_unit_of_the_release_is_misspelt():
    def letters(name, rank, third_kernel):
        x = keras.Input((8,) * rank + (6,))
        joined = mixed_module(
            x, name, (1,) * 6, third_kernel=third_kernel, rank=rank, batch_norm=True
        )
        branch = f"{name}_Branch_2_Conv{rank}d_0"
        names = [layer.name for layer in keras.Model(x, joined).layers]
        return sorted(
            n.removeprefix(branch) for n in names if n.startswith(branch) and n[-1] == "n"
        )

    plain = ["a_1x1_bn", "b_3x3_bn"]
    assert letters("Mixed_5c", 3, 3) == plain
    assert letters("Mixed_5b", 2, 3) == plain
    assert letters("Mixed_5b", 3, 5) == ["a_1x1_bn", "b_5x5_bn"]
    assert letters("Mixed_5b", 3, 3) == ["a_1x1_bn", "a_3x3_bn"]
