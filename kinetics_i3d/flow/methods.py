"""`pair_function`: the program that computes a method's flow, or one line on what to install.

A program is a function of two grey pictures and the parameters; it holds no state.
"""

import typing

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.flow.settings import usable_backend


def pair_function(method, backend=None):
    """Finds the program for a method.

    Args:
        method: `"tvl1"`, `"dis"` or `"farneback"`.
        backend: `"numba"`, `"tensorflow"` or `"opencv"`; None takes Numba for TV-L1 where it is
            installed and else TensorFlow, and OpenCV for the others.

    Returns:
        `function(first, second, parameters)`: two grey uint8 arrays (height, width) to float32
        (height, width, 2).

    Raises:
        UserError: If a package is missing or cannot be used.
        ValueError: If there is no such method, or not by that backend.

    Example:

    >>> pair_function("tvl1", "tensorflow").__name__
    'tvl1'
    """
    return LOADERS[usable_backend(method, backend)](method)


def _numba(method):
    try:
        import numba  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError("Flow by Numba needs it: pip install 'kinetics-i3d[flow]'") from error
    except ImportError as error:  # such as a NumPy that is too new for it
        reason = first_line(error)
        raise UserError(
            f"Numba is installed but cannot be used ({reason}); backend='tensorflow' needs none"
        ) from error
    from kinetics_i3d.flow import tvl1_numba

    tvl1_numba.compile_now()
    return tvl1_numba.tvl1


def _tensorflow(method):
    from kinetics_i3d.flow import tvl1_tensorflow

    return tvl1_tensorflow.tvl1


def _opencv(method):

    check_opencv(method)
    return {"tvl1": opencv_tvl1, "dis": opencv_dis, "farneback": opencv_farneback}[method]


LOADERS = {"numba": _numba, "tensorflow": _tensorflow, "opencv": _opencv}


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


def opencv_tvl1(first, second, parameters):
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


def opencv_dis(first, second, parameters=None):
    """Dense inverse search (Kroeger et al., ECCV 2016), OpenCV's medium preset; as `tvl1`."""
    import cv2

    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]
    return method.calc(first, second, None)


def opencv_farneback(first, second, parameters=None):
    """Polynomial expansion (Farnebäck, SCIA 2003); as `tvl1`."""
    import cv2

    return cv2.calcOpticalFlowFarneback(first, second, None, **FARNEBACK)


def check_opencv(method):
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
