"""`Storage`: a local folder, or an address such as s3://bucket/videos.

It uses the file systems of Arrow, https://arrow.apache.org/docs/python/filesystems.html. Each reads
credentials as its documentation says, such as `AWS_ACCESS_KEY_ID` or
`GOOGLE_APPLICATION_CREDENTIALS`.
"""

import contextlib
import dataclasses
import importlib.util
import os
import pathlib
import posixpath
import re
import tempfile
import typing
import uuid

from kinetics_i3d.core.errors import UserError, VideoError, first_line
from kinetics_i3d.core.files import path_below
from kinetics_i3d.data.datasets import FLOW_VIDEO_SUFFIX, find_videos
from kinetics_i3d.data.records.addresses import SCHEME
from kinetics_i3d.flow.info import file_fingerprint
from kinetics_i3d.flow.stored import possible_paths
from kinetics_i3d.inference.feature_metadata import file_identity
from kinetics_i3d.video.source import is_video_name
from kinetics_i3d.video.span import split_span

# Here a file becomes visible only when it is complete; elsewhere it is written under another name
# and renamed.
OBJECT_STORES = ("s3", "gcs", "abfs")
_PART = 16 << 20  # bytes of a download at a time


@dataclasses.dataclass(frozen=True)
class Storage:
    """A folder of a local or remote file system.

    Args:
        files: A `pyarrow.fs.FileSystem`.
        folder: The path of the folder in it.
        address: The address of the folder, as given by the user.
    """

    files: typing.Any
    folder: str
    address: str

    def __str__(self):
        return self.address

    @property
    def is_local(self):
        """Whether it is a local path."""
        return self.files.type_name == "local"

    def path(self, name):
        """The path of a file in the file system, by its name in the folder."""
        return posixpath.join(self.folder, name)

    def exists(self, name):
        """Whether there is a file of this name."""
        import pyarrow.fs

        (info,) = self.files.get_file_info([self.path(name)])
        return info.type == pyarrow.fs.FileType.File

    def names(self, folder=""):
        """The names of all files in a subfolder, recursively and sorted."""
        import pyarrow.fs

        root = self.path(folder) if folder else self.folder
        selector = pyarrow.fs.FileSelector(root, allow_not_found=True, recursive=True)
        infos = self.files.get_file_info(selector)
        paths = [info.path for info in infos if info.type == pyarrow.fs.FileType.File]
        start = len(posixpath.join(self.folder, ""))
        return sorted(path[start:] for path in paths)

    def open(self, name):
        """Opens a seekable file for reading, for a `with` block."""
        return self.files.open_input_file(self.path(name))

    def read(self, name):
        """The bytes of a file."""
        with self.open(name) as file:
            return file.read()

    def write(self, name, data):
        """Writes a file atomically.

        Raises:
            UserError: If it cannot be written.
        """
        path = self.path(name)
        try:
            if self.files.type_name in OBJECT_STORES:
                self._put(path, data)
                return
            folder, base = posixpath.split(path)
            if folder:
                self.files.create_dir(folder, recursive=True)
            temporary = posixpath.join(folder, f".{base}-{uuid.uuid4().hex}")
            try:
                self._put(temporary, data)
                self.files.move(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    self.files.delete_file(temporary)
                raise
        except OSError as error:
            raise UserError(f"{self}/{name}: cannot be written ({first_line(error)})") from error

    def _put(self, path, data):
        with self.files.open_output_stream(path) as file:
            file.write(data)

    def download(self, name, path):
        """Copies a file to a local path."""
        with self.open(name) as source, open(path, "wb") as target:
            while part := source.read(_PART):
                target.write(part)

    @contextlib.contextmanager
    def local_video(self, name, *, flow_spec=None):
        """Yields the local path of a video.

        Args:
            name: Its name in the folder, with or without a span.
            flow_spec: The `ClipSpec` of the stored flow to download too; None downloads no flow.

        Raises:
            VideoError: If the video cannot be read.
        """
        if self.is_local:
            yield self.path(name)
            return
        file, span = split_span(name)
        with tempfile.TemporaryDirectory(prefix="kinetics-i3d-") as folder:
            try:
                copy = pathlib.Path(folder) / posixpath.basename(file)
                self.download(file, copy)
                if flow_spec is not None:
                    for path in possible_paths(name, flow_spec):
                        if self.exists(path.as_posix()):
                            self.download(path.as_posix(), copy.with_name(path.name))
            except FileNotFoundError as error:
                raise VideoError(f"{self}/{name}: there is no such file") from error
            except OSError as error:
                raise VideoError(f"{self}/{name}: cannot be read ({first_line(error)})") from error
            yield os.fspath(copy) if span is None else span.located(copy)


def open_storage(address):
    """The `Storage` of a local path, or of an address with a scheme.

    Raises:
        UserError: If Arrow is missing, or has no file system for the scheme.
    """
    require("pyarrow")
    import pyarrow
    import pyarrow.fs

    text = os.fspath(address)
    if not SCHEME.match(text):
        files = pyarrow.fs.LocalFileSystem()
        return Storage(files, pathlib.Path(os.path.abspath(text)).as_posix(), text)
    shown = without_secrets(text)
    try:
        files, folder = pyarrow.fs.FileSystem.from_uri(text)
    except (pyarrow.ArrowException, ValueError, OSError) as error:
        reason = first_line(error).replace(text, shown)
        raise UserError(f"{shown}: not an address that Arrow reads ({reason})") from error
    return Storage(files, folder, shown.rstrip("/"))


def without_secrets(address):
    """An address without its query, which may hold keys, and without a user and password.

    A secret key of S3 may contain a slash. `abfs://container@account` holds no secret.
    """
    address = address.split("?")[0]
    if address.startswith(("s3:", "gs:", "gcs:")):
        address = re.sub("://[^/@:]*:[^@]*@", "://", address)
    user = "[^/@:]*:" if address.startswith("abfs") else ""
    return re.sub(f"://{user}[^/@]*@", "://", address)


def require(*packages):
    """Raises `UserError` unless the packages of the extra `scale` are installed."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"scale needs {' and '.join(missing)}: pip install 'kinetics-i3d[scale]', on every node"
        )


def find_inputs(source):
    """Lists the videos that a path or an address names.

    Args:
        source: A path, as `find_videos` takes it; or the address of a video or of a folder, which
            is searched with all its subfolders.

    Returns:
        (storage, names): the `Storage` of the folder that contains all videos, and their names in
        it, sorted or in the order of the list, each with its span where it has one.

    Raises:
        UserError: If there is no video, or the address cannot be read.
    """
    source = os.fspath(source)
    if SCHEME.match(source):
        return _at_address(source)
    root, paths = find_videos(source)
    storage = open_storage(os.path.abspath(root))
    folder = pathlib.Path(os.path.abspath(root))
    names = [path_below(os.path.abspath(path), folder).as_posix() for path in paths]
    return storage, list(dict.fromkeys(names))


def _at_address(source):
    import pyarrow.fs

    file, span = split_span(source)
    storage = open_storage(file)
    try:
        (info,) = storage.files.get_file_info([storage.folder])
        if info.type == pyarrow.fs.FileType.File:
            folder, name = posixpath.split(storage.folder)
            parent = Storage(storage.files, folder, posixpath.split(storage.address)[0])
            return parent, [name if span is None else span.located(name)]
        if info.type == pyarrow.fs.FileType.NotFound:
            raise UserError(f"{source}: there is no such file or folder")
        videos = [name for name in storage.names() if _is_input(name)]
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({first_line(error)})") from error
    if not videos:
        raise UserError(f"{source}: no video in this folder")
    return storage, videos


def _is_input(name):
    hidden = any(part.startswith(".") for part in name.split("/"))
    return is_video_name(name) and not name.endswith(FLOW_VIDEO_SUFFIX) and not hidden


def remote_identity(source, video):
    """The `video_identity` of a file of a `Storage`; only both ends of the file are read.

    Raises:
        VideoError: If it cannot be read.
    """
    file, span = split_span(video)
    try:
        with source.open(file) as opened:
            return file_identity(file, span, file_fingerprint(opened))
    except FileNotFoundError as error:
        raise VideoError(f"{source}/{video}: there is no such file") from error
    except OSError as error:
        raise VideoError(f"{source}/{video}: cannot be read ({first_line(error)})") from error
