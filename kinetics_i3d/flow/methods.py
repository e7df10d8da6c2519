"""`pair_function`: the function that computes the flow of one pair of pictures.

OpenCV's methods are included for exact comparisons: its TV-L1 is slower than that of `tvl1_numba`,
and the errors of the other two are larger than most motion.
"""

import typing

from absl import logging

from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.flow.settings import choose_backend

_INSTALL_OPENCV = "pip install 'kinetics-i3d[opencv]'"
# From OpenCV's own examples; its function has no defaults.
_FARNEBACK: dict[str, typing.Any] = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}


def pair_function(method, backend=None):
    """Returns the function that computes a method's flow.

    Args:
        method: `"tvl1"`, `"dis"` or `"farneback"`.
        backend: `"numba"`, `"tensorflow"` or `"opencv"`. None means Numba for TV-L1 where it is
            installed and TensorFlow otherwise, and OpenCV for the other methods.

    Returns:
        `function(first, second, parameters)`: two gray uint8 arrays (height, width) to float32
        (height, width, 2), x then y, in pixels. It holds no state.

    Raises:
        UserError: If a package is missing or cannot be used.
        ValueError: If there is no such method, or the backend does not support it.

    Example:

    >>> pair_function("tvl1", "tensorflow").__name__
    'tvl1'
    """
    chosen = choose_backend(method, backend)
    if backend is None and chosen == "tensorflow":
        message = (
            "Numba is not installed, so TensorFlow computes the flow, several times more slowly; "
            "install it: pip install 'kinetics-i3d[flow]'"
        )
        logging.log_first_n(logging.WARNING, message, 1)
    return LOADERS[chosen](method)


def _load_numba(method):
    try:
        import numba  # noqa: F401
    except ModuleNotFoundError as error:
        raise UserError(
            "Flow with the Numba backend needs Numba: pip install 'kinetics-i3d[flow]'"
        ) from error
    except ImportError as error:  # such as a NumPy that is too new for it
        raise UserError(
            f"Numba is installed but cannot be used ({first_line(error)}); backend='tensorflow' "
            "works without it"
        ) from error
    from kinetics_i3d.flow import tvl1_numba

    tvl1_numba.compile_kernels()
    return tvl1_numba.tvl1


def _load_tensorflow(method):
    from kinetics_i3d.flow import tvl1_tensorflow

    return tvl1_tensorflow.tvl1


def _load_opencv(method):
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"Flow with the OpenCV backend needs OpenCV with contrib: {_INSTALL_OPENCV}"
        ) from error
    optflow = getattr(cv2, "optflow", None)
    if method == "tvl1" and not hasattr(optflow, "DualTVL1OpticalFlow_create"):
        raise UserError(
            f"{cv2.__file__}: OpenCV without optflow; remove all opencv-* packages, then "
            f"{_INSTALL_OPENCV}"
        )
    return {"tvl1": opencv_tvl1, "dis": opencv_dis, "farneback": opencv_farneback}[method]


LOADERS = {"numba": _load_numba, "tensorflow": _load_tensorflow, "opencv": _load_opencv}


def opencv_tvl1(first, second, parameters):
    """TV-L1 by `cv2.optflow`, on as many threads as OpenCV is set to use."""
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
        False,  # no initial flow
    )
    return method.calc(first, second, None)


def opencv_dis(first, second, parameters=None):
    """Dense inverse search (Kroeger et al., ECCV 2016) with OpenCV's medium preset."""
    import cv2

    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM
    method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]
    return method.calc(first, second, None)


def opencv_farneback(first, second, parameters=None):
    """Polynomial expansion (Farnebäck, SCIA 2003)."""
    import cv2

    return cv2.calcOpticalFlowFarneback(first, second, None, **_FARNEBACK)
