"""`normalize_flow`, `encode_flow`, `decode_flow`: flow in pixels, in a network's range, in 8 bits.

The I3D release truncates flow to ±20 pixels and scales it to [-1, 1]; datasets keep it in 8 bits.
"""

import numpy as np

BOUND = 20.0  # pixels; the release's
ROUNDINGS = {"round": np.rint, "truncate": np.floor}


def normalize_flow(flow, bound=BOUND):
    """Clips flow and scales it to what flow networks read, without rounding.

    Args:
        flow: Array (..., 2) in pixels, finite.
        bound: Pixels that become 1.

    Returns:
        float32 array of the same shape, -1 to 1; zero stays zero.

    Raises:
        ValueError: If `bound` is not above 0, or a value is not finite.

    Example:

    >>> normalize_flow(np.array([5.0, -40.0]))
    array([ 0.25, -1.  ], dtype=float32)
    """
    if not 0 < bound < np.inf:
        raise ValueError(f"`bound` must be pixels, above 0. Received: bound={bound!r}")
    flow = np.asarray(flow, np.float32)
    if not np.isfinite(flow).all():
        raise ValueError("`flow` must be finite. Received: nan or infinity")
    return np.clip(flow / np.float32(bound), np.float32(-1), np.float32(1))


def encode_flow(flow, bound=BOUND, rounding="round"):
    """Codes flow in 8 bits: -bound is 0, +bound is 255, and 0 lies between 127 and 128.

    There is no code for "no motion". Rounding makes 0 pixels 128, which decodes to +1/255 of the
    bound (0.078 pixels of 20); truncating makes them 127, and -1/255. A network has to be fed the
    one that it was trained with, so say which beside what you store.

    Args:
        flow: Array (..., 2) in pixels, finite.
        bound: Pixels at which it is clipped.
        rounding: `"round"` to the nearest code, halves to the even one, or `"truncate"` to the
            code below, as a cast does.

    Returns:
        uint8 array of the same shape.

    Raises:
        ValueError: If an argument is wrong.

    Example:

    >>> encode_flow(np.array([-25.0, 0.0, 10.0]))
    array([  0, 128, 191], dtype=uint8)
    >>> encode_flow(np.array([-25.0, 0.0, 10.0]), rounding="truncate")
    array([  0, 127, 191], dtype=uint8)
    """
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"`rounding` must be one of {(*ROUNDINGS,)}. Received: rounding={rounding!r}"
        )
    codes = (normalize_flow(flow, bound) + np.float32(1)) * np.float32(127.5)
    return ROUNDINGS[rounding](codes).astype(np.uint8)


def decode_flow(codes, bound=1.0):
    """Gives the values that codes stand for: code / 255 of the way from -bound to +bound.

    Args:
        codes: uint8 array, such as `encode_flow` makes.
        bound: What 255 stands for: 1 gives what networks read, the bound of `encode_flow` pixels.

    Returns:
        float32 array of the same shape, -bound to bound.

    Raises:
        ValueError: If `codes` are not uint8, or `bound` is not above 0.

    Example:

    >>> decode_flow(np.array([0, 255], np.uint8), bound=20)
    array([-20.,  20.], dtype=float32)
    """
    codes = np.asarray(codes)
    if codes.dtype != np.uint8:
        raise ValueError(f"`codes` must be uint8. Received: dtype {codes.dtype}")
    if not 0 < bound < np.inf:
        raise ValueError(f"`bound` must be above 0. Received: bound={bound!r}")
    # Odd numbers over 255, which float32 holds: symmetric, and exact at both ends.
    return (2 * codes.astype(np.float32) - 255) * np.float32(bound) / np.float32(255)
