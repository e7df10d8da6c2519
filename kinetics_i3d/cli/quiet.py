"""`load_keras`: imports Keras and its backend without the lines that TensorFlow writes by itself.

A user's mistake is one line on stderr, and must not drown. TF_CPP_MIN_LOG_LEVEL=0 or 1 in the
environment shows all that TensorFlow has to say.
"""

import contextlib
import gc
import os
import sys
import tempfile

LEVEL = "TF_CPP_MIN_LOG_LEVEL"


def load_keras():
    """Imports Keras with the backend that its settings name; seconds the first time."""
    # 3 leaves fatal errors only; 2 would let pass that a machine without a GPU has none.
    # Notices on oneDNN and CUDA come before TensorFlow reads its level: no variable stops them.
    shown = os.environ.setdefault(LEVEL, "3") in ("0", "1")
    with contextlib.nullcontext() if shown else silent_stderr(), no_collection():
        import keras
    return keras


@contextlib.contextmanager
def no_collection():
    """Keeps the garbage collector off, and what is made meanwhile out of its later rounds.

    An import makes a million objects that stay: looking for garbage among them, again and again, is
    a quarter of the time that TensorFlow takes to load.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@contextlib.contextmanager
def silent_stderr():
    """Holds back what the process writes to stderr, C++ included; shows it if that fails."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            os.write(before, held.read())
            raise
        finally:
            os.dup2(before, 2)
            os.close(before)
