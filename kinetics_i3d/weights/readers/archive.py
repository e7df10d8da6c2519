"""`Archive`: a zip file that is distrusted: sizes, names and doubles are checked before reading.

PyTorch's and Keras' files are zip archives; every member has a CRC, which zipfile verifies.
"""

import contextlib
import pathlib
import zipfile
import zlib

from kinetics_i3d.core.errors import WeightsError, first_line

MAX_TOTAL = 2**32
MAX_RATIO = 200  # trained weights hardly shrink at all; deflate can reach 1032
SMALL = 2**20  # below this a ratio says nothing
MAX_MEMBERS = 100_000
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,  # compression or a version that zipfile does not know
    RuntimeError,  # encrypted
    EOFError,
    OSError,
    ValueError,
    OverflowError,
)


class Archive:
    """A zip file's members by name.

    Args:
        file: An open `zipfile.ZipFile`.
        path: Where it lies, for errors.
    """

    def __init__(self, file, path):
        self._file, self._path = file, path
        infos = file.infolist()
        self.sizes = {info.filename: info.file_size for info in infos}
        for name in self.sizes:
            parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
            if ".." in parts or parts[:1] == ("/",):
                raise WeightsError(f"{path}: a member's name leaves the archive: {name!r}")
        if len(self.sizes) != len(infos) or len(infos) > MAX_MEMBERS:
            raise WeightsError(f"{path}: the archive has two members of one name, or too many")
        total = sum(self.sizes.values())
        if total > MAX_TOTAL:
            raise WeightsError(f"{path}: would unpack to {total / 2**30:.1f} GiB; 4 are read")
        for info in infos:
            if info.file_size > SMALL and info.file_size > MAX_RATIO * info.compress_size:
                raise WeightsError(
                    f"{path}: {info.filename} would unpack to more than {MAX_RATIO} times its "
                    "size, which weights do not"
                )

    def read(self, name, limit=MAX_TOTAL):
        """A member's bytes, with its CRC verified.

        Args:
            name: The member's whole name.
            limit: The most bytes that make sense.

        Raises:
            WeightsError: If there is none, it is larger, or it is damaged.
        """
        if name not in self.sizes:
            raise WeightsError(f"{self._path}: the archive has no {name!r}")
        if self.sizes[name] > limit:
            raise WeightsError(f"{self._path}: {name} has {self.sizes[name]} bytes, too many")
        try:
            data = self._file.read(name)
        except DAMAGE as error:
            raise WeightsError(f"{self._path}: {name} is damaged ({first_line(error)})") from error
        if len(data) != self.sizes[name]:
            raise WeightsError(f"{self._path}: {name} is cut short")
        return data


@contextlib.contextmanager
def open_archive(path):
    """Opens a zip file.

    Args:
        path: The file.

    Yields:
        An `Archive`.

    Raises:
        WeightsError: If it is no zip file, or one that nobody should unpack.
    """
    try:
        file = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise WeightsError(f"{path}: not a whole zip archive ({first_line(error)})") from error
    with file:
        yield Archive(file, path)
