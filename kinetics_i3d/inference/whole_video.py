"""`WholeVideoExtractor`: one convolutional pass over a whole video, in bounded memory.

The network runs over overlapping stretches of the video. Every time step is taken from a stretch
whose borders do not affect it, so that the rows are those of one pass.
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
from kinetics_i3d.inference.time_axis import TimeAxis, min_frames_of, plan_chunks, time_axis
from kinetics_i3d.video.reader import timed_frames


class WholeVideoExtractor(FeatureExtractor):
    """As `FeatureExtractor`, with a row for each time step of one pass over the whole video."""

    def windows(self, video):
        """The `Stretches` of a video."""
        return Stretches(
            self._specs_at(self._rate_of(video)),
            self.view,
            self._axis,
            max_frames=self.options.batch_frames,
            min_frames=self._min_frames,
            short=self.options.short,
        )

    def batches(self, video):
        """Decodes the video, and yields (inputs, spans) for each call of the network.

        The inputs are a `StretchInputs` of one view; the spans are (start, end, center) of the time
        steps that are kept. The views of a stretch are consecutive.
        """
        with contextlib.closing(self.windows(video).read(video)) as stretches:
            for frames, kept, spans in stretches:
                for crop, flip in self._views():
                    inputs = StretchInputs(self._allocate(1, len(frames)), kept)
                    self._write(frames, crop, flip, inputs, 0)
                    yield inputs, spans

    def predict(self, inputs):
        """The pooled activations of the kept time steps of a stretch, rgb first."""
        return super().predict(inputs)[0, inputs.kept]

    def finish(self, metadata, outputs, spans):
        """As `FeatureExtractor.finish`, for rows ordered by stretch, then by view."""
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
                f"`endpoint` must have a time axis with window={WHOLE!r}, such as Mixed_5c or "
                f"Conv3d_0c_1x1, the logits of each step. Received: endpoint={options.endpoint!r}"
            )
        if fixed := self._fixed_lengths():
            raise ValueError(
                f"`window` must be {min(fixed)}, the only clip length that the network reads. "
                f"Received: window={options.window!r}"
            )
        # The phase of the grid, and with it the borders, depend on the length of the video.
        lengths = range(options.batch_frames, options.batch_frames + axis.stride)
        required = max(min_frames_of(self._axis(length)) for length in lengths)
        if options.batch_frames < required:
            raise ValueError(
                f"`batch_frames` must be at least {required} with window={WHOLE!r} and "
                f"endpoint={options.endpoint!r}. Received: batch_frames={options.batch_frames!r}"
            )

    def _window_settings(self, windows):
        stride = self._axis(windows.max_frames).stride
        return {
            "window": WHOLE,
            "stride": {"frames": stride, "seconds": float(stride / windows.rate)},
        }

    def _pooled(self, output):
        """Averages (clips, time, height, width, channels) over space, unless `pool` is "none"."""
        return output if self.options.pool == "none" else output.mean(axis=(2, 3), dtype=np.float32)


class StretchInputs(dict):
    """{stream: clip of a stretch}, and `kept`, the slice of output time steps that become rows."""

    def __init__(self, inputs, kept):
        super().__init__(inputs)
        self.kept = kept


@dataclasses.dataclass(frozen=True)
class Stretches:
    """The stretches of a video that a network runs over.

    Args:
        specs: `StreamSpecs` of one frame rate.
        view: A `View`, whose crops are taken from each frame.
        axis: Function from the length of a clip to the `TimeAxis` of the network's output.
        max_frames: Maximum number of frames of a stretch.
        min_frames: Minimum number of frames that the network needs.
        short: As for `extract_features`, for shorter videos.
    """

    specs: StreamSpecs
    view: View
    axis: Callable[[int], TimeAxis | None]
    max_frames: int
    min_frames: int = 1
    short: str = "loop"

    @property
    def rate(self):
        """Frames per second."""
        return as_rate(self.specs.fastest.fps)

    def count(self, video):
        """The approximate number of time steps of a video by its header; None if unknown."""
        frames = count_frames(video, self.specs)
        return self.axis(max(frames, self.min_frames)).steps if frames else None

    def read(self, video):
        """Yields (frames, kept, spans) of each stretch, with up to `max_frames` frames in memory.

        A frame is a list of {stream: square}, one for each crop; `kept` is the slice of the output
        time steps that become rows, and `spans` are their (start, end, center).
        """
        total = self._count_exactly(video)
        length = max(total, self.min_frames)
        axis = self.axis(length)
        chunks = collections.deque(plan_chunks(axis, length, max(self.max_frames, self.min_frames)))
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
                f"{video}: {count} frames, but {total} were counted before; has the file changed?"
            )

    def _count_exactly(self, video):
        """The exact number of frames, on which the phase of the output grid depends."""
        reading = self.specs[self.specs.streams[0]].reading
        with contextlib.closing(timed_frames(video, pixels=False, **reading)) as timed:
            count = sum(1 for _ in timed)
        if "flow" in self.specs:
            count -= 1
            if not count:
                raise no_flow(video)
        return count

    def _filled(self, frames, video):
        """The frames of a stretch; if the video is too short, looped or its last frame repeated."""
        missing = self.min_frames - len(frames)
        if missing <= 0:
            return frames
        if self.short == "error":
            raise VideoError(
                f"{video}: {len(frames)} frames at {float(self.rate):g} fps, but the network "
                f"needs {self.min_frames}; short='loop' or short='pad' extends them"
            )
        fill = frames * self.min_frames if self.short == "loop" else frames[-1:] * missing
        return frames + fill[:missing]


def _span(frames, start, step, axis):
    """(start, end, center) of a time step, from the (begin, end, crops) of its frames."""
    first = step * axis.stride - start
    last = min(first + axis.span, len(frames)) - 1
    begin, end = frames[min(first, last)][0], frames[last][1]
    return begin, end, (begin + end) / 2
