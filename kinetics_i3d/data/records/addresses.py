"""`Address`: a place behind a scheme, such as s3://bucket/records, read as a `pathlib.Path` is.

By TensorFlow's file systems: https://www.tensorflow.org/api_docs/python/tf/io/gfile.
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

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")  # two letters or more: C:// is a disk


def path_or_address(path):
    """Where something lies: here, or behind a scheme.

    Args:
        path: A path, an address such as `"s3://bucket/records"`, or what this function gave.

    Returns:
        A `pathlib.Path`, or an `Address`.

    Example:

    >>> path_or_address("s3://bucket/records") / "manifest.json"
    Address(text='s3://bucket/records/manifest.json')
    """
    if isinstance(path, Address):
        return path
    text = os.fspath(path)
    # A pathlib.Path would make one slash of two.
    return Address(text) if SCHEME.match(text) else pathlib.Path(text)


@dataclasses.dataclass(frozen=True)
class Address:
    """What reading needs of a `pathlib.Path`, by TensorFlow's file systems.

    Nothing is asked of a file system before a method needs it. What fails there, but for a file
    that does not exist, is a `DatasetError` that names the address.

    Args:
        text: With its scheme.
    """

    text: str

    def __str__(self):
        return self.text

    def __truediv__(self, name):
        return Address(f"{self.text.rstrip('/')}/{name}")

    @property
    def scheme(self):
        """Such as `"s3"`."""
        return SCHEME.match(self.text)[1].lower()

    @property
    def name(self):
        """What follows the last slash."""
        return self.text.rstrip("/").rpartition("/")[2]

    def is_file(self):
        """Whether a file is there."""
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
        """The whole file as text."""
        with self.open() as file:
            return file.read().decode(encoding)

    @contextlib.contextmanager
    def open(self, mode="rb"):
        """The file, of which `read` gives bytes; it is closed where the block ends."""
        with self._read() as files, files.GFile(self.text, mode) as file:
            yield file

    @contextlib.contextmanager
    def _read(self):
        """`tf.io.gfile`, whose errors come out as one line."""
        import tensorflow as tf

        files = file_systems(self.scheme, asked=self)
        try:
            yield files
        except tf.errors.OpError as error:
            raise DatasetError(f"{self}: cannot be read ({first_line(error)})") from error


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
