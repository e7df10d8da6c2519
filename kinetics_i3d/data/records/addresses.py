"""`Address`: a place behind a scheme, such as s3://bucket/records, read as a `pathlib.Path` is.

By TensorFlow's file systems: https://www.tensorflow.org/api_docs/python/tf/io/gfile.
"""

import contextlib
import dataclasses
import os
import pathlib
import re
import types

from kinetics_i3d.core.errors import DatasetError, first_line
from kinetics_i3d.data.records.file_systems import file_systems

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
