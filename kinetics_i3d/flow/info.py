"""`FlowInfo`, `flow_path`: what a flow file records about its flow, and its name.

Flow with another rate, size, bound or rounding looks the same, but the predictions from it are
wrong.
"""

import dataclasses
import hashlib
import json
import os
import pathlib

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.json_objects import check_fields, parse_object
from kinetics_i3d.core.settings import setting_differences
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.frame_folder import RATE, frames_of, split_rate
from kinetics_i3d.video.source import file_state
from kinetics_i3d.video.span import Span, split_span

CHUNK = 32  # flows that are stored and read together
_SUFFIX = ".flow.npz"
_FORMAT = 1
_ENDS = 1 << 16  # bytes at the beginning and at the end of a video that its fingerprint covers
_LARGEST = 1 << 16  # pixels of a side
_READING = {"fps": float, "short_side": int, "resize": str, "interpolation": str}
_VIDEO = {"name": str, "bytes": int, "sha256": str}


@dataclasses.dataclass(frozen=True)
class FlowInfo:
    """The information that is needed to use a flow file correctly.

    Args:
        settings: The `FlowSettings`; its backend is the one that computed the flow.
        reading: How frames were sampled and resized: `ClipSpec.reading`.
        size: (height, width) of the flow.
        flows: Number of flows, one fewer than frames.
        video: The name of the video and its `fingerprint`.
        version: The version of the package that wrote the file.
        span: The part of the video that the flow covers, (start, end) in seconds; None is all of
            it.
    """

    settings: FlowSettings
    reading: dict
    size: tuple
    flows: int
    video: dict
    version: str
    span: tuple | None = None

    def to_json(self):
        """The fields and the format number as one line of JSON."""
        fields = {"format": _FORMAT, "chunk": CHUNK, **dataclasses.asdict(self)}
        if self.span is None:  # files of earlier versions lack the field
            del fields["span"]
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The inverse of `to_json`; `ValueError`, `KeyError` or `TypeError` on anything else."""
        fields = parse_object(text)
        for name, supported in (("format", _FORMAT), ("chunk", CHUNK)):
            value = fields.pop(name)
            if value != supported:
                raise ValueError(f"{name} {value} is not {supported}")
        recorded = fields.pop("settings")
        settings = FlowSettings.from_dict(recorded)
        if settings.to_dict() != recorded:  # a file must not rely on defaults
            raise ValueError(f"settings {recorded}")
        size = tuple(fields.pop("size"))
        span = fields.pop("span", None)
        if span is not None:
            span = dataclasses.astuple(Span(*span))
        info = cls(settings=settings, size=size, span=span, **fields)
        whole = all(isinstance(number, int) and number >= 0 for number in (*size, info.flows))
        if not whole or len(size) != 2 or max(size) > _LARGEST:
            raise ValueError(f"{info.flows} flows of size {size}")
        check_fields("reading", info.reading, _READING)
        check_fields("video", info.video, _VIDEO)
        return info

    def covers(self, span):
        """Whether this is the flow of a span; None is the whole video."""
        if self.span is None or span is None:
            return self.span is None
        rate = as_rate(self.reading["fps"])
        return Span(*self.span).ticks(rate) == span.ticks(rate)

    def differences(self, *, video=None, spec=None, settings=None):
        """Compares the flow with the requested one; arguments that are None are not compared.

        Args:
            video: The video. It is identified by its size and by the bytes at both ends, so it may
                have been renamed.
            spec: The `ClipSpec` by which its frames must have been sampled and resized.
            settings: The `FlowSettings`; backends are not compared.

        Returns:
            {field: phrase with both values}, as `setting_differences` returns.

        Raises:
            VideoError: If `video` cannot be read.
        """
        recorded: dict = {}
        requested: dict = {}
        if video is not None:
            _, span = split_span(video)
            if not self.covers(span):
                recorded["span"] = self.span and list(self.span)
                requested["span"] = span and list(dataclasses.astuple(span))
            stored, current = dict(self.video), source_of_flow(video)
            name = stored.pop("name")
            if stored != current:
                recorded["video"] = _describe(name, stored)
                requested["video"] = _describe(os.path.basename(os.fspath(video)), current)
        if spec is not None:
            recorded |= self.reading
            requested |= reading(spec)
        if settings is not None:
            both = [fields.to_dict() for fields in (self.settings, settings)]
            for fields, target in zip(both, (recorded, requested), strict=True):
                del fields["backend"]  # backends differ by less than the flow's own errors
                if self.settings.method != settings.method:
                    del fields["parameters"]  # another method has other parameters
                target |= fields
        return setting_differences(recorded, requested)


def _describe(name, marks):
    return f"{name} of {marks['bytes']} bytes, sha256 {marks['sha256'][:8]}"


def fingerprint(video):
    """{"bytes", "sha256"} that identify a video; of a file, only the beginning and end are read.

    A span after the path is ignored. For a folder of pictures, `bytes` is the sum of their sizes,
    and `sha256` covers their names and sizes and the first and last picture.
    """
    path, _ = split_rate(split_span(video)[0])
    file_state(path)  # reports a missing file
    try:
        if os.path.isdir(path):
            return fingerprint_of_files(frames_of(path))
        with open(path, "rb") as file:
            return file_fingerprint(file)
    except OSError as error:
        raise VideoError(f"{os.fspath(video)}: cannot be read ({error.strerror})") from error


def source_of_flow(video):
    """As `fingerprint`; `sha256` also covers the rate of a folder of frames, unless it is 25."""
    marks = fingerprint(video)
    rate = split_rate(split_span(video)[0])[1]
    if rate not in (None, RATE):
        marks["sha256"] = hashlib.sha256(f"{marks['sha256']} {rate}".encode()).hexdigest()
    return marks


def file_fingerprint(file):
    """The `fingerprint` of an open file of bytes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    digest = hashlib.sha256(file.read(_ENDS))
    if size > _ENDS:  # S3's files refuse to seek past their end
        file.seek(max(_ENDS, size - _ENDS))
        digest.update(file.read(_ENDS))
    return {"bytes": size, "sha256": digest.hexdigest()}


