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
    """Buffers what the process writes to stderr, C++ included, and prints it only on an error."""
    sys.stderr.flush()
    stderr = os.dup(2)
    succeeded = False
    with tempfile.TemporaryFile() as buffer:
        os.dup2(buffer.fileno(), 2)
        try:
            yield
            succeeded = True
        finally:
            if not succeeded:
                buffer.seek(0)
                os.write(stderr, buffer.read())
            os.dup2(stderr, 2)
            os.close(stderr)
