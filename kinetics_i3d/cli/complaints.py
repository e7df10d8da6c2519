"""`complain`: one line on stderr for what the user has to put right."""

import sys

from kinetics_i3d.cli.arguments import PROGRAM


def complain(error):
    """Prints an error as one line on stderr.

    Args:
        error: An exception.
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    print(f"{PROGRAM}: error: {' '.join(text.split())}", file=sys.stderr, flush=True)


def is_about_argument(error):
    """Whether this package itself raised a `ValueError`: by its rules that names a wrong argument.

    One from Keras or NumPy is a fault of ours, and deserves its traceback.
    """
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_globals.get("__name__", "").startswith("kinetics_i3d.")
