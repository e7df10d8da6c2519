"""`WholeVideoExtractor`: one convolutional pass over a whole video, in bounded memory.

The network runs over stretches of the video that overlap by its receptive field. Every time step is
taken from a stretch whose borders do not change it, so that the rows are those of one pass.
"""

import collections
import contextlib
import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import count_frames, no_flow
from kinetics_i3d.data.views import View
from kinetics_i3d.inference.feature_options import WHOLE
from kinetics_i3d.inference.feature_windows import timed_crops
from kinetics_i3d.inference.features import FeatureExtractor
from kinetics_i3d.inference.time_axis import TimeAxis, fewest_frames, plan_chunks, time_axis
from kinetics_i3d.video.reader import timed_frames


class WholeVideoExtractor(FeatureExtractor):
    """As `FeatureExtractor`, with a row for each time step of one pass over the whole video."""

    def windows(self, video):
        """The `Stretches` of a video."""
        return Stretches(
            self._specs_at(self._rate_of(video)),
            self.view,
            self._axis,
            most=self.options.batch_frames,
            fewest=self._fewest,
            short=self.options.short,
        )

    def batches(self, video):
        """Yields (clips, spans) for each network call; the part that decodes.

        The clips are a `StretchClips` of one view; the spans are (start, end, center) of the time
        steps that are kept of it. Views of a stretch follow each other.
        """
        with contextlib.closing(self.windows(video).read(video)) as stretches:
            for frames, kept, spans in stretches:
                for clip in self._views(frames):
                    yield StretchClips([clip], kept), spans

    def predict(self, clips):
        """The pooled activations of the time steps that are kept of a stretch, rgb first."""
        return super().predict(clips)[0, clips.kept]

    def finish(self, metadata, outputs, spans):
        """As `FeatureExtractor.finish`, of rows whose views lie a stretch apart."""
        order = np.argsort([start for start, *_ in spans], kind="stable")
        rows = np.concatenate(outputs)[order] if self.view_count > 1 else np.concatenate(outputs)
        return super().finish(metadata, [rows], [spans[index] for index in order])

    def _axes(self, values):
        views = ["view"] if self.view_count > 1 else []
        return ["time", *["height", "width"][: values.ndim - 2 - len(views)], *views, "channel"]

    def _axis(self, frames):
        """The `TimeAxis` of the networks of all streams."""
        axes = [time_axis(network, frames) for network in self._networks.values()]
        return None if None in axes else functools.reduce(TimeAxis.joined, axes)

    def _check_length(self):
        options = self.options
        axis = self._axis(options.batch_frames)
        if axis is None:
            raise ValueError(
                f"`endpoint` must have a time axis with window={WHOLE!r}, as Mixed_5c has and "
                "Conv3d_0c_1x1, the logits of each step. "
                f"Received: endpoint={options.endpoint!r}"
            )
        fixed = {network.input_shape[1] for network in self._networks.values()} - {None}
        if fixed:
            raise ValueError(
                f"`window` must be {min(fixed)}, the only length of clips that the network reads. "
                f"Received: window={options.window!r}"
            )
        # The phase of the grid, and with it the borders, depend on the length of the video.
        lengths = range(options.batch_frames, options.batch_frames + axis.stride)
        least = max(fewest_frames(self._axis(length)) for length in lengths)
        if options.batch_frames < least:
            raise ValueError(
                f"`batch_frames` must be at least {least} with window={WHOLE!r} and "
                f"endpoint={options.endpoint!r}. Received: batch_frames={options.batch_frames!r}"
            )

    def _window_settings(self, windows):
        stride = self._axis(windows.most).stride
        return {
            "window": WHOLE,
            "stride": {"frames": stride, "seconds": float(stride / windows.rate)},
        }

    def _pooled(self, output):
        """(clips, time, height, width, channels) averaged over space, unless nothing is."""
        return output if self.options.pool == "none" else output.mean(axis=(2, 3), dtype=np.float32)


class StretchClips(list):
    """The clips of a stretch, and `kept`, the time steps of the output that are rows."""

    def __init__(self, clips, kept):
        super().__init__(clips)
        self.kept = kept


@dataclasses.dataclass(frozen=True)
class Stretches:
    """The stretches of a video that a network runs over, decoded once after they were planned.

    Args:
        specs: `StreamSpecs` of one frame rate.
        view: A `View`, whose crops each frame is cut into.
        axis: Function from the length of a clip to the `TimeAxis` of the network's output.
        most: Frames of a stretch at most.
        fewest: Frames that the network needs.
        short: As for `extract_features`, of a video that has fewer.
    """

    specs: StreamSpecs
    view: View
    axis: Callable[[int], TimeAxis | None]
    most: int
    fewest: int = 1
    short: str = "loop"

    @property
    def rate(self):
        """Frames a second."""
        return as_rate(self.specs.fastest.fps)

    def count(self, video):
        """About how many time steps a video has, by its header; None where that does not tell."""
        frames = count_frames(video, self.specs)
        return self.axis(max(frames, self.fewest)).steps if frames else None

    def read(self, video):
        """Yields (frames, kept, spans) of each stretch, `most` frames of it in memory.

        A frame is a list of {stream: square}, one for each crop; kept is the slice of the time
        steps of the output that are rows, and spans are their (start, end, center).
        """
        total = self._count_exactly(video)
        length = max(total, self.fewest)
        axis = self.axis(length)
        chunks = collections.deque(plan_chunks(axis, length, max(self.most, self.fewest)))
        recent: collections.deque = collections.deque(maxlen=chunks[0].stop)
        count = 0
        with contextlib.closing(timed_crops(video, self.specs, self.view.crops)) as frames:
            for frame in frames:
                recent.append(frame)
                count += 1
                if chunks and count == min(chunks[0].stop, total):
                    chunk = chunks.popleft()
                    spans = [
                        _span(recent, chunk.start, step, axis)
                        for step in range(chunk.first_step, chunk.stop_step)
                    ]
                    yield self._filled([crops for *_, crops in recent], video), chunk.kept, spans
        if count != total:
            raise VideoError(
                f"{video}: {count} frames, where {total} were counted before; has the file changed?"
            )

    def _count_exactly(self, video):
        """Frames that will be read: the phase of the grid depends on the last of them."""
        reading = self.specs[self.specs.streams[0]].reading
        with contextlib.closing(timed_frames(video, pixels=False, **reading)) as timed:
            count = sum(1 for _ in timed)
        if "flow" in self.specs:
            count -= 1
            if not count:
                raise no_flow(video)
        return count

    def _filled(self, frames, video):
        """The frames of a video that is too short, looped or with the last one repeated."""
        missing = self.fewest - len(frames)
        if missing <= 0:
            return frames
        if self.short == "error":
            raise VideoError(
                f"{video}: {len(frames)} frames at {float(self.rate):g} a second, and the network "
                f"needs {self.fewest}; short='loop' and short='pad' fill it"
            )
        fill = frames * self.fewest if self.short == "loop" else frames[-1:] * missing
        return frames + fill[:missing]


def _span(frames, start, step, axis):
    """(start, end, center) of a time step, of (begin, end, crops) of the frames from `start` on."""
    first = step * axis.stride - start
    last = min(first + axis.span, len(frames)) - 1
    begin, end = frames[min(first, last)][0], frames[last][1]
    return begin, end, (begin + end) / 2
