"""`open_stored`: opens the stored flow of a video or of a part of it, a file or pictures."""

import os
import pathlib
import threading
import typing

import numpy as np
from absl import logging

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.files import atomic_folder
from kinetics_i3d.flow.cache import FlowFile, FlowFileError, flow_path, path_for
from kinetics_i3d.flow.info import CHUNK, FlowInfo, reading, tag
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.frame_folder import RATE, decode_picture, numbered_pictures, split_rate
from kinetics_i3d.video.span import split_span


class FlowPart:
    """Some of the flows of a flow file, from `first` on, as if they were the whole file's.

    Args:
        file: A `FlowFile`.
        first: The number of the first.
        count: How many.
    """

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

    def codes(self, start=0, stop=None):
        """As `FlowFile.codes`."""
        stop = self._count if stop is None else stop
        return self.file.codes(self._first + start, self._first + stop)


_told: set = set()
_telling = threading.Lock()


def open_stored(video, *, spec, settings=None, strict=False):
    """Opens the flow that is stored of a video, if it was made by a spec.

    Flow by another spec is passed over; that is said once for each folder and spec.

    Args:
        video: The path of a video, with a span behind it or not. The flow of a span is also taken
            from that of the whole video.
        spec: The `ClipSpec` that frames must have been sampled and resized by.
        settings: The `FlowSettings` that it must have been computed and coded by; None is any.
        strict: Whether flow by another spec is an error.

    Returns:
        A `FlowFile`, `FlowPart` or `FlowPictures`, to be used in a `with` block; None if none is
        stored that fits.

    Raises:
        FlowFileError: If it is damaged, or that of another video or of other settings; if `strict`,
            also if it is by another spec.
        VideoError: If `video` cannot be read.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> from kinetics_i3d.flow.settings import FlowSettings
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
        pictured = path is file
        flow: typing.Any = FlowPictures(path) if pictured else FlowFile(path)
        whole = flow.info.span is None
        if flow.info.differences(spec=spec) or not (whole or flow.info.covers(span)):
            other = flow
            flow.close()
            continue
        source = None if pictured else file if whole else video
        differences = flow.info.differences(video=source, settings=settings)
        if differences:
            flow.close()
            raise FlowFileError(f"{flow.path}: {'; '.join(differences.values())}")
        if span is None or not whole:
            return flow
        first, stop = span.ticks(as_rate(spec.fps))
        end = len(flow) if stop is None else min(stop - 1, len(flow))
        return FlowPart(flow, min(first, len(flow)), max(0, end - first))
    if other is not None and strict:
        reasons = other.info.differences(spec=spec)
        why = "; ".join(reasons.values()) or "it is of another part of the video"
        raise FlowFileError(
            f"{other.path}: {why}; `kinetics-i3d flow` with the --spec or the --weights that are "
            "used here stores what is needed, beside the other"
        )
    if other is not None:
        _tell(video, other.info, spec)
    return None


def _tell(video, other, spec):
    key = (str(pathlib.Path(video).parent), tag(other.reading), tag(reading(spec)))
    with _telling:
        if key in _told:
            return
        _told.add(key)
    logging.warning(
        "%s: its stored flow is of frames by %s, and %s is needed: it is passed over and the flow "
        "computed on the way; `kinetics-i3d flow --weights NAME`, with the weights that read it, "
        "stores it too, beside the other",
        os.fspath(video),
        tag(other.reading),
        tag(reading(spec)),
    )


def stored_paths(video, spec):
    """Finds the files that may hold the flow of a video by a spec; none is opened.

    Args:
        video: The path of a video, with a span behind it or not.
        spec: A `ClipSpec`.

    Returns:
        A list of `pathlib.Path`: of the span, then of the whole video.
    """
    file, span = split_span(video)
    usual = (flow_path(video), *([] if span is None else [flow_path(file)]))
    names = [path for path in usual for path in (path, path_for(path, spec))]
    return [path for path in names if path.is_file()]


NAME = "flow_{axis}_{number:05d}.jpg"
PREFIXES = (("flow_x_", "flow_y_"), ("flow_x", "flow_y"), ("x_", "y_"), ("u_", "v_"))
# The same in two folders beside each other.
FOLDERS = (("flow_x", "flow_y"), ("x", "y"), ("u", "v"))


def write_flow_pictures(flow, folder, *, quality=95):
    """Writes the flow of a flow file as pictures.

    Args:
        flow: The path of the flow file.
        folder: Where to; it appears whole or not at all. The first pictures have the number 1.
        quality: Of JPEG, 1 to 100.

    Returns:
        How many flows were written, two pictures each.

    Raises:
        FlowFileError: If the flow file is missing or damaged.

    Example:

    >>> from kinetics_i3d.flow.cache import write_flow_file
    >>> from kinetics_i3d.flow.info import flow_path
    >>> video = folder / "video.mp4"
    >>> _ = write_flow_file(video, settings=FlowSettings("farneback"))
    >>> write_flow_pictures(flow_path(video), folder / "pictures")
    24
    """
    from kinetics_i3d.core.canvas import pillow

    image, *_ = pillow()
    with FlowFile(flow) as file, atomic_folder(folder) as temporary:
        for first in range(0, len(file), CHUNK):
            codes = file.codes(first, min(first + CHUNK, len(file)))
            for number, flows in enumerate(codes, first + 1):
                for axis, part in zip("xy", np.moveaxis(flows, -1, 0), strict=True):
                    name = NAME.format(axis=axis, number=number)
                    picture = image.fromarray(np.ascontiguousarray(part))
                    picture.save(temporary / name, quality=quality)
        return len(file)


class FlowPictures:
    """Pictures of flow with the interface of `FlowFile`; use it in a `with` block.

    Args:
        folder: Of frames, with the flow in it; `#fps=30` behind it tells its rate.

    Raises:
        FlowFileError: If there are no pictures of flow, or not as many of x as of y.

    Attributes:
        info: Its `FlowInfo`. What computed it is not told; the bound is that of denseflow, 20.
    """

    def __init__(self, folder):
        path, rate = split_rate(folder)
        self.path = str(path)
        pairs = _pairs(pathlib.Path(path))
        if not pairs or len(pairs[0]) != len(pairs[1]):
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
        """Does nothing: each picture is opened by itself."""

    def codes(self, start=0, stop=None):
        """The 8-bit codes from `start` up to `stop`, as `FlowFile.codes`."""
        return self._read(start, len(self) if stop is None else stop)

    def _read(self, start, stop):
        try:
            parts = [
                [decode_picture(file).to_ndarray(format="gray") for file in files[start:stop]]
                for files in self._files
            ]
            codes = np.stack([np.stack(part) for part in parts], axis=-1) if parts[0] else None
        except (VideoError, ValueError) as error:
            raise FlowFileError(f"{self.path}: its flow cannot be read ({error})") from error
        return np.zeros((0, *self.info.size, 2), np.uint8) if codes is None else codes


def has_flow_pictures(video):
    """Whether a video is a folder of frames that holds pictures of flow, too."""
    return bool(_pairs(pathlib.Path(split_rate(split_span(video)[0])[0])))


def _pairs(folder):
    """(files of x, files of y) in a folder or in two inside; empty if there are none."""
    if not folder.is_dir():
        return ()
    pictures = numbered_pictures(folder)
    for names in PREFIXES:
        if any(name in pictures for name in names):
            return tuple(pictures.get(name, []) for name in names)
    for names in FOLDERS:
        if any((folder / name).is_dir() for name in names):
            parts = [numbered_pictures(folder / name) for name in names]
            return tuple(next(iter(files.values()), []) for files in parts)
    return ()
