"""`ClipSpec`: how a clip is sampled from a video, resized, cropped and scaled.

The release's numbers: https://github.com/google-deepmind/kinetics-i3d (README, "Sample data and
preprocessing"). MediaPipe's graph: https://github.com/google-ai-edge/mediapipe (`media_sequence`).
FVD: https://arxiv.org/abs/1812.01717.
"""

import dataclasses
import difflib
import fractions
import math
import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np

from kinetics_i3d.core.json_objects import check_fields
from kinetics_i3d.core.types import check_number

STREAMS = ("rgb", "flow")
RESIZES = ("short_side", "height", "stretch")
INTERPOLATIONS = ("bilinear", "area_cubic")


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """How the frames of a video become the input of a model; weights store their spec.

    Args:
        name: The name of the spec, such as `"deepmind"`.
        stream: `"rgb"` or `"flow"`.
        fps: Frames per second, sampled by presentation time.
        short_side: Length in pixels of the side that `resize` sets; for `"stretch"` of both sides,
            equal to `size`.
        size: Side of the square crop in pixels; centered at test time, random in training.
        low: The value of a black pixel (0).
        high: The value of a white pixel (255).
        resize: `"short_side"` resizes the smaller side to `short_side` and keeps the aspect ratio;
            `"height"` resizes the height, and rounds the width down to an even number, as MediaPipe
            does; `"stretch"` resizes both sides without keeping the aspect ratio.
        interpolation: `"bilinear"`, or `"area_cubic"`: area averages to shrink, cubic to enlarge.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> ClipSpec("deepmind").size
    224
    """

    name: str
    stream: str = "rgb"
    fps: float = 25.0
    short_side: int = 256
    size: int = 224
    low: float = -1.0
    high: float = 1.0
    resize: str = "short_side"
    interpolation: str = "bilinear"

    def __post_init__(self):
        if self.stream not in STREAMS:
            raise ValueError(f"`stream` must be one of {STREAMS}. Received: stream={self.stream!r}")
        if not isinstance(self.name, str):
            raise ValueError(f"`name` must be a string. Received: name={self.name!r}")
        for field in ("fps", "short_side", "size", "low", "high"):
            check_number(field, getattr(self, field))
        for field in ("short_side", "size"):
            value = getattr(self, field)
            if not isinstance(value, numbers.Integral):
                raise ValueError(f"`{field}` must be a whole number. Received: {field}={value!r}")
            object.__setattr__(self, field, int(value))
        for field in ("fps", "low", "high"):  # JSON has no numbers of NumPy and no fractions
            if not isinstance(getattr(self, field), (int, float)):
                object.__setattr__(self, field, float(getattr(self, field)))
        if not self.fps > 0:
            raise ValueError(f"`fps` must be above 0. Received: fps={self.fps!r}")
        if not 1 <= self.size <= self.short_side:
            raise ValueError(
                "`size` must be at least 1 and no more than `short_side`. "
                f"Received: size={self.size!r}, short_side={self.short_side!r}"
            )
        if not self.low < self.high:
            raise ValueError(
                f"`low` must be below `high`. Received: low={self.low!r}, high={self.high!r}"
            )
        check_resize(self.resize, self.interpolation)
        if self.resize == "stretch" and self.short_side != self.size:
            raise ValueError(
                "`short_side` must be `size` where resize='stretch'. "
                f"Received: short_side={self.short_side!r}, size={self.size!r}"
            )

    @property
    def channels(self) -> int:
        """Channels of a clip: 3 for rgb, 2 for flow (x, then y)."""
        return 3 if self.stream == "rgb" else 2

    @property
    def reading(self) -> dict[str, Any]:
        """The arguments of `read_frames` that this spec sets."""
        names = ("fps", "short_side", "resize", "interpolation")
        return {name: getattr(self, name) for name in names}

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) of a picture after the resize and before the crop."""
        return resized((height, width), self.short_side, self.resize)

    def for_flow(self) -> "ClipSpec":
        """The spec of the flow beside this rgb stream: the same frames, in -1 to 1."""
        name = f"{self.name}_flow"
        return dataclasses.replace(self, name=name, stream="flow", low=-1.0, high=1.0)

    def normalize(self, clip: Any, *, out: Any = None) -> Any:
        """Scales uint8 pixels, 0 to 255, to float32 values, `low` to `high`; fills `out` if set."""
        scale = np.float32((self.high - self.low) / 255.0)
        # Only one array of this size is allocated: a clip of 10 s takes 150 MB.
        values = np.multiply(clip, scale, out=out, dtype=np.float32)
        values += np.float32(self.low)
        return values

    def denormalize(self, clip: Any) -> Any:
        """The inverse of `normalize`: values `low` to `high` back to uint8 pixels, rounded."""
        pixels = (np.asarray(clip, np.float32) - self.low) * (255.0 / (self.high - self.low))
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON-ready dictionary; `ClipSpec(**d)` is the inverse."""
        return dataclasses.asdict(self)


# Limits for specs in files. Beyond them a network would exhaust the memory or run for days.
MAX_FPS, MAX_SIDE = 1000, 2048
_KINDS = {
    **dict.fromkeys(("name", "stream", "resize", "interpolation"), str),
    **dict.fromkeys(("fps", "low", "high"), float),
    **dict.fromkeys(("short_side", "size"), int),
}
_DEFAULTS = {
    field.name: field.default
    for field in dataclasses.fields(ClipSpec)
    if field.default is not dataclasses.MISSING
}


