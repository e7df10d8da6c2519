"""Quantized flow: flow in pixels, in the range that networks read, and in 8 bits.

The I3D release truncates flow to ±20 pixels and scales it to [-1, 1]; datasets store it in 8 bits.
"""

import numpy as np

from kinetics_i3d.core.clip_spec import FLOW_BOUND as BOUND

ROUNDINGS = {"round": np.rint, "truncate": np.floor}


def normalize_flow(flow, bound=BOUND):
    """Clips flow of shape (..., 2) in pixels to ±bound and scales it to [-1, 1], float32."""
    if not 0 < bound < np.inf:
        raise ValueError(f"`bound` must be a number of pixels above 0. Received: bound={bound!r}")
    flow = np.asarray(flow, np.float32)
    if not np.isfinite(flow).all():
        raise ValueError("`flow` must be finite. Received: nan or infinity")
    return np.clip(flow / np.float32(bound), np.float32(-1), np.float32(1))


def quantize_flow(flow, bound=BOUND, rounding="round"):
    """Quantizes flow to 8 bits: -bound becomes 0, +bound 255, and 0 is between 127 and 128.

    No value stands for "no motion". Rounding makes 0 pixels 128, which dequantizes to +1/255 of the
    bound (0.078 pixels of 20); truncation makes it 127, or -1/255. A network needs the rounding it
    was trained with, so the rounding is recorded with all stored flow.

    Args:
        flow: Array (..., 2) in pixels, finite.
        bound: Pixels at which flow is clipped.
        rounding: `"round"` to the nearest value, halves to the even one, or `"truncate"` to the
            value below, as a cast does.

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: If an argument is outside its range.

    Example:

    >>> quantize_flow(np.array([-25.0, 0.0, 10.0]))
    array([  0, 128, 191], dtype=uint8)
    >>> quantize_flow(np.array([-25.0, 0.0, 10.0]), rounding="truncate")
    array([  0, 127, 191], dtype=uint8)
    """
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"`rounding` must be one of {(*ROUNDINGS,)}. Received: rounding={rounding!r}"
        )
    levels = (normalize_flow(flow, bound) + np.float32(1)) * np.float32(127.5)
    return ROUNDINGS[rounding](levels).astype(np.uint8)


def dequantize_flow(quantized, bound=1.0):
    """Maps uint8 values 0 to 255 to float32 values -bound to bound.

    Args:
        quantized: uint8 array, as `quantize_flow` returns.
        bound: The value of 255: 1 for the range that networks read, the bound of `quantize_flow`
            for pixels.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: If `quantized` is not uint8, or `bound` is not above 0.

    Example:

    >>> dequantize_flow(np.array([0, 255], np.uint8), bound=20)
    array([-20.,  20.], dtype=float32)
    """
    quantized = np.asarray(quantized)
    if quantized.dtype != np.uint8:
        raise ValueError(f"`quantized` must be uint8. Received: dtype {quantized.dtype}")
    if not 0 < bound < np.inf:
        raise ValueError(f"`bound` must be above 0. Received: bound={bound!r}")
    # Odd integers over 255: symmetric about 0, and exact at both ends.
    return (2 * quantized.astype(np.float32) - 255) * np.float32(bound) / np.float32(255)
