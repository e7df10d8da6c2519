"""`open_stored`: opens the stored flow of a video or of a part of it, a file or pictures."""

import os
import pathlib
import threading
import typing

from absl import logging

from kinetics_i3d.flow.cache import FlowFile, FlowFileError, flow_path, path_for
from kinetics_i3d.flow.info import reading, tag
from kinetics_i3d.flow.pictures import FlowPictures, has_flow_pictures
from kinetics_i3d.video.resample import as_rate
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
    >>> from kinetics_i3d.flow.video import FlowSettings
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
