"""`FlowInfo`: what the flow in a file depends on, and how that differs from what is asked for.

Flow of another rate, size, bound or rounding looks the same and spoils what reads it.
"""

import dataclasses
import hashlib
import json
import os
import pathlib

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.frame_folder import frames_of, split_rate
from kinetics_i3d.video.span import Span, split_span

FORMAT = 1
CHUNK = 32  # flows in a part of a file, which is read as a whole
ENDS = 1 << 16  # bytes of a video's beginning and of its end that its fingerprint covers
LARGEST = 1 << 16  # pixels of a side
READING = {"fps", "short_side", "resize", "interpolation"}
VIDEO = {"name", "bytes", "sha256"}


@dataclasses.dataclass(frozen=True)
class FlowInfo:
    """What has to be known about a flow file to use it rightly.

    Args:
        settings: The `FlowSettings`; its backend is the one that computed the flow.
        reading: How frames were sampled and resized: `ClipSpec.reading`.
        size: (height, width) of the flow.
        flows: How many there are; one fewer than frames.
        video: `fingerprint` of the video, and its name.
        version: Of the package that wrote it.
        span: The part of the video that the flow is of, (start, end) in seconds; None is all of it.
    """

    settings: FlowSettings
    reading: dict
    size: tuple
    flows: int
    video: dict
    version: str
    span: tuple | None = None

    def to_json(self):
        """The fields, with the format's number, as one line of JSON."""
        fields = {"format": FORMAT, "chunk": CHUNK, **dataclasses.asdict(self)}
        if self.span is None:  # as files were before there were spans
            del fields["span"]
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text):
        """The inverse of `to_json`; `ValueError`, `KeyError` or `TypeError` on anything else."""
        fields = json.loads(text)
        for name, known in (("format", FORMAT), ("chunk", CHUNK)):
            found = fields.pop(name)
            if found != known:
                raise ValueError(f"{name} {found} is not {known}")
        told = fields.pop("settings")
        settings = FlowSettings.from_dict(told)
        if settings.to_dict() != told:  # here nothing is left to a default
            raise ValueError(f"settings {told}")
        size = tuple(fields.pop("size"))
        span = fields.pop("span", None)
        if span is not None:
            span = dataclasses.astuple(Span(*span))
        info = cls(settings=settings, size=size, span=span, **fields)
        whole = all(isinstance(number, int) and number >= 0 for number in (*size, info.flows))
        if not whole or len(size) != 2 or max(size) > LARGEST:
            raise ValueError(f"{info.flows} flows of size {size}")
        if {*info.reading} != READING or {*info.video} != VIDEO:
            raise ValueError(f"fields {sorted([*info.reading, *info.video])}")
        return info

    def covers(self, span):
        """Whether the flow of a span of the video can be taken from this; None is all of it."""
        if self.span is None or span is None:
            return self.span is None
        rate = as_rate(self.reading["fps"])
        return Span(*self.span).ticks(rate) == span.ticks(rate)

    def differences(self, *, video=None, spec=None, settings=None):
        """What is not as asked for.

        Args:
            video: The video whose flow it must be; None is any. It is known again by its size and
                by the bytes at both ends, and may have been renamed.
            spec: The `ClipSpec` that its frames must have been sampled and resized by; None is any.
            settings: The `FlowSettings` that it must have been computed and coded by, by any
                backend; None is any.

        Returns:
            {name: text}: what differs, in a phrase that names it; empty where nothing does.

        Raises:
            VideoError: If `video` cannot be read.
        """
        pairs: list = []
        if video is not None:
            if not self.covers(split_span(video)[1]):
                pairs.append(("span", self.span, split_span(video)[1]))
            known, found = dict(self.video), fingerprint(video)
            names = known.pop("name"), os.fspath(video)
            if known != found:
                has, asked = (
                    f"{name} of {each['bytes']} bytes, sha256 {each['sha256'][:8]}"
                    for name, each in zip(names, (known, found), strict=True)
                )
                pairs.append(("video", has, asked))
        if spec is not None:
            asked = reading(spec)
            pairs += [(name, self.reading[name], asked[name]) for name in asked]
        if settings is not None:
            has, asked = _flat(self.settings), _flat(settings)
            # Where a method has no parameters, the method's own line tells.
            pairs += [(name, has[name], asked[name]) for name in has if name in asked]
        return {
            name: f"its {name} is {has}, asked for is {asked}"
            for name, has, asked in pairs
            if has != asked
        }


def tag(reading):
    """What names a file of flow of frames that were sampled and resized in some way.

    Args:
        reading: `ClipSpec.reading`.

    Returns:
        Text, that of no other way.

    Example:

    >>> tag({"fps": 25, "short_side": 128, "resize": "height", "interpolation": "bilinear"})
    '25fps_128px_height'
    """
    words = [f"{float(reading['fps']):.6g}fps", f"{reading['short_side']}px"]
    usual = {"resize": "short_side", "interpolation": "bilinear"}
    return "_".join(words + [reading[name] for name in usual if reading[name] != usual[name]])


def fingerprint(video):
    """What a video is known again by, without reading all of it.

    Args:
        video: A file; a span behind its path says nothing of it.

    Returns:
        {"bytes": its size, "sha256": of its first and last 64 KiB}. Of a folder of pictures the
        sum of their sizes, and of their names, their sizes and the first and last picture.

    Raises:
        VideoError: If it cannot be read.

    Example:

    >>> sorted(fingerprint(folder / "video.mp4"))
    ['bytes', 'sha256']
    """
    path, _ = split_rate(split_span(video)[0])
    try:
        if os.path.isdir(path):
            return _fingerprint_of_folder(path)
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256(file.read(ENDS))
            file.seek(max(ENDS, size - ENDS))
            digest.update(file.read(ENDS))
    except OSError as error:
        raise VideoError(f"{os.fspath(video)}: cannot be read ({error.strerror})") from error
    return {"bytes": size, "sha256": digest.hexdigest()}


def _fingerprint_of_folder(path):
    files = frames_of(path)
    digest, total = hashlib.sha256(), 0
    for number, file in enumerate(files):
        size = os.stat(file).st_size
        total += size
        digest.update(f"{os.path.basename(file)} {size}\n".encode(errors="surrogateescape"))
        if number in (0, len(files) - 1):
            with open(file, "rb") as opened:
                digest.update(opened.read(ENDS))
    return {"bytes": total, "sha256": digest.hexdigest()}


def reading(spec):
    """`ClipSpec.reading`, as JSON holds it: how frames are sampled and resized."""
    return {**spec.reading, "fps": float(spec.fps)}


def _flat(settings):
    """{name: value} of what the flow depends on, the method's parameters beside the others."""
    fields = settings.to_dict()
    del fields["backend"]  # they differ by less than the flow's own errors
    return fields | {f"parameter {k}": v for k, v in (fields.pop("parameters") or {}).items()}


SUFFIX = ".flow.npz"


def flow_path(video, spec=None):
    """Where the flow of a video stands: beside it, as `<its file name>.flow.npz`.

    Args:
        video: The path of a video, with a span behind it or not.
        spec: A `ClipSpec`, for the name that flow for it has where another one's has the usual
            name.

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
    path = path.with_name(name + SUFFIX)
    return path if spec is None else path_for(path, spec)


def path_for(path, spec):
    """The name beside a flow file's for flow by another spec.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
    >>> path_for(pathlib.Path("wave.avi.flow.npz"), DEEPMIND_FLOW).name
    'wave.avi.25fps_256px.flow.npz'
    """
    return path.with_name(f"{path.name.removesuffix(SUFFIX)}.{tag(reading(spec))}{SUFFIX}")
