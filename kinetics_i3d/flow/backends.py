"""`pair_function`: the program that computes a method's flow, or one line on what to install.

A program is a function of two grey pictures and the parameters; it holds no state.
"""

import importlib.util

from kinetics_i3d.core.errors import UserError, first_line

# The first that is installed is taken.
BACKENDS = {
    "tvl1": ("numba", "tensorflow", "opencv"),
    "dis": ("opencv",),
    "farneback": ("opencv",),
}


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
    if method not in BACKENDS:
        raise ValueError(f"`method` must be one of {(*BACKENDS,)}. Received: method={method!r}")
    if backend is None:
        backend = BACKENDS[method][0]
        if backend == "numba" and importlib.util.find_spec("numba") is None:
            backend = "tensorflow"
    if backend not in BACKENDS[method]:
        raise ValueError(
            f"`backend` must be one of {BACKENDS[method]} for method={method!r}. "
            f"Received: backend={backend!r}"
        )
    return LOADERS[backend](method)


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
    from kinetics_i3d.flow import opencv

    opencv.check(method)
    return getattr(opencv, method)


LOADERS = {"numba": _numba, "tensorflow": _tensorflow, "opencv": _opencv}
