"""`find_inputs`: the videos of a folder, a list or an address; `remote_identity`: their content."""

import os
import pathlib
import posixpath

from kinetics_i3d.core.errors import UserError, VideoError, first_line
from kinetics_i3d.data.datasets import SHOWN, find_videos
from kinetics_i3d.data.records.addresses import SCHEME
from kinetics_i3d.flow.info import file_fingerprint
from kinetics_i3d.inference.feature_metadata import file_identity
from kinetics_i3d.scale.storage import Storage, open_storage
from kinetics_i3d.video.source import is_video_name
from kinetics_i3d.video.span import split_span


def find_inputs(source):
    """Lists the videos that a path or an address names.

    Args:
        source: A path, as `find_videos` takes it; or the address of a video or of a folder, which
            is searched with all its subfolders.

    Returns:
        (storage, names): the `Storage` of the folder that contains all videos, and their names in
        it, sorted, each with its span where it has one.

    Raises:
        UserError: If there is no video, or the address cannot be read.
    """
    source = os.fspath(source)
    if SCHEME.match(source):
        return _at_address(source)
    root, paths = find_videos(source)
    storage = open_storage(os.path.abspath(root))
    folder = pathlib.Path(os.path.abspath(root))
    names = [pathlib.Path(os.path.abspath(path)).relative_to(folder).as_posix() for path in paths]
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
    return is_video_name(name) and not name.endswith(SHOWN) and not hidden


def remote_identity(source, video):
    """The `video_identity` of a file of a `Storage`, of which both ends are read.

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