def parse_spec(name, fields):
    """The `ClipSpec` of a dictionary from a file, which may contain values of any type.

    Args:
        name: The name of the dictionary, for the error.
        fields: As returned by `ClipSpec.to_dict`; fields with defaults may be missing in files of
            earlier versions.

    Raises:
        ValueError: If a field is unknown, of a wrong type, or outside the limits of this module.

    Example:

    >>> parse_spec("clip_spec", {"name": "mine", "fps": 12.5}).fps
    12.5
    """
    fields = _DEFAULTS | fields if isinstance(fields, dict) else fields
    check_fields(name, fields, _KINDS)
    spec = ClipSpec(**fields)
    check_limits(spec)
    return spec


def check_limits(spec):
    """Raises `ValueError` for a `ClipSpec` beyond the limits of specs in files."""
    if not (spec.fps <= MAX_FPS and spec.short_side <= MAX_SIDE):
        raise ValueError(
            f"`fps` must be at most {MAX_FPS} and `short_side` at most {MAX_SIDE}. Received: "
            f"fps={spec.fps!r}, short_side={spec.short_side!r}"
        )


def check_resize(resize, interpolation):
    """Raises `ValueError` unless both are among `RESIZES` and `INTERPOLATIONS`."""
    if resize not in RESIZES:
        raise ValueError(f"`resize` must be one of {RESIZES}. Received: resize={resize!r}")
    if interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"`interpolation` must be one of {INTERPOLATIONS}. "
            f"Received: interpolation={interpolation!r}"
        )


def resized(size, short_side, resize="short_side"):
    """The (height, width) of a picture after a resize.

    `"short_side"` rounds the other side, halves up; `"height"` rounds it down to an even number, at
    least 2.
    """
    height, width = size
    if resize == "stretch":
        return short_side, short_side
    if resize == "height":
        return short_side, max(2, width * short_side // height // 2 * 2)
    smaller = min(size)
    return tuple((2 * side * short_side + smaller) // (2 * smaller) for side in size)


DEEPMIND = ClipSpec("deepmind")

# Flow between the frames of the clip above, in pixels, clipped at 20.
DEEPMIND_FLOW = ClipSpec("deepmind_flow", stream="flow")
FLOW_BOUND = 20.0

# MediaPipe's graph outputs rgb in [0, 1] and flow in [-20, 20]; callers scale both to [-1, 1].
MEDIAPIPE = ClipSpec("mediapipe", resize="height", interpolation="area_cubic")

# FVD takes frames at any rate; `fps` is that of the Kinetics videos its network was trained on.
FVD = ClipSpec("fvd", short_side=224, resize="stretch")

# Google's ImageNet network of 2014 reads RGB minus 117.
INCEPTION5H = ClipSpec("inception5h", low=-117.0, high=138.0)

SPECS = {spec.name: spec for spec in (DEEPMIND, DEEPMIND_FLOW, MEDIAPIPE, FVD, INCEPTION5H)}


def as_spec(spec: Any, *, argument: str = "spec") -> ClipSpec:
    """The spec itself, or the one of `SPECS` that a name stands for.

    Args:
        spec: A `ClipSpec`, or its name.
        argument: Its name in the error.

    Raises:
        ValueError: If it is neither; the error lists the names.

    Example:

    >>> as_spec("deepmind").size
    224
    """
    if isinstance(spec, ClipSpec):
        return spec
    if isinstance(spec, str) and spec in SPECS:
        return SPECS[spec]
    near = difflib.get_close_matches(spec, SPECS, cutoff=0.4) if isinstance(spec, str) else ()
    hint = f". Did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"`{argument}` must be a ClipSpec, such as model.clip_spec, or one of {tuple(SPECS)}. "
        f"Received: {argument}={spec!r}{hint}"
    )


def as_streams(streams: str | Iterable[str]) -> tuple[str, ...]:
    """A tuple of names from `STREAMS`, in their order.

    Args:
        streams: A name, several with commas between them, or an iterable of names, in any order;
            `"both"` means all.

    Raises:
        ValueError: If there is no name, or one is unknown or repeated.

    Example:

    >>> as_streams("flow"), as_streams("rgb,flow"), as_streams(["flow", "rgb"])
    (('flow',), ('rgb', 'flow'), ('rgb', 'flow'))
    """
    if isinstance(streams, str):
        names = STREAMS if streams == "both" else tuple(streams.split(","))
    else:
        names = tuple(map(str, streams)) if isinstance(streams, Iterable) else ()
    chosen = tuple(stream for stream in STREAMS if stream in names)
    if chosen and len(chosen) == len(names):
        return chosen
    raise ValueError(
        f"`streams` must be 'rgb', 'flow' or 'rgb,flow'. Received: streams={streams!r}"
    )


def rate_ratio(fast, slow):
    """How many times a frame rate is another one, a whole number, or None.

    Rates are often typed with a few decimals: 23.976 is 10 times 2.3976.

    Example:

    >>> rate_ratio(23.976, 2.3976), rate_ratio(25, 10)
    (10, None)
    """
    ratio = float(fast) / float(slow)
    whole = round(ratio)
    return whole if whole and math.isclose(ratio, whole, rel_tol=1e-6) else None


def as_rate(fps):
    """A frame rate as an exact `fractions.Fraction`; `ValueError` if it is not above 0.

    Example:

    >>> as_rate(30000 / 1001)
    Fraction(30000, 1001)
    """
    try:
        # 1001 is the denominator of NTSC's rates.
        is_exact = isinstance(fps, fractions.Fraction)
        fps = fps.item() if isinstance(fps, np.generic) else fps
        if isinstance(fps, bool):
            raise TypeError
        rate = fps if is_exact else fractions.Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        rate = fractions.Fraction(0)  # text, nan, infinity
    if not rate > 0:
        raise ValueError(f"`fps` must be a number above 0. Received: fps={fps!r}")
    return rate
