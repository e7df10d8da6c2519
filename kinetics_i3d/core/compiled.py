"""`compiled`: Numba's `njit` for kernels, or plain Python where Numba is not installed."""

try:
    import numba
except ModuleNotFoundError:
    numba = None


def compiled(**options):
    """A decorator that compiles a function, cached on disk if there is a folder to write to.

    Args:
        **options: As for `numba.njit`; a kernel keeps no lock of Python's and divides as NumPy.

    Returns:
        The decorator. Without Numba it gives the function back, thousands of times slower.
    """

    def decorate(function):
        if numba is None:
            return function
        settings = {"nogil": True, "error_model": "numpy", **options}
        try:
            return numba.njit(cache=True, **settings)(function)
        except RuntimeError:  # no such folder: compiled once in each process
            return numba.njit(**settings)(function)

    return decorate
