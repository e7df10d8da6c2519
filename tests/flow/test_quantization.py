"""8-bit flow: every code and its value, what zero becomes, and what is refused."""

import numpy as np
import pytest

from kinetics_i3d.flow import dequantize_flow, normalize_flow, quantize_flow

CODES = np.arange(256, dtype=np.uint8)


def test_every_code_comes_back():
    for bound in (1.0, 10.0, 20.0, 33.3):
        values = dequantize_flow(CODES, bound=bound)
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, np.linspace(-bound, bound, 256), rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(values, -values[::-1])
        assert values[0] == -np.float32(bound)
        np.testing.assert_array_equal(quantize_flow(values, bound=bound), CODES)
    np.testing.assert_array_equal(dequantize_flow(CODES), dequantize_flow(CODES, bound=1))


def test_zero_is_128_rounded_and_127_truncated():
    zero = np.zeros((4, 5, 2))
    assert (quantize_flow(zero) == 128).all() and (
        quantize_flow(zero, rounding="round") == 128
    ).all()
    assert (quantize_flow(zero, rounding="truncate") == 127).all()
    assert dequantize_flow(np.uint8(128)) == np.float32(1 / 255) == -dequantize_flow(np.uint8(127))
    assert not normalize_flow(zero).any()


def test_rounding_is_to_the_nearest_and_truncation_down():
    flow = np.random.default_rng(0).uniform(-25, 25, 5000)
    exact = (np.clip(flow, -20, 20) + 20) / 40 * 255
    clear = abs(exact % 1 - 0.5) < 0.49  # not where float32 may fall on the other side
    np.testing.assert_array_equal(
        quantize_flow(flow, rounding="truncate")[clear], np.floor(exact[clear])
    )
    off = np.abs(dequantize_flow(quantize_flow(flow), bound=20) - np.clip(flow, -20, 20))
    assert off.max() < 20 / 255 + 1e-5
    ends = quantize_flow(np.array([-1e9, -20, 20, 1e9]))
    assert ends.dtype == np.uint8 and ends.tolist() == [0, 0, 255, 255]
    assert quantize_flow(np.array([5.0]), bound=5).tolist() == [255]


def test_normalized_flow_is_clipped_and_not_rounded():
    flow = np.random.default_rng(0).uniform(-50, 50, (3, 4, 2))
    scaled = normalize_flow(flow)
    assert scaled.dtype == np.float32 and scaled.shape == flow.shape
    np.testing.assert_allclose(scaled, np.clip(flow / 20, -1, 1), rtol=1e-6)
    np.testing.assert_allclose(normalize_flow(flow, bound=50), flow / 50, rtol=1e-6)


def test_wrong_arguments_are_refused():
    flow = np.zeros((2, 2))
    for bound in (0, -1, np.inf, np.nan):
        for function, value in (
            (normalize_flow, flow),
            (quantize_flow, flow),
            (dequantize_flow, CODES),
        ):
            with pytest.raises(ValueError, match=r"^`bound` must be .*Received: bound="):
                function(value, bound=bound)
    for bad in (np.nan, np.inf):
        for function in (normalize_flow, quantize_flow):
            with pytest.raises(ValueError, match="`flow` must be finite"):
                function(np.array([0, bad]))
    with pytest.raises(
        ValueError, match=r"one of \('round', 'truncate'\). Received: rounding='up'"
    ):
        quantize_flow(flow, rounding="up")
    with pytest.raises(ValueError, match="`quantized` must be uint8"):
        dequantize_flow(flow)