def fingerprint_of_files(files):
    """As `fingerprint`, of pictures: their names and sizes, and the first and last one."""
    digest, total = hashlib.sha256(), 0
    for number, file in enumerate(files):
        size = os.stat(file).st_size
        total += size
        digest.update(f"{os.path.basename(file)} {size}\n".encode(errors="surrogateescape"))
        if number in (0, len(files) - 1):
            with open(file, "rb") as opened:
                digest.update(opened.read(_ENDS))
    return {"bytes": total, "sha256": digest.hexdigest()}


def reading(spec):
    """`ClipSpec.reading` as JSON stores it: how frames are sampled and resized."""
    return {**spec.reading, "fps": float(spec.fps)}


def reading_tag(reading):
    """Text that names one way of sampling and resizing, such as `25fps_128px_height`."""
    words = [f"{float(reading['fps']):.6g}fps", f"{reading['short_side']}px"]
    usual = {"resize": "short_side", "interpolation": "bilinear"}
    return "_".join(words + [reading[name] for name in usual if reading[name] != usual[name]])


def flow_path(video, spec=None):
    """The path of a video's flow file: beside it, as `<its file name>.flow.npz`.

    Args:
        video: The path of a video, with or without a span.
        spec: A `ClipSpec`, for the alternative name, which is used if flow with another spec has
            the default name.

    Returns:
        A `pathlib.Path`.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> flow_path("wave.avi").name, flow_path("wave.avi", DEEPMIND_FLOW).name
    ('wave.avi.flow.npz', 'wave.avi.25fps_256px.flow.npz')
    >>> flow_path("wave.avi#t=5,15").name
    'wave.avi.5-15s.flow.npz'
    """
    file, span = split_span(video)
    path = pathlib.Path(split_rate(file)[0])
    name = path.name
    if span is not None:
        start, _, end = span.located("").removeprefix("#t=").partition(",")
        name += f".{start}-{end}s" if end else f".{start}-end"
    path = path.with_name(name + _SUFFIX)
    return path if spec is None else path_for_spec(path, spec)


def path_for_spec(path, spec):
    """The alternative path of a flow file, beside it, for flow with this spec."""
    return path.with_name(
        f"{path.name.removesuffix(_SUFFIX)}.{reading_tag(reading(spec))}{_SUFFIX}"
    )
