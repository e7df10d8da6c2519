"""`Archive`: an untrusted zip file, whose sizes and names are checked before it is read.

PyTorch and Keras files are zip archives; every member has a CRC, which `zipfile` verifies.
"""

import contextlib
import gzip
import pathlib
import re
import shutil
import tarfile
import tempfile
import typing
import zipfile

from kinetics_i3d.core.errors import DAMAGE, WeightsError, first_line

_MAX_TOTAL = 2**32
_MAX_RATIO = 200  # trained weights hardly compress; deflate can reach 1032
_SMALL = 2**20  # bytes; the ratio of smaller members is not checked
_MAX_MEMBERS = 100_000


class Archive:
    """The members of a zip file, by name.

    Args:
        file: An open `zipfile.ZipFile`.
        path: Its path, for errors.
    """

    def __init__(self, file, path):
        self._file, self._path = file, path
        infos = file.infolist()
        self.sizes = {info.filename: info.file_size for info in infos}
        for name in self.sizes:
            parts = pathlib.PurePosixPath(name.replace("\\", "/")).parts
            if ".." in parts or parts[:1] == ("/",):
                raise WeightsError(f"{path}: a member's path leads out of the archive: {name!r}")
        if len(self.sizes) != len(infos) or len(infos) > _MAX_MEMBERS:
            raise WeightsError(f"{path}: the archive has duplicate names, or too many members")
        total = sum(self.sizes.values())
        if total > _MAX_TOTAL:
            raise WeightsError(f"{path}: unpacks to {total / 2**30:.1f} GiB; at most 4 are read")
        for info in infos:
            if info.file_size > _SMALL and info.file_size > _MAX_RATIO * info.compress_size:
                raise WeightsError(
                    f"{path}: {info.filename} would unpack to more than {_MAX_RATIO} times its "
                    "size, which weights do not"
                )

    def read(self, name, limit=_MAX_TOTAL):
        """Reads the bytes of a member and verifies its CRC.

        Args:
            name: Full name of the member.
            limit: Maximum number of bytes.

        Raises:
            WeightsError: If there is no such member, or it is too large or damaged.
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
            raise WeightsError(f"{self._path}: {name} is truncated")
        return data


@contextlib.contextmanager
def open_archive(path):
    """Opens a zip file for reading.

    Args:
        path: The file.

    Yields:
        An `Archive`.

    Raises:
        WeightsError: If it is not a zip file, or unsafe to unpack.
    """
    try:
        file = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise WeightsError(f"{path}: not a complete zip archive ({first_line(error)})") from error
    with file:
        yield Archive(file, path)


_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_MAX_TAR_TOTAL = 2**31
_MAX_TAR_MEMBERS = 1000
_MAX_TAR_READ = 2**20
_CHECKPOINT = re.compile(r"([\w.-]+\.ckpt)(\.index|\.data-\d{5}-of-\d{5})?")


_NO_TAR = (b"PK\x03\x04", b"\x80", b"\x89HDF")  # PyTorch's model_best.pth.tar is none


def is_tar(path):
    """Whether a file has the suffix of a tar archive, and does not begin like another format."""
    path = pathlib.Path(path)
    if not path.is_file() or not path.name.lower().endswith(_TAR_SUFFIXES):
        return False
    with path.open("rb") as file:
        return not file.read(4).startswith(_NO_TAR)


class _SmallReads:
    """A file whose reads are small: `tarfile` reads the headers of long names at once."""

    def __init__(self, file, path):
        self._file, self._path = file, path

    def read(self, size=-1):
        if not 0 <= size <= _MAX_TAR_READ:
            raise WeightsError(f"{self._path}: has a header of {size} bytes, too many")
        return self._file.read(size)

    def seek(self, *arguments):
        return self._file.seek(*arguments)

    def tell(self):
        return self._file.tell()


@contextlib.contextmanager
def _open_tar(path):
    """Opens a `tarfile.TarFile`, compressed by gzip or not at all, in a `with` block."""
    with open(path, "rb") as file:
        opens = gzip.open if file.read(2) == b"\x1f\x8b" else open
    with (
        opens(path, "rb") as file,
        tarfile.open(
            fileobj=typing.cast(typing.Any, _SmallReads(file, path)), mode="r:"
        ) as archive,
    ):
        yield archive


@contextlib.contextmanager
def checkpoint_in_tar(path):
    """Unpacks the files of a checkpoint into a temporary folder, and nothing else.

    Folders in names are dropped and links are skipped, so nothing is written outside.

    Args:
        path: A `.tar`, `.tar.gz` or `.tgz` file.

    Yields:
        The prefix of the checkpoint.

    Raises:
        WeightsError: If the archive is damaged, holds no checkpoint, or is too large. An error that
            reading the checkpoint raises names the archive instead of the folder.
    """
    path = pathlib.Path(path)
    with tempfile.TemporaryDirectory() as folder:
        total, seen = 0, set()
        try:
            with _open_tar(path) as archive:
                for number, member in enumerate(archive):
                    name = member.name.replace("\\", "/").rsplit("/", 1)[-1]
                    if number >= _MAX_TAR_MEMBERS:
                        raise WeightsError(f"{path}: has more than {_MAX_TAR_MEMBERS} members")
                    total += member.size
                    if total > _MAX_TAR_TOTAL:
                        raise WeightsError(
                            f"{path}: would unpack to more than {_MAX_TAR_TOTAL / 2**30:.0f} GiB"
                        )
                    if not member.isreg() or not _CHECKPOINT.fullmatch(name):
                        continue
                    if name in seen:
                        raise WeightsError(f"{path}: {name} occurs twice")
                    seen.add(name)
                    with open(pathlib.Path(folder, name), "wb") as file:
                        shutil.copyfileobj(archive.extractfile(member), file)
        except (tarfile.TarError, *DAMAGE) as error:
            raise WeightsError(f"{path}: not a complete tar file ({first_line(error)})") from error
        prefixes = {_CHECKPOINT.fullmatch(name)[1] for name in seen}
        if len(prefixes) != 1:
            names = ", ".join(sorted(prefixes)) or "none"
            raise WeightsError(
                f"{path}: a tar archive must hold one checkpoint, *.ckpt; has {names}"
            )
        prefix = pathlib.Path(folder, prefixes.pop())
        try:
            yield prefix
        except WeightsError as error:  # names a temporary file that no longer exists
            raise WeightsError(str(error).replace(str(prefix), f"{path}: {prefix.name}")) from error
