"""`write_flow_file`, `open_flow`: files with the flow of a video and everything it depends on.

A zip of .npy files, which `numpy.load` opens too: `about`, JSON as text, and `flow_000000`,
`flow_000032`, ..., quantized flow (flows, height, width, 2) of 32 flows each, named by the first.
"""

import importlib.metadata
import io
import math
import os
import pathlib
import zipfile

import numpy as np

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import DAMAGE, UserError, first_line
from kinetics_i3d.core.files import atomic_path, parse_npy
from kinetics_i3d.flow.compute import read_both
from kinetics_i3d.flow.info import (
    CHUNK,
    FlowInfo,
    fingerprint,
    flow_path,
    path_for_spec,
    reading,
    source_of_flow,
)
from kinetics_i3d.flow.quantization import dequantize_flow
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.span import split_span

_LEVEL = 4  # of deflate; 1 is a third larger, 6 takes three times as long to save a tenth
_HEADER = 1024  # maximum bytes of an array's own header


class FlowFileError(UserError):
    """A flow file is missing or damaged, or does not contain the requested flow."""


def free_path(path, spec):
    """`path`, or `path_for_spec` if flow with another spec already has that name."""
    try:
        with FlowFile(path) as file:
            other = file.info.differences(spec=spec)
    except FlowFileError:  # missing or damaged
        return path
    return path_for_spec(path, spec) if other else path


