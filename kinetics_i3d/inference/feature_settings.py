"""`FeatureSettings`: all that the features of a video depend on, without the network; no Keras."""

import dataclasses
import fractions
import typing

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.inference.feature_metadata import frame_rate
from kinetics_i3d.inference.feature_options import CROPS, FeatureOptions, frame_count
from kinetics_i3d.inference.feature_windows import SlidingWindows

FORMAT = 1  # of the metadata; a part of the content key
PLACES = {  # along the longer side, along the shorter one
    (0.5, 0.5): "center",
    (0.0, 0.5): "start",
    (1.0, 0.5): "end",
    (0.0, 0.0): "start_start",
    (0.0, 1.0): "start_end",
    (1.0, 0.0): "end_start",
    (1.0, 1.0): "end_end",
}


@dataclasses.dataclass(frozen=True)
class FeatureSettings:
    """What features are computed of frames, and by which weights.

    Args:
        options: A `FeatureOptions`.
        specs: `StreamSpecs` of the weights, of one frame rate.
        weights: {stream: {"name": ..., "sha256": ...}}.
        dtypes: {stream: the dtypes that its network computes in}.
        fewest: Frames of the shortest clip that all networks read.
    """

    options: FeatureOptions
    specs: StreamSpecs
    weights: dict
    dtypes: dict
    fewest: int

    @property
    def view(self):
        """The `View` of the crops."""
        return CROPS[self.options.views]

    @property
    def spec_rate(self) -> fractions.Fraction:
        """Frames a second of the specs."""
        return as_rate(self.specs.fastest.fps)

    def rate(self, video=None):
        """Frames a second of a video as it is sampled; of None as far as that is known."""
        fps = self.options.fps
        if fps == "source":
            return self.spec_rate if video is None else frame_rate(video)
        return self.spec_rate if fps is None else as_rate(fps)

    def windows(self, video, rate=None):
        """The `SlidingWindows` over a video; with `fps="source"` they depend on its rate."""
        options, specs = self.options, self.specs
        rate = self.rate(video) if rate is None else rate
        if rate != self.spec_rate:
            sampled = {
                stream: dataclasses.replace(spec, fps=float(rate)) for stream, spec in specs.items()
            }
            specs = StreamSpecs(sampled, apart=True)
        window = frame_count("window", options.window, rate)
        if window < self.fewest:
            raise VideoError(
                f"{video}: {options.window} are {window} frames at {float(rate):g} a second, and "
                f"{options.endpoint} needs {self.fewest}"
            )
        return SlidingWindows(
            specs,
            self.view,
            window,
            frame_count("stride", options.stride, rate),
            align=options.align,
            tail=options.tail,
            short=options.short,
        )

    def fields(self, windows: SlidingWindows, identity: dict) -> dict[str, typing.Any]:
        """All that features depend on, JSON-ready; `identity` is the video's, see `identify`."""
        options = self.options
        return {
            "format": FORMAT,
            "video": identity["video"],
            "weights": self.weights,
            "clip_specs": {stream: spec.to_dict() for stream, spec in windows.specs.items()},
            "endpoint": options.endpoint,
            "pool": options.pool,
            "window": _length(windows.window, windows.rate),
            "stride": _length(windows.stride, windows.rate),
            "align": options.align,
            "views": [
                PLACES[place] + "_mirrored" * flip
                for place in self.view.crops
                for flip in self.view.flips
            ],
            "tail": options.tail,
            "short": options.short,
            "dtypes": self.dtypes,
            "flow": identity["flow"],
        }


def _length(frames, rate):
    return {"frames": frames, "seconds": float(frames / rate)}
