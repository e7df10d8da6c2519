"""OpenCV's own optical flow of one pair of pictures: DualTVL1, DIS and Farneback.

For those who want that very program: TV-L1 is slower here than in `tvl1_numba`, and the other two
err by more than people move. https://docs.opencv.org
"""

import typing

from kinetics_i3d.core.errors import UserError

INSTALL = "pip install 'kinetics-i3d[opencv]'"
# Those of OpenCV's own examples; the function has no defaults.
FARNEBACK: dict[str, typing.Any] = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}


def tvl1(first, second, parameters):
    """TV-L1 by `cv2.optflow`, on as many threads as OpenCV is set to.

    Args:
        first: uint8 array (height, width), grey levels.
        second: The next picture, of the same shape.
        parameters: A `TVL1`.

    Returns:
        float32 array (height, width, 2), pixels, x then y.
    """
    import cv2

    method = cv2.optflow.DualTVL1OpticalFlow_create(  # type: ignore[attr-defined]
        parameters.tau,
        parameters.lam,
        parameters.theta,
        parameters.scales,
        parameters.warps,
        parameters.epsilon,
        parameters.inner,
        parameters.outer,
        parameters.scale_step,
        0.0,  # gamma
        5 if parameters.median else 1,
        False,  # no flow to begin with
    )
    return method.calc(first, second, None)


def dis(first, second, parameters=None):
    """Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's medium preset; as `tvl1`."""
    import cv2

    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]
    return method.calc(first, second, None)


def farneback(first, second, parameters=None):
    """Polynomial expansion (Farnebäck, SCIA 2003); as `tvl1`."""
    import cv2

    return cv2.calcOpticalFlowFarneback(first, second, None, **FARNEBACK)


def check(method):
    """Refuses, in one line, an OpenCV that lacks a method.

    Args:
        method: `"tvl1"`, `"dis"` or `"farneback"`.

    Raises:
        UserError: If OpenCV is missing, or is one without `cv2.optflow` where that is needed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError(f"Flow by OpenCV needs OpenCV with contrib: {INSTALL}") from error
    if method == "tvl1" and not hasattr(
        getattr(cv2, "optflow", None), "DualTVL1OpticalFlow_create"
    ):
        raise UserError(
            f"{cv2.__file__}: OpenCV without optflow; remove all opencv-* packages, then {INSTALL}"
        )
