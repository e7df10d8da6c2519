"""`Address`: a path with a scheme, such as s3://bucket/records, read like a `pathlib.Path`.

TensorFlow's file systems: https://www.tensorflow.org/api_docs/python/tf/io/gfile, and those that
tensorflow-io adds, https://github.com/tensorflow/io. Its last release, 0.37, is for TensorFlow
2.16.
"""

import atexit
import contextlib
import ctypes
import dataclasses
import os
import pathlib
import re
import sys
import types

from kinetics_i3d.core.errors import DatasetError, first_line

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters or more: C:// is a drive


def path_or_address(path):
    """A `pathlib.Path`, or an `Address` if the path has a scheme.

    Example:

    >>> path_or_address("s3://bucket/records") / "manifest.json"
    Address(text='s3://bucket/records/manifest.json')
    """
    if isinstance(path, Address):
        return path
    text = os.fspath(path)
    # pathlib.Path would collapse the two slashes.
    return Address(text) if SCHEME.match(text) else pathlib.Path(text)


@dataclasses.dataclass(frozen=True)
class Address:
    """A read-only subset of `pathlib.Path` for TensorFlow's file systems.

    No file system is accessed before a method needs it. Failures raise a `DatasetError` that names
    the address; for a missing file, `is_file` returns False.

    Args:
        text: The address with its scheme.
    """

    text: str

    def __str__(self):
        return self.text

    def __truediv__(self, name):
        return Address(f"{self.text.rstrip('/')}/{name}")

    @property
    def scheme(self):
        """The part before `://`, in lower case."""
        return SCHEME.match(self.text)[1].lower()

    @property
    def name(self):
        """The part after the last slash."""
        return self.text.rstrip("/").rpartition("/")[2]

    def is_file(self):
        """Whether the file exists."""
        import tensorflow as tf

        with self._read() as files:
            try:
                return not files.stat(self.text).is_directory
            except tf.errors.NotFoundError:
                return False

    def stat(self):
        """An object with `st_size`, the number of bytes."""
        with self._read() as files:
            return types.SimpleNamespace(st_size=files.stat(self.text).length)

    def read_text(self, encoding="utf-8"):
        """The content of the file as text."""
        with self.open() as file:
            return file.read().decode(encoding)

    @contextlib.contextmanager
    def open(self, mode="rb"):
        """Opens the file, whose `read` returns bytes, for a `with` block."""
        with self._read() as files, files.GFile(self.text, mode) as file:
            yield file

    @contextlib.contextmanager
    def _read(self):
        """Yields `tf.io.gfile`, and turns its errors into one line."""
        import tensorflow as tf

        files = file_systems(self.scheme, address=self)
        try:
            yield files
        except tf.errors.OpError as error:
            raise DatasetError(f"{self}: cannot be read ({first_line(error)})") from error


def file_systems(scheme, *, address):
    """`tf.io.gfile` with a file system for a scheme, which is loaded if needed.

    Args:
        scheme: Such as `"s3"`.
        address: The address to read, for the error.

    Raises:
        DatasetError: If neither TensorFlow nor tensorflow-io has a file system for the scheme.
    """
    import tensorflow as tf

    if scheme not in tf.io.gfile.get_registered_schemes():
        with contextlib.suppress(ImportError):
            import tensorflow_io  # noqa: F401 - registers them
        if scheme not in tf.io.gfile.get_registered_schemes():
            raise DatasetError(
                f"{address}: TensorFlow {tf.__version__} has no file system for {scheme}://; on "
                "Python 3.11 and 3.12 `pip install 'kinetics-i3d[io]'` installs tensorflow-io and "
                "TensorFlow 2.16, for which it was built"
            )
    if "tensorflow_io" in sys.modules:
        atexit.unregister(leave_before_destructors)  # once is enough
        atexit.register(leave_before_destructors)
    return tf.io.gfile


def leave_before_destructors():
    """On Linux, ends this process with its exit code once Python has cleaned up.

    The destructors of tensorflow-io abort (https://github.com/tensorflow/io/issues/1912), so a
    successful training would end like one that crashed.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        # The function registered last is called first, with the exit code.
        libc.on_exit(ctypes.cast(libc._exit, ctypes.c_void_p), None)
