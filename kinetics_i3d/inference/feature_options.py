"""`FeatureOptions`, the settings of timed features; `Features`, the result; `frame_count`."""

import dataclasses
import fractions
import re

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate, as_streams
from kinetics_i3d.core.types import check_count
from kinetics_i3d.data.views import THREE, VIEWS, View

POOLS = ("all", "spatial", "none")
TAILS = ("pad", "drop", "overlap")
SHORTS = ("loop", "pad", "error")
ALIGNS = ("start", "center")
CROPS = {"center": VIEWS["center"], "three_crop": View(crops=THREE), "ten_crop": VIEWS["ten_crop"]}
WHOLE = "whole"  # as a window: one pass over the whole video
BATCH_FRAMES = 250  # per call of the network: the length of the paper's longest clip
MAX_FRAMES = 20_000  # per window: 12 GB of values at 224 x 224
SECONDS = re.compile(r"\s*(\d+(?:\.\d+)?)\s*s\s*")


@dataclasses.dataclass(frozen=True)
class FeatureOptions:
    """The keyword arguments of `extract_features`, checked."""

    endpoint: str = "Mixed_5c"
    pool: str = "all"
    window: int | str = 64
    stride: int | str = 16
    fps: float | str | None = None
    align: str = "start"
    views: str = "center"
    tail: str = "pad"
    short: str = "loop"
    streams: tuple | str | None = None
    batch_frames: int = BATCH_FRAMES

    @property
    def _nominal_rate(self):
        """The rate at which lengths in seconds are checked; 25 fps if it depends on the video."""
        return 25 if self.fps is None or isinstance(self.fps, str) else as_rate(self.fps)

    def __post_init__(self):
        choices = {
            "pool": POOLS,
            "align": ALIGNS,
            "views": (*CROPS,),
            "tail": TAILS,
            "short": SHORTS,
        }
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                raise ValueError(f"`{name}` must be one of {allowed}. Received: {name}={value!r}")
        if self.window == WHOLE:
            self._check_whole()
        else:
            frame_count("window", self.window, self._nominal_rate)
        frame_count("stride", self.stride, self._nominal_rate)
        batch_frames = check_count("batch_frames", self.batch_frames)
        object.__setattr__(self, "batch_frames", batch_frames)
        if isinstance(self.fps, str) and self.fps != "source":
            raise ValueError(
                f"`fps` must be a number above 0, 'source' or None. Received: fps={self.fps!r}"
            )
        if self.fps is not None and self.fps != "source":
            as_rate(self.fps)
        if self.streams is not None:
            object.__setattr__(self, "streams", as_streams(self.streams))

    def _check_whole(self):
        """Raises an error if an option for windows is set."""
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        for name in ("stride", "align", "tail"):
            if getattr(self, name) != defaults[name]:
                raise ValueError(
                    f"`{name}` must be left out with window={WHOLE!r}, whose rows are the time "
                    f"steps of the endpoint. Received: {name}={getattr(self, name)!r}"
                )


@dataclasses.dataclass(frozen=True, eq=False)
class Features:
    """The features of one video, a row for each window or time step.

    Args:
        features: float32 array, `(windows[, time[, height, width]][, views], channels)`. The
            channels of rgb precede those of flow.
        start: float64 array (windows,): seconds of the source video, from its first picture, at
            which the first frame of the window begins.
        end: float64 array (windows,): seconds at which its last frame of the video ends.
        center: float64 array (windows,): the middle of both; for windows that are centered on a
            frame, the middle of that frame.
        metadata: A JSON-ready dictionary: how the features were computed, and `key`, which
            identifies everything that the features depend on.

    Example:

    >>> rows = ki3d.extract_features(folder / "video.mp4", folder / "mine.h5", window=16)
    >>> len(rows), rows.metadata["endpoint"]
    (2, 'Mixed_5c')
    """

    features: np.ndarray
    start: np.ndarray
    end: np.ndarray
    center: np.ndarray
    metadata: dict

    def __len__(self):
        return len(self.features)


def frame_count(name, value, rate):
    """The number of frames in a length that is given in frames, or in seconds such as "2.56s".

    Args:
        name: `"window"` or `"stride"`, for the error.
        value: The length.
        rate: Frames per second, an int or a fraction.
    """
    count = 0
    if isinstance(value, str):
        match = SECONDS.fullmatch(value)
        if match is not None and float(match[1]) > 0:
            count = max(1, int(fractions.Fraction(match[1]) * rate + fractions.Fraction(1, 2)))
    elif isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= 1:
        count = int(value)
    if name == "window" and count > MAX_FRAMES:
        raise ValueError(
            f"`window` must be at most {MAX_FRAMES} frames; window={WHOLE!r} reads any video in "
            f"bounded memory. Received: window={value!r}"
        )
    if count:
        return count
    raise ValueError(
        f"`{name}` must be a whole number of frames above 0, or seconds such as '2.56s'"
        + (f", or {WHOLE!r}. " if name == "window" else ". ")
        + f"Received: {name}={value!r}"
    )
