"""`SlidingWindows`: the frames and the times of each window of a video, in bounded memory.

`CroppedVideo` holds decoded crops, and takes the place of a path where another process has decoded
the video.
"""

import collections
import contextlib
import dataclasses
import fractions

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import count_frames, read_streams
from kinetics_i3d.data.views import View, cropped_frames
from kinetics_i3d.video.reader import timed_frames


@dataclasses.dataclass(frozen=True)
class SlidingWindows:
    """Windows of frames that slide over a video, decoded once.

    Args:
        specs: `StreamSpecs` of one frame rate.
        view: A `View`, whose crops are taken from each frame.
        window: Frames of a window.
        stride: Frames from one window to the next.
        align: `"start"`, the first window begins with the video; `"center"`, it is centered on the
            first frame, and the first and the last frame are repeated beyond the ends of the video.
        tail: As for `extract_features`, if windows are aligned at their start.
        short: As for `extract_features`.
    """

    specs: StreamSpecs
    view: View
    window: int
    stride: int
    align: str = "start"
    tail: str = "pad"
    short: str = "loop"

    @property
    def rate(self) -> fractions.Fraction:
        """Frames per second."""
        return as_rate(self.specs.fastest.fps)

    def count(self, video):
        """The approximate number of windows of a video by its header; None if unknown."""
        cropped = isinstance(video, CroppedVideo)
        frames = video.count if cropped else count_frames(video, self.specs)
        if not frames:
            return None
        if self.align == "center":
            return -(-frames // self.stride)
        return max(1, (frames - self.window) // self.stride + 1)

    def read(self, video):
        """Yields (frames, (start, end, center)) of each window, with `window` frames in memory.

        A frame is a list of {stream: square}, one for each crop.
        """
        if self.align == "center":
            yield from self._centered(video)
            return
        recent: collections.deque = collections.deque(maxlen=self.window)
        count, start = 0, 0  # frames so far; the first of the next window
        with contextlib.closing(timed_crops(video, self.specs, self.view.crops)) as frames:
            for frame in frames:
                recent.append(frame)
                count += 1
                if count == start + self.window:
                    yield _window(recent, self.window)
                    start += self.stride
        if count < self.window:
            self._check_length(video, count)
            yield _window(recent, self.window, loop=self.short == "loop")
        elif count > start - self.stride + self.window:
            if self.tail == "overlap":
                yield _window(recent, self.window)
            elif self.tail == "pad" and count > start:
                yield _window(list(recent)[start - count :], self.window)

    def _centered(self, video):
        """As `read`, for windows around every `stride`-th frame."""
        before = self.window // 2
        after = self.window - 1 - before
        recent: collections.deque = collections.deque(maxlen=self.window)
        count = 0  # frames so far, those after the end included

        def completed():
            middle = count - 1 - after  # the frame that the window is centered on
            if middle >= 0 and middle % self.stride == 0:
                begin, end, _ = recent[before]
                frames, (first, last, _) = _window(recent, self.window)
                yield frames, (first, last, (begin + end) / 2)

        with contextlib.closing(timed_crops(video, self.specs, self.view.crops)) as frames:
            for frame in frames:
                if not recent:
                    recent.extend([frame] * before)
                recent.append(frame)
                count += 1
                yield from completed()
        if count < self.window:
            self._check_length(video, count)
        for _ in range(after):
            recent.append(recent[-1])
            count += 1
            yield from completed()

    def _check_length(self, video, count):
        if self.short == "error":
            raise VideoError(
                f"{video}: {count} frames at {float(self.rate):g} fps, but a window has "
                f"{self.window}; short='loop' or short='pad' extends the video"
            )


def specs_at(specs, rate):
    """The `StreamSpecs` with this frame rate."""
    if rate == as_rate(specs.fastest.fps):
        return specs
    sampled = {stream: dataclasses.replace(spec, fps=float(rate)) for stream, spec in specs.items()}
    return StreamSpecs(sampled, apart=True)


def timed_crops(video, specs, crops, *, workers=None):
    """Yields (begin, end, [{stream: square} for each crop]) of each frame.

    If flow is read, the last frame is left out, since it has none. Flow is computed for `workers`
    pairs of frames at the same time, by default one pair per processor.
    """
    if isinstance(video, CroppedVideo):
        yield from video.frames()
        return
    clock: collections.deque = collections.deque()

    def joined():
        timed = timed_frames(video, pixels="rgb" in specs, **specs[specs.streams[0]].reading)
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.closing(timed))
            if "flow" not in specs:
                flows = None
            else:
                flows = read_streams(video, StreamSpecs(specs["flow"]), workers=workers)
                stack.enter_context(contextlib.closing(flows))
            for begin, end, frame in timed:
                pictures = {"rgb": frame} if "rgb" in specs else {}
                if flows is not None:
                    flow = next(flows, None)
                    if flow is None:
                        return
                    pictures |= flow
                clock.append((float(begin), float(end)))
                yield pictures

    with contextlib.closing(cropped_frames(joined(), crops, specs, video)) as cropped:
        for squares in cropped:
            yield *clock.popleft(), squares


def _window(frames, window, loop=False):
    """(frames, (start, end, center)); missing frames are looped, or the last one is repeated."""
    frames = list(frames)
    crops = [crops for *_, crops in frames]
    indices = np.arange(window)
    indices = indices % len(crops) if loop else np.minimum(indices, len(crops) - 1)
    start, end = frames[0][0], frames[-1][1]
    return [crops[index] for index in indices], (start, end, (start + end) / 2)


@dataclasses.dataclass(frozen=True, eq=False)
class CroppedVideo:
    """The crops of a video's frames, instead of its path.

    Args:
        name: Its name in errors.
        identity: The result of `identify` for the file.
        first_picture: The result of `first_picture_time`.
        rate: Frames per second: the result of `frame_rate`, or the rate of the clip spec.
        count: The number of frames, by the header if known.
        times: float64 array (frames, 2): the seconds at which each frame begins and ends.
        crops: {stream: uint8 array (frames, crops, size, size, channels)}.
    """

    name: str
    identity: dict
    first_picture: float | None
    rate: fractions.Fraction
    count: int
    times: np.ndarray
    crops: dict

    def __str__(self):
        return self.name

    def frames(self):
        """Yields (begin, end, [{stream: square} for each crop]), as `timed_crops` does."""
        count = next(iter(self.crops.values())).shape[1]
        for index, (begin, end) in enumerate(self.times.tolist()):
            parts = [
                {stream: crops[index, crop] for stream, crops in self.crops.items()}
                for crop in range(count)
            ]
            yield begin, end, parts
