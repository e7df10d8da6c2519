"""`compiled`: Numba's `njit` for kernels, or plain Python where Numba is not installed."""

try:
    import numba
except ModuleNotFoundError:
    numba = None


def compiled(**options):
    """A decorator that compiles a function with `numba.njit`, cached on disk where possible.

    Compiled functions release Python's lock and divide as NumPy does. Without Numba the function is
    unchanged, and thousands of times slower.
    """

    def decorate(function):
        if numba is None:
            return function
        settings = {"nogil": True, "error_model": "numpy", **options}
        try:
            return numba.njit(cache=True, **settings)(function)
        except RuntimeError:  # no folder for the cache: compiled once per process
            return numba.njit(**settings)(function)

    return decorate
