"""The released checkpoints: their files, and which of them are complete in a cache.

https://github.com/google-deepmind/kinetics-i3d. The only published checksums of these files are
their git blob ids. Files of other publishers are verified by a SHA-256, or by a function that
checks their content.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pathlib
from collections.abc import Callable

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.json_objects import parse_object

COMMIT = "0667e889a5904b4dc122e0ded4c332f49f8df42c"
ADDRESS = (
    f"https://raw.githubusercontent.com/google-deepmind/kinetics-i3d/{COMMIT}/data/checkpoints"
)
PREFIX = "model.ckpt"
CACHE = "KINETICS_I3D_CACHE"
STAMPS = "verified.json"
MAX_UNKNOWN = 200_000_000  # bytes of a file whose size is not published


@dataclasses.dataclass(frozen=True)
class ReleasedFile:
    """One file of a release.

    Args:
        name: File name.
        size: Size in bytes, or `None` if not published.
        blob: Its git blob id, 40 hexadecimal digits.
        sha256: Its SHA-256, 64 hexadecimal digits, if there is no blob id.
        check: For a file without a checksum: a function of the path that raises `WeightsError` if
            the content is wrong.
        limit: Maximum number of bytes to download of a file of unknown size.

    Raises:
        ValueError: Unless exactly one of `blob`, `sha256` and `check` is given.
    """

    name: str
    size: int | None
    blob: str | None = None
    sha256: str | None = None
    check: Callable[[pathlib.Path], None] | None = None
    limit: int = MAX_UNKNOWN

    def __post_init__(self):
        is_set = [value is not None for value in (self.blob, self.sha256, self.check)]
        if sum(is_set) != 1:
            raise ValueError(
                "Exactly one of `blob`, `sha256` and `check` must be given. "
                f"Received: blob={self.blob!r}, sha256={self.sha256!r}, check={self.check!r}"
            )

    @property
    def checksum(self):
        """The checksum, or `None` if the content is checked."""
        return self.blob or self.sha256

    def mismatch(self, path):
        """Reads a file and describes why it is not this one.

        Args:
            path: The file, under any name.

        Returns:
            A clause for an error message, or `None` if the file is verified.

        Raises:
            OSError: If it cannot be read.
        """
        if self.check is not None:
            try:
                self.check(path)
            except WeightsError as error:
                return str(error).removeprefix(f"{path}: ")
            return None
        kind, actual = ("git blob id", blob_id(path)) if self.blob else ("SHA-256", sha256(path))
        return None if actual == self.checksum else f"its {kind} is {actual}, not {self.checksum}"


@dataclasses.dataclass(frozen=True)
class Release:
    """The files of one released checkpoint, or one archive.

    Args:
        folder: Its folder at the source; empty if the files are at the source itself.
        files: `ReleasedFile`s: the two files of a checkpoint, or one archive.
        address: Its public address.
    """

    folder: str
    files: tuple
    address: str = dataclasses.field(default=ADDRESS, kw_only=True)

    @property
    def size(self):
        """Size of all files in bytes, or `None` if unknown."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(sizes)

    @property
    def main(self):
        """The prefix of the checkpoint, or the name of the archive."""
        return self.files[0].name if len(self.files) == 1 else PREFIX

    @property
    def verified_by(self):
        """How a download is verified: `"git blob id"`, `"sha256"` or `"shapes"`."""
        first = self.files[0]
        return "git blob id" if first.blob else "sha256" if first.sha256 else "shapes"

    def address_of(self, source, *names):
        """The address of a file below a source, or of the release itself."""
        return "/".join(part for part in (source, self.folder, *names) if part)

    @property
    def checksums(self):
        """{tensor name without prefix: masked CRC-32C} from the index of the checkpoint.

        Only for releases that are also available in another format.
        """
        table = pathlib.Path(__file__).with_name(f"{self.folder}_crc32c.tsv")
        _, *rows = table.read_text(encoding="utf-8").splitlines()
        return {name: int(crc, 16) for name, crc in (row.split("\t") for row in rows)}


