"""`write_flow_file`, `open_flow`: the flow of a video in a file, with all that it depends on.

A zip of .npy files, so that `numpy.load` opens it too: `about`, JSON as text, and `flow_000000`,
`flow_000032`, ..., uint8 codes (flows, height, width, 2) of 32 flows each, named by their first.
"""

import importlib.metadata
import io
import math
import os
import pathlib
import zipfile
import zlib

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import UserError, first_line
from kinetics_i3d.core.files import atomic_path, parse_npy
from kinetics_i3d.flow.compute import read_both
from kinetics_i3d.flow.info import CHUNK, FlowInfo, fingerprint, flow_path, path_for, reading
from kinetics_i3d.flow.quantization import decode_flow
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.span import split_span

LEVEL = 4  # of deflate; 1 is a third larger, 6 takes three times as long for a tenth less
HEAD = 1024  # bytes that an array's own header has at most
DAMAGE = (
    EOFError,
    KeyError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


class FlowFileError(UserError):
    """A flow file is missing or damaged, or holds another flow than is asked for."""


def free_path(path, spec):
    """The name that flow by a spec gets: the usual one, unless flow by another spec has it.

    Args:
        path: The usual name.
        spec: A `ClipSpec`.

    Returns:
        `path` or `path_for(path, spec)`.
    """
    try:
        with FlowFile(path) as file:
            other = file.info.differences(spec=spec)
    except FlowFileError:  # missing or damaged
        return path
    return path_for(path, spec) if other else path


def write_flow_file(
    video, path=None, *, spec=DEEPMIND_FLOW, settings=None, workers=None, progress=None
):
    """Computes the flow of a video into a file, which appears whole or not at all.

    The same video and settings give the same bytes, with the same zlib.

    Args:
        video: A local video file, with a span behind it or not.
        path: Where to; None is `flow_path(video)`, or `flow_path(video, spec)` where the flow by
            another spec has that name.
        spec: A `ClipSpec`: how frames are sampled and resized. They are not cropped.
        settings: A `FlowSettings`; None is the release's.
        workers: As for `read_flow`.
        progress: Called with the number of flows done after each.

    Returns:
        The `FlowInfo`.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is wrong.
        VideoError: As `read_flow`.

    Example:

    >>> quick = FlowSettings("farneback")
    >>> write_flow_file(folder / "video.mp4", settings=quick).flows
    24
    """
    path = free_path(flow_path(video), spec) if path is None else path
    with atomic_path(path) as temporary:
        return write_flows(
            video, temporary, spec=spec, settings=settings, workers=workers, progress=progress
        )


def write_flows(video, file, *, spec=DEEPMIND_FLOW, settings=None, workers=None, progress=None):
    """As `write_flow_file`, straight into a file: what is left of it after an error is no use.

    Args:
        video: As for `write_flow_file`.
        file: A path.
        spec: As for `write_flow_file`.
        settings: As for `write_flow_file`.
        workers: As for `write_flow_file`.
        progress: As for `write_flow_file`.

    Returns:
        The `FlowInfo`.
    """
    settings = FlowSettings() if settings is None else settings
    source, span = split_span(video)
    known = {"name": pathlib.Path(source).name, **fingerprint(source)}
    pairs = read_both(video, spec=spec, settings=settings, workers=workers)
    size, count, chunk = None, 0, []
    try:
        with zipfile.ZipFile(file, "w") as archive:
            for frame, flow in pairs:
                size = frame.shape[:2]
                if flow is not None:
                    chunk.append(settings.encode(flow))
                    count += 1
                    if progress is not None:
                        progress(count)
                if len(chunk) == CHUNK or (flow is None and chunk):
                    _add(archive, _chunk_name(count - len(chunk)), np.stack(chunk))
                    chunk.clear()
            info = FlowInfo(
                settings=settings.settled(),
                reading=reading(spec),
                size=size,
                flows=count,
                video=known,
                version=importlib.metadata.version("kinetics-i3d"),
                span=span and (span.start, span.end),
            )
            _add(archive, "about", np.array(info.to_json()))
    finally:
        pairs.close()
    return info


def _add(archive, name, array):
    """Adds an array as numpy.savez does, but always with the same time and rights."""
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16  # Unix, wherever it runs
    archive.writestr(member, data.getbuffer(), zipfile.ZIP_DEFLATED, LEVEL)


def _chunk_name(first):
    return f"flow_{first:06d}"


def open_flow(path, *, video=None, spec=None, settings=None):
    """Opens a file of `write_flow_file`, and refuses one of another flow.

    Args:
        path: The file.
        video: The video whose flow it must be; None is any. It is known again by its size and by
            the bytes at both ends, and may have been renamed.
        spec: The `ClipSpec` that its frames must have been sampled and resized by; None is any.
        settings: The `FlowSettings` that it must have been computed and coded by, by any backend;
            None is any.

    Returns:
        A `FlowFile`; use it in a `with` block.

    Raises:
        FlowFileError: If it is missing, damaged, or another one; the line names what differs.
        VideoError: If `video` cannot be read.

    Example:

    >>> _ = write_flow_file(folder / "video.mp4", settings=FlowSettings("farneback"))
    >>> with open_flow(flow_path(folder / "video.mp4"), spec=DEEPMIND_FLOW) as flow:
    ...     len(flow), flow.clip(4, 20, size=224).shape
    (24, (16, 224, 224, 2))
    """
    file = FlowFile(path)
    try:
        differences = file.info.differences(video=video, spec=spec, settings=settings)
        if differences:
            raise FlowFileError(f"{file.path}: {'; '.join(differences.values())}")
    except UserError:
        file.close()
        raise
    return file


class FlowFile:
    """An open flow file; only the parts that are asked for are read.

    Args:
        path: The file.

    Attributes:
        info: Its `FlowInfo`.

    Raises:
        FlowFileError: If it is missing or damaged.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self._archive = None
        if not os.path.isfile(path):
            raise FlowFileError(f"{self.path}: no such flow file; kinetics-i3d flow makes it")
        try:
            self._archive = zipfile.ZipFile(path)
            about = self._read("about", None)
            self.info = FlowInfo.from_json(str(about))
            self._check_parts()
        except DAMAGE as error:
            self.close()
            raise self._damaged(error) from error

    def __len__(self):
        return self.info.flows

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Closes the file; nothing can be read after it."""
        if self._archive is not None:
            self._archive.close()

    def codes(self, start=0, stop=None):
        """The 8-bit codes of the flows from `start` up to `stop`, without that one.

        Args:
            start: The first, from 0.
            stop: The end; None is the file's.

        Returns:
            uint8 array (stop - start, height, width, 2), x then y.

        Raises:
            FlowFileError: If the file is damaged there.
            ValueError: If there are no such flows.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise ValueError(
                f"`start` and `stop` must be in order and 0 to {len(self)}. "
                f"Received: start={start!r}, stop={stop!r}"
            )
        codes = np.empty((stop - start, *self.info.size, 2), np.uint8)
        for first in range(start - start % CHUNK, stop, CHUNK):
            after = min(first + CHUNK, len(self))
            try:
                chunk = self._read(_chunk_name(first), (after - first, *self.info.size, 2))
            except DAMAGE as error:
                raise self._damaged(error) from error
            begin, end = max(start, first), min(stop, after)
            codes[begin - start : end - start] = chunk[begin - first : end - first]
        return codes

    def pixels(self, start=0, stop=None):
        """As `codes`, decoded: float32, in pixels, within the bound."""
        return decode_flow(self.codes(start, stop), self.info.settings.bound)

    def clip(self, start=0, stop=None, *, size=None):
        """As `codes`, decoded to what flow networks read.

        Args:
            start: As for `codes`.
            stop: As for `codes`.
            size: Pixels of a square in the middle; None is the whole flow.

        Returns:
            float32 array (stop - start, height, width, 2), -1 to 1.
        """
        codes = self.codes(start, stop)
        return decode_flow(codes if size is None else center_crop(codes, size))

    def check(self):
        """Reads all of the file, and raises `FlowFileError` where it is damaged."""
        for first in range(0, len(self), CHUNK):
            self.codes(first, min(first + CHUNK, len(self)))

    def _check_parts(self):
        """Holds the list of parts against what is told, before that much memory is asked for."""
        wanted = {
            f"{_chunk_name(first)}.npy": min(CHUNK, len(self) - first)
            * 2
            * math.prod(self.info.size)
            for first in range(0, len(self), CHUNK)
        }
        *parts, last = self._archive.infolist()
        if [part.filename for part in parts] != [*wanted] or last.filename != "about.npy":
            raise ValueError("parts are missing or too many")
        for part, size in zip(parts, wanted.values(), strict=True):
            if not size < part.file_size <= size + HEAD:
                raise ValueError(f"{part.filename} has {part.file_size} bytes")

    def _read(self, name, shape):
        """An array of the file, after its checksum; of that shape, and of codes, if one is told."""
        array = parse_npy(self._archive.read(f"{name}.npy"))
        if shape is not None and (array.shape != shape or array.dtype != np.uint8):
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not uint8 {shape}")
        return array

    def _damaged(self, error):
        return FlowFileError(
            f"{self.path}: not a flow file, or damaged ({first_line(error)}); kinetics-i3d flow "
            "makes it anew"
        )
