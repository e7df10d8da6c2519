"""`to_grey`: RGB frames to the grey levels that flow is computed from.

ITU-R BT.601's weights of R', G', B', in the fixed point of OpenCV's `cvtColor`, to the bit.
"""

import numpy as np

SHIFT = 15
RED, GREEN = round(0.299 * 2**SHIFT), round(0.587 * 2**SHIFT)
BLUE = 2**SHIFT - RED - GREEN  # 0.114, rounded so that white stays white


def to_grey(frames):
    """Weighs red, green and blue.

    Args:
        frames: uint8 array (..., 3), RGB, 0 to 255, or (..., 1), which is grey already.

    Returns:
        uint8 array (...), 0 to 255.

    Example:

    >>> to_grey(np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8))
    array([ 76, 150,  29], dtype=uint8)
    """
    frames = np.asarray(frames)
    if frames.shape[-1] == 1:
        return frames[..., 0]
    red, green, blue = (frames[..., channel].astype(np.int32) for channel in range(3))
    total = RED * red + GREEN * green + BLUE * blue
    return ((total + 2 ** (SHIFT - 1)) >> SHIFT).astype(np.uint8)
