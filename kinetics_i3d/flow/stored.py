"""`open_stored`: the stored flow of a video or of a part of it, in a flow file or as pictures.

Pictures are those of denseflow and MMAction2, `flow_x_00001.jpg` and `flow_y_00001.jpg`: each
direction as gray levels from -bound to bound, by default 20 pixels, as in this package. JPEG loses
about half a level on average at quality 95.
"""

import os
import pathlib
import threading
import typing

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.flow.cache import FlowFile, FlowFileError
from kinetics_i3d.flow.info import (
    CHUNK,
    FlowInfo,
    fingerprint_of_files,
    flow_path,
    path_for_spec,
    reading,
    reading_tag,
)
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.frame_folder import RATE, gray_pictures, numbered_pictures, split_rate
from kinetics_i3d.video.span import split_span

_NAME = "flow_{axis}_{number:05d}.jpg"
_PREFIXES = (("flow_x_", "flow_y_"), ("flow_x", "flow_y"), ("x_", "y_"), ("u_", "v_"))
_FOLDERS = (("flow_x", "flow_y"), ("x", "y"), ("u", "v"))  # names of one folder per direction


class FlowPart:
    """`count` flows of a `FlowFile` from `first` on, with the same interface."""

    def __init__(self, file, first, count):
        self.file, self.info, self.path = file, file.info, file.path
        self._first, self._count = first, count

    def __len__(self):
        return self._count

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Closes the file."""
        self.file.close()

    def fingerprint(self):
        """The fingerprint of the whole file."""
        return self.file.fingerprint()

    def quantized(self, start=0, stop=None):
        """As `FlowFile.quantized`."""
        stop = self._count if stop is None else stop
        return self.file.quantized(self._first + start, self._first + stop)


class FlowPictures:
    """Pictures of flow with the interface of `FlowFile`; use it in a `with` block.

    Args:
        folder: The folder of frames that also contains the flow, optionally with `#fps=30`.

    Raises:
        FlowFileError: If there are no pictures of flow, or their numbers for x and y differ.

    Attributes:
        info: Its `FlowInfo`. Pictures do not record their settings; those of denseflow are assumed.
    """

    def __init__(self, folder):
        path, rate = split_rate(folder)
        self.path = str(path)
        pairs = _picture_pairs(pathlib.Path(path))
        if not any(pairs) or len(pairs[0]) != len(pairs[1]):
            counts = [len(files) for files in pairs] or [0, 0]
            raise FlowFileError(
                f"{path}: needs as many pictures of flow in x as in y, flow_x_00001.jpg and "
                f"flow_y_00001.jpg; has {counts[0]} and {counts[1]}"
            )
        self._files = pairs
        size = self._read(0, 1).shape[1:3]
        self.info = FlowInfo(
            settings=FlowSettings(),
            reading={
                "fps": float(RATE if rate is None else rate),
                "short_side": min(size),
                "resize": "short_side",
                "interpolation": "bilinear",
            },
            size=size,
            flows=len(pairs[0]),
            video={"name": pathlib.Path(path).name, "bytes": 0, "sha256": ""},
            version="pictures",
        )

    def __len__(self):
        return self.info.flows

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        """Does nothing: no picture stays open."""

    def fingerprint(self):
        """{"bytes", "sha256"} that identify the pictures, as `kinetics_i3d.flow.info` has it."""
        return fingerprint_of_files([*self._files[0], *self._files[1]])

    def quantized(self, start=0, stop=None):
        """As `FlowFile.quantized`."""
        return self._read(start, len(self) if stop is None else stop)

    def _read(self, start, stop):
        try:
            parts = [gray_pictures(files[start:stop]) for files in self._files]
            flows = np.stack(parts, axis=-1) if len(parts[0]) else None
        except (VideoError, ValueError) as error:
            raise FlowFileError(f"{self.path}: its flow cannot be read ({error})") from error
        return np.zeros((0, *self.info.size, 2), np.uint8) if flows is None else flows


def open_stored(video, *, spec, settings=None, strict=False):
    """Opens the stored flow of a video, if it was computed with this spec.

    Flow with another spec is not used; a warning is logged once per folder and spec.

    Args:
        video: The path of a video, with or without a span. For a span, the flow of the whole video
            is used too.
        spec: The `ClipSpec` by which frames must have been sampled and resized.
        settings: The `FlowSettings` of the flow; None accepts any. Unless `strict`, other settings
            than those of the release are then warned of, once per folder.
        strict: Whether flow with another spec is an error.

    Returns:
        A `FlowFile`, `FlowPart` or `FlowPictures`, for use in a `with` block; or None.

    Raises:
        FlowFileError: If the file is damaged, or of another video or other settings; if `strict`,
            also if it has another spec.
        VideoError: If `video` cannot be read.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> quick = FlowSettings("farneback")
    >>> _ = write_flow_file(folder / "video.mp4", settings=quick)
    >>> with open_stored(folder / "video.mp4#t=0.2,0.6", spec=DEEPMIND_FLOW) as flow:
    ...     len(flow)
    9
    """
    file, span = split_span(video)
    other = None
    paths = [*stored_paths(video, spec), *([file] if has_flow_pictures(file) else [])]
    for path in paths:
        is_folder = path is file
        flow: typing.Any = FlowPictures(path) if is_folder else FlowFile(path)
        whole = flow.info.span is None
        if flow.info.differences(spec=spec) or not (whole or flow.info.covers(span)):
            other = flow
            flow.close()
            continue
        source = None if is_folder else file if whole else video
        differences = flow.info.differences(video=source, settings=settings)
        if differences:
            flow.close()
            raise FlowFileError(f"{flow.path}: {'; '.join(differences.values())}")
        if settings is None and not strict:
            _warn_of_other_settings(video, flow.info)
        if span is None or not whole:
            return flow
        first, stop = span.ticks(as_rate(spec.fps))
        end = len(flow) if stop is None else min(stop - 1, len(flow))
        return FlowPart(flow, min(first, len(flow)), max(0, end - first))
    if other is not None and strict:
        differences = other.info.differences(spec=spec)
        reason = "; ".join(differences.values()) or "it is of another part of the video"
        raise FlowFileError(
            f"{other.path}: {reason}; `kinetics-i3d flow` with the same --spec or --weights "
            "stores the required flow beside it"
        )
    if other is not None:
        _warn_of_other_flow(video, other.info, spec)
    return None


_warned: set = set()
_warning = threading.Lock()


def _is_first(video, *reason):
    """Whether no warning for this reason was logged for the folder of the video."""
    key = (str(pathlib.Path(video).parent), *reason)
    with _warning:
        first = key not in _warned
        _warned.add(key)
    return first


def _warn_of_other_settings(video, info):
    differences = info.differences(settings=FlowSettings())
    if differences and _is_first(video, *differences.values()):
        logging.warning(
            "%s: the stored flow has other settings than the released weights were trained with "
            "(%s); it is right only for weights that were trained on such flow",
            os.fspath(video),
            "; ".join(differences.values()),
        )


def _warn_of_other_flow(video, info, spec):
    stored, needed = reading_tag(info.reading), reading_tag(reading(spec))
    if not _is_first(video, stored, needed):
        return
    reason = f"was computed from frames at {stored}, but {needed} is needed"
    if not info.differences(spec=spec):
        reason = "is that of another part of the video"
    logging.warning(
        "%s: the stored flow %s, so flow is computed while reading; `kinetics-i3d flow --weights "
        "NAME`, with the weights that read it, stores it beside the existing flow",
        os.fspath(video),
        reason,
    )


def stored_paths(video, spec):
    """The files that may contain the flow of a video for a spec: of its span, then of all of it."""
    return [path for path in possible_paths(video, spec) if path.is_file()]


def possible_paths(video, spec):
    """The paths of `stored_paths`, whether or not the files exist."""
    file, span = split_span(video)
    usual = (flow_path(video), *([] if span is None else [flow_path(file)]))
    return [path for name in usual for path in (name, path_for_spec(name, spec))]


def has_flow_pictures(video):
    """Whether a video is a folder of frames with pictures of flow in it."""
    return any(_picture_pairs(pathlib.Path(split_rate(split_span(video)[0])[0])))


def _picture_pairs(folder):
    """(files of x, files of y) in a folder or in two folders inside; empty if there are none."""
    if not folder.is_dir():
        return ()
    pictures = numbered_pictures(folder)
    for names in _PREFIXES:
        if any(name in pictures for name in names):
            return tuple(pictures.get(name, []) for name in names)
    for names in _FOLDERS:
        if any((folder / name).is_dir() for name in names):
            parts = [numbered_pictures(folder / name) for name in names]
            return tuple(next(iter(files.values()), []) for files in parts)
    return ()


def write_flow_pictures(flow, folder, *, quality=95):
    """Writes a flow file as pictures.

    Args:
        flow: The path of the flow file.
        folder: The new folder, written atomically. Numbers start at 1.
        quality: JPEG quality, 1 to 100.

    Returns:
        The number of flows written, two pictures each.

    Raises:
        FlowFileError: If the flow file is missing or damaged.

    Example:

    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> video = folder / "video.mp4"
    >>> _ = write_flow_file(video, settings=FlowSettings("farneback"))
    >>> write_flow_pictures(flow_path(video), folder / "pictures")
    24
    """
    from kinetics_i3d.core.canvas import pillow

    image, *_ = pillow()
    with FlowFile(flow) as file, atomic_folder(folder) as temporary:
        for first in range(0, len(file), CHUNK):
            chunk = file.quantized(first, min(first + CHUNK, len(file)))
            for number, quantized in enumerate(chunk, first + 1):
                for axis, part in zip("xy", np.moveaxis(quantized, -1, 0), strict=True):
                    picture = image.fromarray(np.ascontiguousarray(part))
                    name = _NAME.format(axis=axis, number=number)
                    picture.save(temporary / name, quality=quality)
        return len(file)
