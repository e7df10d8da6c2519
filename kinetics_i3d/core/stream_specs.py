"""`StreamSpecs`: the compatible `ClipSpec`s of one or several streams.

Carreira & Zisserman, CVPR 2017, section 2.5: both streams see the same crop of the same frames in
training; table 1: systems (c) and (d) read one frame per ten flows. At test time, the streams of a
Two-Stream I3D, which were trained separately, may have different sizes.
"""

import fractions
from collections.abc import Iterator, Mapping
from typing import Any

from kinetics_i3d.core.clip_spec import ClipSpec, as_rate, as_spec, as_streams, rate_ratio
from kinetics_i3d.core.types import Streams

_SHARED = ("short_side", "size", "resize", "interpolation")


class StreamSpecs(Mapping):
    """A read-only `{stream: ClipSpec}` in the order of `STREAMS`.

    Clips of several streams are a dictionary `{stream: clips}`, those of one stream a single array.
    `wrap` and `unwrap` convert between the two, so that the code in between uses only dictionaries.

    Args:
        spec: `{stream: ClipSpec}`, such as `model.clip_specs`; or one `ClipSpec`, which is used for
            its own stream and, with the range -1 to 1, for flow beside rgb. A name in `SPECS` may
            stand for a `ClipSpec`.
        streams: Names of streams, as `as_streams` takes them; None for all of `spec`.
        apart: Whether streams may be resized and cropped differently, as at test time.

    Raises:
        ValueError: If `streams` is empty, unknown or repeated, a spec is missing or of another
            stream, two specs differ in more than range and rate without `apart`, or their rates are
            incompatible, see `strides`.

    Example:

    >>> from kinetics_i3d.core.clip_spec import DEEPMIND
    >>> specs = StreamSpecs(DEEPMIND, ("rgb", "flow"))
    >>> specs["flow"].channels, specs.streams
    (2, ('rgb', 'flow'))
    >>> specs.wrap({"rgb": 1, "flow": 2}), StreamSpecs(DEEPMIND).wrap(1)
    ({'rgb': 1, 'flow': 2}, {'rgb': 1})
    """

    def __init__(
        self,
        spec: ClipSpec | str | Mapping[str, ClipSpec | str],
        streams: Streams | None = None,
        *,
        apart: bool = False,
    ):
        if isinstance(spec, Mapping):
            available = {stream: as_spec(own) for stream, own in spec.items()}
        else:
            spec = as_spec(spec)
            available = {spec.stream: spec}
        streams = as_streams(tuple(available) if streams is None else streams)
        if isinstance(spec, ClipSpec) and spec.stream == "rgb":
            available["flow"] = spec.for_flow()
        if not set(streams) <= set(available):
            raise ValueError(
                f"`spec` must have a spec for each of the streams {streams}. Received: "
                f"spec={spec!r}"
            )
        self._specs = {stream: available[stream] for stream in streams}
        self._check(apart)

    def _check(self, apart):
        (main, first), *_ = self._specs.items()
        for stream, other in self._specs.items():
            if other.stream != stream:
                raise ValueError(f"`spec` must be for the stream {stream!r}. Received: {other!r}")
            for field in () if apart else _SHARED:
                if getattr(other, field) != getattr(first, field):
                    raise ValueError(
                        f"`spec` must have the same `{field}` for all streams. Received: "
                        f"{getattr(first, field)!r} for {main}, {getattr(other, field)!r} for "
                        f"{stream}"
                    )
        self.strides()

    def __getitem__(self, stream: str) -> ClipSpec:
        return self._specs[stream]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def __hash__(self):
        return hash(tuple(self._specs.items()))

    def __repr__(self):
        return f"StreamSpecs({self._specs!r})"

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of the streams."""
        return tuple(self._specs)

    @property
    def is_joint(self) -> bool:
        """Whether there are several streams, so that clips are dictionaries."""
        return len(self._specs) > 1

    @property
    def one_size(self) -> bool:
        """Whether all streams have the same resize, so that they read the same pictures."""
        sizes = {(spec.short_side, spec.resize, spec.interpolation) for spec in self.values()}
        return len(sizes) == 1

    @property
    def fastest(self) -> ClipSpec:
        """The spec with the highest rate, at which a video is read for all streams."""
        return max(self._specs.values(), key=lambda spec: as_rate(spec.fps))

    def strides(self, fps: float | fractions.Fraction | None = None) -> dict[str, int]:
        """The number of video frames per frame of each stream.

        The k-th rgb frame of a clip is the first frame of the k-th stack of flows.

        Args:
            fps: The frame rate at which the video is read; None is the fastest stream's.

        Returns:
            `{stream: 1 or more}`; 1 for flow, since skipping flows does not make motion larger.

        Raises:
            ValueError: If a stream's rate does not divide `fps`, or flow's differs from it.
        """
        rates = {stream: spec.fps for stream, spec in self._specs.items()}
        rate = max(rates.values()) if fps is None else fps
        exact = as_rate(rate)
        # 23.976 is as typed 10 times 2.3976, and as the rate that it stands for 24000/1001.
        steps = {
            stream: rate_ratio(rate, own) or rate_ratio(exact, as_rate(own))
            for stream, own in rates.items()
        }
        if None in steps.values() or steps.get("flow", 1) != 1:
            received = ", ".join(f"{spec.fps:g} of {name}" for name, spec in self._specs.items())
            raise ValueError(
                f"`spec` must have an `fps` that divides {float(rate):g} for rgb, and equals it "
                f"for flow. Received: {received}"
            )
        return steps

    def wrap(self, clips: Any) -> dict[str, Any]:
        """Converts the input of a model to `{stream: clips}`."""
        return dict(clips) if self.is_joint else {self.streams[0]: clips}

    def unwrap(self, clips: Mapping[str, Any]) -> Any:
        """Converts `{stream: clips}` to the input of a model: a single array for one stream."""
        return dict(clips) if self.is_joint else clips[self.streams[0]]
