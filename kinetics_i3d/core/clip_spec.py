"""`ClipSpec`: how a clip is sampled from a video, resized, cropped and scaled.

The release's numbers: https://github.com/google-deepmind/kinetics-i3d (README, "Sample data and
preprocessing"). MediaPipe's graph: https://github.com/google-ai-edge/mediapipe (`media_sequence`).
FVD: https://arxiv.org/abs/1812.01717.
"""

import dataclasses
import fractions
from typing import Any

import numpy as np

STREAMS = ("rgb", "flow")
RESIZES = ("short_side", "height", "stretch")
INTERPOLATIONS = ("bilinear", "area_cubic")


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """How a video becomes the values that a model reads; weights carry their own spec.

    Args:
        name: The name of the spec, such as `"deepmind"`.
        stream: `"rgb"` or `"flow"`.
        fps: Frames a second, sampled by presentation time.
        short_side: Pixels of the side that `resize` names; for `"stretch"` of both sides, equal to
            `size`.
        size: Pixels of the square crop, the centre one at test and random in training.
        low: The value of a black pixel (0).
        high: The value of a white pixel (255).
        resize: `"short_side"` resizes the smaller side to `short_side` and keeps the aspect ratio;
            `"height"` resizes the height, with a width cut down to an even number, as MediaPipe
            does; `"stretch"` resizes both sides, whatever the aspect ratio.
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

    def normalize(self, clip: Any) -> Any:
        """Scales uint8 pixels, 0 to 255, to float32 values, `low` to `high`."""
        scale = np.float32((self.high - self.low) / 255.0)
        # One array of that size and no more: a clip of 10 s has 150 MB.
        values = np.multiply(clip, scale, dtype=np.float32)
        values += np.float32(self.low)
        return values

    def denormalize(self, clip: Any) -> Any:
        """The inverse of `normalize`: values `low` to `high` back to uint8 pixels, rounded."""
        pixels = (np.asarray(clip, np.float32) - self.low) * (255.0 / (self.high - self.low))
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)

    def to_dict(self) -> dict[str, Any]:
        """The fields as a JSON-ready dictionary; `ClipSpec(**d)` is the inverse."""
        return dataclasses.asdict(self)


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

# Its graph outputs rgb in [0, 1] and flow in [-20, 20]; its caller scales both to [-1, 1].
MEDIAPIPE = ClipSpec("mediapipe", resize="height", interpolation="area_cubic")

# FVD takes frames at any rate; `fps` is that of the Kinetics videos its network was trained on.
FVD = ClipSpec("fvd", short_side=224, resize="stretch")

# Google's ImageNet network of 2014 reads RGB minus 117.
INCEPTION5H = ClipSpec("inception5h", low=-117.0, high=138.0)

SPECS = {spec.name: spec for spec in (DEEPMIND, DEEPMIND_FLOW, MEDIAPIPE, FVD, INCEPTION5H)}


def as_rate(fps):
    """A frame rate as an exact `fractions.Fraction`; `ValueError` if it is not above 0.

    Example:

    >>> as_rate(30000 / 1001)
    Fraction(30000, 1001)
    """
    try:
        # 1001 is the denominator of NTSC's rates.
        is_exact = isinstance(fps, fractions.Fraction)
        rate = fps if is_exact else fractions.Fraction(fps).limit_denominator(1001)
    except (TypeError, ValueError, OverflowError):
        rate = fractions.Fraction(0)  # text, nan, infinity
    if not rate > 0:
        raise ValueError(f"`fps` must be a number above 0. Received: fps={fps!r}")
    return rate