# folder: (bytes, blob id) of the index, then of the data
_FILES = {
    "rgb_imagenet": (
        (10_953, "5ab1058b8f4f89a896c01f67c0a4c96a31548af7"),
        (50_818_176, "2958652e0c9c48a65010c0ebda5c9cfd4edc7c18"),
    ),
    "flow_imagenet": (
        (10_968, "8217f9450d851d24782aaf1af01c5c3b35b81a35"),
        (50_730_368, "bf56831f663abc3de0d35f193030b73a3df7fb61"),
    ),
    "rgb_scratch": (
        (10_953, "84dd4518e982d9ca6ce1ff02e95fca2e8cbb1f73"),
        (50_818_176, "fa7df95674dbf3579e7fccd954e51e706b4734c1"),
    ),
    "flow_scratch": (
        (10_968, "193bc425100f3978c793da66bd9eb54baea8dc6a"),
        (50_730_368, "1d6a0b68f32544af11111342857e47e30d13afa9"),
    ),
    "rgb_scratch_kin600": (
        (19_632, "d378d8f01215fe92a29cd170f040c284070e9cd5"),
        (103_218_112, "6392a74c3180e706cabada39d8f40a50a48642e5"),
    ),
}
_NAMES = (f"{PREFIX}.index", f"{PREFIX}.data-00000-of-00001")

RELEASES = {
    folder: Release(
        folder, tuple(ReleasedFile(name, *row) for name, row in zip(_NAMES, rows, strict=True))
    )
    for folder, rows in _FILES.items()
}


def cache_folder(cache=None):
    """The folder of downloads, with one subfolder per row of the catalog.

    Args:
        cache: A folder; by default the environment variable `KINETICS_I3D_CACHE`, else
            `kinetics_i3d` in the user's cache folder.

    Returns:
        A `pathlib.Path`, which may not exist.

    Raises:
        WeightsError: If no folder is given and the user has no home folder.

    Example:

    >>> cache_folder(folder) == folder
    True
    """
    named = cache or os.environ.get(CACHE)
    try:
        if named:
            return pathlib.Path(named).expanduser()
        base = pathlib.Path(os.environ.get("XDG_CACHE_HOME", ""))
        # The XDG specification ignores relative paths, including the empty one.
        return (base if base.is_absolute() else pathlib.Path.home() / ".cache") / "kinetics_i3d"
    except RuntimeError as error:
        raise WeightsError(f"{error}; set {CACHE} to a folder for downloads") from error


def blob_id(path):
    """The git blob id of a file: the SHA-1 of its size and content.

    Args:
        path: The file.

    Returns:
        40 hexadecimal digits.

    Example:

    >>> _ = (folder / "empty").write_bytes(b"")
    >>> blob_id(folder / "empty")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    digest = hashlib.sha1(usedforsecurity=False)
    with open(path, "rb") as file:
        digest.update(b"blob %d\0" % os.fstat(file.fileno()).st_size)
        for chunk in iter(functools.partial(file.read, 1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def sha256(path):
    """The SHA-256 of a file, as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def missing_files(folder, release):
    """The files of a release that are missing or damaged in a folder.

    A verified file has a stamp with its size and time, and is not read again. Other files are
    verified, and stamped if the folder is writable.

    Args:
        folder: The cache's folder of this release.
        release: A `Release`.

    Returns:
        A list of the `ReleasedFile`s that are missing or damaged.

    Raises:
        WeightsError: If a file cannot be read.
    """
    folder = pathlib.Path(folder)
    stamps, new_stamps, absent = _read_stamps(folder), {}, []
    for file in release.files:
        path = folder / file.name
        stamp = _stamp(path, file)
        if stamp is None:
            absent.append(file)
        elif stamps.get(file.name) != stamp:
            try:
                whole = file.mismatch(path) is None
            except OSError as error:
                raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
            if whole:
                new_stamps[file.name] = stamp
            else:
                absent.append(file)
    if new_stamps:
        # A read-only cache is verified each time.
        with contextlib.suppress(OSError), atomic_path(folder / STAMPS) as temporary:
            temporary.write_text(json.dumps(stamps | new_stamps))
    return absent


def state(folder, release):
    """The state of a release in a folder, without reading the files.

    Args:
        folder: The cache's folder of this release.
        release: A `Release`.

    Returns:
        `"cached"`, `"to verify"` if sizes are right but a stamp is missing, or `"to download"`.
    """
    folder = pathlib.Path(folder)
    stamps = _read_stamps(folder)
    cached_stamps = {file.name: _stamp(folder / file.name, file) for file in release.files}
    if None in cached_stamps.values():
        return "to download"
    cached = all(stamps.get(name) == stamp for name, stamp in cached_stamps.items())
    return "cached" if cached else "to verify"


def _stamp(path, file):
    """The stamp of a verified file; `None` if it is missing or has a wrong size."""
    try:
        status = path.stat()
    except OSError:
        return None
    right = file.size in (None, status.st_size)
    return [file.checksum, status.st_size, status.st_mtime_ns] if right else None


def _read_stamps(folder):
    try:
        return parse_object((folder / STAMPS).read_text())
    except (OSError, ValueError):
        return {}
