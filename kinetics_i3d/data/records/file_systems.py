"""`file_systems`: TensorFlow's own, and those that tensorflow-io adds to them, such as s3.

https://github.com/tensorflow/io. Its last release, 0.37, is made for TensorFlow 2.16.
"""

import atexit
import contextlib
import ctypes
import sys

from kinetics_i3d.core.errors import DatasetError


def file_systems(scheme, *, asked):
    """TensorFlow's file systems, with one for a scheme among them.

    Args:
        scheme: Such as `"s3"`.
        asked: The address that is to be read, for the error.

    Returns:
        The module `tf.io.gfile`.

    Raises:
        DatasetError: If neither TensorFlow nor tensorflow-io has a file system for it.

    Example:

    >>> file_systems("ram", asked="ram://records").__name__.rpartition(".")[2]
    'gfile'
    """
    import tensorflow as tf

    if scheme not in tf.io.gfile.get_registered_schemes():
        with contextlib.suppress(ImportError):
            import tensorflow_io  # noqa: F401 - the import registers them
        if scheme not in tf.io.gfile.get_registered_schemes():
            raise DatasetError(
                f"{asked}: TensorFlow {tf.__version__} has no file system for {scheme}:// here; on "
                "Python 3.11 and 3.12 `pip install kinetics-i3d[io]` brings tensorflow-io and the "
                "TensorFlow 2.16 that it is made for"
            )
    if "tensorflow_io" in sys.modules:
        atexit.unregister(leave_before_destructors)  # once is enough
        atexit.register(leave_before_destructors)
    return tf.io.gfile


def leave_before_destructors():
    """Lets this process end with its own exit code, on Linux, once Python has cleared up.

    What tensorflow-io destroys after that aborts (https://github.com/tensorflow/io/issues/1912):
    a training that went well would end as one that was killed.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        # The last to be registered is the first to be called, and with the exit code.
        libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)