def write_flow_file(
    video, path=None, *, spec=DEEPMIND_FLOW, settings=None, workers=None, progress=None
):
    """Computes the flow of a video and writes it to a file, atomically.

    With the same zlib, the same video and settings give the same bytes.

    Args:
        video: A local video file, with or without a span.
        path: The file; None means `flow_path(video)`, or `flow_path(video, spec)` if flow with
            another spec already has that name.
        spec: A `ClipSpec`: how frames are sampled and resized. They are not cropped.
        settings: A `FlowSettings`; None means those of the release.
        workers: As for `optical_flow`.
        progress: Called after each flow with the number of flows done.

    Returns:
        The `FlowInfo`.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is outside its range.
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
    """As `write_flow_file`, but not atomic: after an error the file is incomplete."""
    settings = FlowSettings() if settings is None else settings
    source, span = split_span(video)
    marks = {"name": pathlib.Path(source).name, **source_of_flow(source)}
    pairs = read_both(video, spec=spec, settings=settings, workers=workers)
    size, count, chunk = None, 0, []
    try:
        with zipfile.ZipFile(file, "w") as archive:
            for frame, flow in pairs:
                size = frame.shape[:2]
                if flow is not None:
                    chunk.append(settings.quantize(flow))
                    count += 1
                    if progress is not None:
                        progress(count)
                if len(chunk) == CHUNK or (flow is None and chunk):
                    _add(archive, _chunk_name(count - len(chunk)), np.stack(chunk))
                    chunk.clear()
            info = FlowInfo(
                settings=settings.with_backend(),
                reading=reading(spec),
                size=size,
                flows=count,
                video=marks,
                version=importlib.metadata.version("kinetics-i3d"),
                span=span and (span.start, span.end),
            )
            _add(archive, "about", np.array(info.to_json()))
    finally:
        pairs.close()
    return info


def _add(archive, name, array):
    """Adds an array as `numpy.savez` does, but always with the same time and permissions."""
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
    member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
    member.create_system, member.external_attr = 3, 0o644 << 16  # Unix, wherever it runs
    archive.writestr(member, data.getvalue(), zipfile.ZIP_DEFLATED, _LEVEL)


def _chunk_name(first):
    return f"flow_{first:06d}"


def open_flow(path, *, video=None, spec=None, settings=None):
    """Opens a flow file, and checks that it contains the requested flow.

    Args:
        path: The file.
        video: As for `FlowInfo.differences`.
        spec: As for `FlowInfo.differences`.
        settings: As for `FlowInfo.differences`.

    Returns:
        A `FlowFile`; use it in a `with` block.

    Raises:
        FlowFileError: If the file is missing, damaged, or contains other flow; the message names
            the fields that differ.
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
    """An open flow file; only the parts that are needed are read.

    Args:
        path: The file.

    Attributes:
        info: Its `FlowInfo`.

    Raises:
        FlowFileError: If the file is missing or damaged.
    """

    def __init__(self, path):
        self.path = os.fspath(path)
        self._archive = None
        if not os.path.isfile(path):
            raise FlowFileError(f"{self.path}: no such flow file; kinetics-i3d flow writes it")
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
        """Closes the file."""
        if self._archive is not None:
            self._archive.close()

    def fingerprint(self):
        """{"bytes", "sha256"} that identify the file, as `kinetics_i3d.flow.info` computes them."""
        return fingerprint(self.path)

    def quantized(self, start=0, stop=None):
        """The quantized flows from `start` up to, but not including, `stop`.

        Args:
            start: The first, counted from 0.
            stop: The end, exclusive; None is that of the file.

        Returns:
            uint8 array (stop - start, height, width, 2), x then y.

        Raises:
            FlowFileError: If the file is damaged there.
            ValueError: If there are no such flows.
        """
        stop = len(self) if stop is None else stop
        if not 0 <= start <= stop <= len(self):
            raise ValueError(
                f"`start` and `stop` must be in order, from 0 to {len(self)}. Received: "
                f"start={start!r}, stop={stop!r}"
            )
        flows = np.empty((stop - start, *self.info.size, 2), np.uint8)
        for first in range(start - start % CHUNK, stop, CHUNK):
            end = min(first + CHUNK, len(self))
            try:
                chunk = self._read(_chunk_name(first), (end - first, *self.info.size, 2))
            except DAMAGE as error:
                raise self._damaged(error) from error
            low, high = max(start, first), min(stop, end)
            flows[low - start : high - start] = chunk[low - first : high - first]
        return flows

    def pixels(self, start=0, stop=None):
        """As `quantized`, in pixels, float32, within the bound."""
        return dequantize_flow(self.quantized(start, stop), self.info.settings.bound)

    def clip(self, start=0, stop=None, *, size=None):
        """As `quantized`, float32 in the range that networks read, -1 to 1.

        Args:
            start: As for `quantized`.
            stop: As for `quantized`.
            size: Pixels of a center crop; None is the whole flow.
        """
        flows = self.quantized(start, stop)
        return dequantize_flow(flows if size is None else center_crop(flows, size))

    def check(self):
        """Reads the whole file, and raises `FlowFileError` if it is damaged."""
        for first in range(0, len(self), CHUNK):
            self.quantized(first, min(first + CHUNK, len(self)))

    def _check_parts(self):
        """Compares the sizes of the parts with the header, before memory is allocated for them."""
        if len(self._archive.infolist()) != -(-len(self) // CHUNK) + 1:
            raise ValueError("has missing or unexpected entries")
        expected = {
            f"{_chunk_name(first)}.npy": min(CHUNK, len(self) - first)
            * 2
            * math.prod(self.info.size)
            for first in range(0, len(self), CHUNK)
        }
        *parts, last = self._archive.infolist()
        if [part.filename for part in parts] != [*expected] or last.filename != "about.npy":
            raise ValueError("has missing or unexpected entries")
        for part, size in zip(parts, expected.values(), strict=True):
            if not size < part.file_size <= size + _HEADER:
                raise ValueError(f"{part.filename} has {part.file_size} bytes")

    def _read(self, name, shape):
        """An array of the file, whose checksum zipfile verifies; uint8 of `shape` unless None."""
        array = parse_npy(self._archive.read(f"{name}.npy"))
        if shape is not None and (array.shape != shape or array.dtype != np.uint8):
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not uint8 {shape}")
        return array

    def _damaged(self, error):
        return FlowFileError(
            f"{self.path}: not a flow file, or damaged ({first_line(error)}); kinetics-i3d flow "
            "writes a new one"
        )
