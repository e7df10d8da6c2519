"""`ClipSpec`: how a clip is sampled from a video, sized, cropped and scaled.

The release's numbers: https://github.com/google-deepmind/kinetics-i3d (README, "Sample data and
preprocessing").
"""

import dataclasses

import numpy as np

STREAMS = ("rgb", "flow")


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """A frozen recipe from a video to the values that a model reads; weights carry theirs.

    Args:
        name: What people call this recipe, such as `"deepmind"`.
        stream: `"rgb"` or `"flow"`.
        fps: Frames a second, sampled by presentation time.
        short_side: Pixels of the smaller side after a bilinear resize that keeps the aspect.
        size: Pixels of the square crop; the centre at test, random in training.
        low: The value of a black pixel (0).
        high: The value of a white pixel (255).

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

    @property
    def channels(self):
        """Channels of a clip: 3 for rgb, 2 for flow (x, then y)."""
        return 3 if self.stream == "rgb" else 2

    def normalize(self, clip):
        """Scales pixels to this spec's range.

        Args:
            clip: uint8 array of any shape, 0 to 255.

        Returns:
            float32 array of the same shape, `low` to `high`.
        """
        scale = np.float32((self.high - self.low) / 255.0)
        return np.asarray(clip, np.float32) * scale + np.float32(self.low)

    def denormalize(self, clip):
        """The inverse of `normalize`: values `low` to `high` back to uint8 pixels, rounded."""
        pixels = (np.asarray(clip, np.float32) - self.low) * (255.0 / (self.high - self.low))
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)

    def to_dict(self):
        """The fields as a JSON-ready dictionary; `ClipSpec(**d)` is the inverse."""
        return dataclasses.asdict(self)


DEEPMIND = ClipSpec("deepmind")

# Google's ImageNet network of 2014 reads RGB minus 117.
INCEPTION5H = ClipSpec("inception5h", low=-117.0, high=138.0)

SPECS = {spec.name: spec for spec in (DEEPMIND, INCEPTION5H)}
