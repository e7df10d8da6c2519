"""`watch`: the actions in a live video, window after window.

The preprocessing, the flow and the network are those of `classify`: a window of a file gets the
same probabilities as a video of just these frames does from `classify`.
"""

import collections
import contextlib
import dataclasses
import math
import numbers
import time
from collections.abc import Generator

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.labels import decode_predictions
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, Weights, check_count, is_number
from kinetics_i3d.data.views import MIDDLE, cropped_frames, to_model_values
from kinetics_i3d.flow.compute import flow_of_frames
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.inference.classify import class_names
from kinetics_i3d.inference.feature_options import SECONDS, frame_count
from kinetics_i3d.models.clip_model import ClipModel, check_finite_logits
from kinetics_i3d.models.load import as_model, load_model
from kinetics_i3d.models.systems import clips_at_test
from kinetics_i3d.video.clip import loop_frames
from kinetics_i3d.video.live import check_source, source_name
from kinetics_i3d.video.live_frames import LiveFrames
from kinetics_i3d.video.video_frames import VideoFrames, check_video

WINDOW = 64  # frames of a clip in training, 2.56 seconds


@dataclasses.dataclass(frozen=True)
class LivePrediction:
    """The actions in one window of a live video.

    Args:
        start: When the window begins, in seconds from the source's first picture.
        end: When it ends.
        predictions: (label, probability) of the best classes, best first.
        latency: Seconds from the arrival of the window's last picture, which is when this process
            has decoded it, to this result.
        dropped: The total number of frames dropped before this window because the network was too
            slow.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> prediction = next(ki3d.watch(folder / "video.mp4", model, window=16))
    >>> prediction.start, prediction.end, prediction.dropped
    (0.0, 0.64, 0)
    """

    start: float
    end: float
    predictions: tuple
    latency: float
    dropped: int

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return {
            "start": round(self.start, 6),
            "end": round(self.end, 6),
            "predictions": [
                {"label": label, "probability": round(probability, 6)}
                for label, probability in self.predictions
            ],
            "latency": round(self.latency, 4),
            "dropped": self.dropped,
        }


def watch(
    source: PathLike | int | VideoFrames,
    model: ClipModel | Weights | None = None,
    *,
    top: int = 5,
    window: int | str | None = None,
    every: float = 1.0,
    realtime: bool = False,
    timeout: float = 10.0,
    reconnect: bool = False,
) -> Generator[LivePrediction, None, None]:
    """Classifies the action in the latest frames of a camera, a stream or a growing file.

    Frames are decoded in a thread, sampled by the source's time stamps, and buffered in a queue of
    one window. The network reads the latest frames: if it is slower than `every`, windows are
    farther apart. If it takes longer than a whole window, the oldest waiting frames are dropped and
    counted, and the next window begins after them, so that no window has a gap. A file that is not
    played in real time waits instead, and no frames are dropped.

    Closing the generator closes the source.

    Args:
        source: The number of a camera or its device, `/dev/video0` (Linux only); an address that
            begins with `http://`, `https://`, `rtsp://`, `rtsps://`, `rtmp://`, `rtmps://`,
            `rtp://`, `tcp://` or `udp://`, which may open network connections but no files; a video
            file, also one that is still being written if its format allows it (MPEG-TS, Matroska,
            FLV, fragmented MP4); or `VideoFrames`.
        model: A `ClipModel` that ends in logits, or weights as `load_model` takes them, by default
            `rgb_kinetics400` for the 400 actions of Kinetics. Flow is computed from the frames.
        top: Number of predictions, 1 or more; all classes if there are fewer.
        window: Number of frames that the network reads at once, at the rate of the model's
            `ClipSpec`, or seconds as text: `"2.56s"`; 64 frames by default, or the only length that
            the network reads. If the source ends earlier, the frames are looped as in `classify`.
        every: Seconds of the video from one window to the next.
        realtime: Whether a file is played at its own rate, like a camera.
        timeout: Seconds without data after which a growing file counts as complete, or the
            connection to a camera or an address as lost.
        reconnect: Whether to reopen a camera or an address whenever it ends.

    Returns:
        A generator of `LivePrediction`s. It ends with the source.

    Raises:
        ValueError: If an argument is out of range, or the two streams of `model` read pictures of
            different sizes.
        VideoError: If there is no such file or camera; while reading, also if the source cannot be
            opened, no picture can be decoded, or the connection is lost.
        WeightsError: If `model` is weights that cannot be read.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> for prediction in ki3d.watch(folder / "video.mp4", model, window=16, every=0.2):
    ...     print(f"{prediction.end:.2f} s: {prediction.predictions[0][0]}")
    0.64 s: stand
    0.84 s: stand
    """
    check_count("top", top)
    for name, value in (("every", every), ("timeout", timeout)):
        if not is_number(value) or not 0 < value < math.inf:
            raise ValueError(f"`{name}` must be seconds above 0. Received: {name}={value!r}")
    if isinstance(source, numbers.Integral):
        source = int(source)
    else:
        source = check_video(source, argument="source")
    check_source(source)
    model = load_model() if model is None else as_model(model)
    class_names(model)
    specs = StreamSpecs(model.clip_specs, apart=True)
    if not specs.one_size:
        raise ValueError(
            "`model` must read pictures of one size in both streams to watch live video. "
            f"Received: {model.clip_specs!r}"
        )
    windows = _LiveWindow(specs, model, window, source_name(source))
    live = LiveFrames(
        source,
        spec=specs.fastest,
        size=windows.size,
        timeout=float(timeout),
        realtime=realtime,
        reconnect=reconnect,
    )
    hop = max(1, round(float(every) * as_rate(specs.fastest.fps)))
    return _predictions(live, windows, model, hop=hop, top=top)


def _predictions(live, windows, model, *, hop, top):
    def predict():
        logits = model.predict_views([(windows.clip(), 1)])
        check_finite_logits(logits, model.name, "the live video")
        (best,) = decode_predictions(
            logits[None], top=top, labels=model.labels, activation=model.activation
        )
        first, last = windows.frames[0], windows.frames[-1]
        rate = windows.specs.fastest.fps
        return LivePrediction(
            start=first.number / rate,
            end=(last.number + 1) / rate,
            predictions=tuple(best),
            latency=time.monotonic() - last.arrived,
            dropped=live.dropped,
        )

    model.predict_views([(windows.warm_up_clip(), 1)])  # the first call takes seconds to compile
    with live:
        due, has_any = None, False  # number of the frame at which the next window ends
        while True:
            most = windows.missing(due)
            frames = live.take(most if live.keeps_all else None)
            if not frames:
                break
            windows.add(frames)
            if not windows.missing(due):
                yield predict()
                has_any = True
                due = windows.frames[-1].number + hop
        if not has_any and windows.frames:
            yield predict()


@dataclasses.dataclass(frozen=True, eq=False)
class _Crops:
    """The crops of a frame, {stream: uint8 square}; its flow is the motion to the next frame."""

    number: int
    arrived: float
    crops: dict


class _LiveWindow:
    """The latest frames, without a gap."""

    def __init__(self, specs, model, size, name):
        self.specs, self._name = specs, name
        self._steps = specs.strides()
        step = max(self._steps.values())
        sampling = clips_at_test(model)
        self._minimum = sampling["minimum"]
        is_fixed = sampling["window"] == self._minimum
        if size is None:
            size = self._minimum if is_fixed else max(self._minimum, WINDOW // step * step)
        most = self._minimum if is_fixed else math.inf
        argument = size
        if isinstance(size, str) and SECONDS.fullmatch(size):
            frames = frame_count("window", size, as_rate(specs.fastest.fps))
            size = max(1, round(frames / step)) * step
        is_whole = isinstance(size, numbers.Integral)
        if not is_whole or not self._minimum <= size <= most or size % step:
            allowed = f"{self._minimum}" + ("" if is_fixed else " or more")
            stacks = f", in whole stacks of {step}" if step > 1 else ""
            raise ValueError(
                f"`window` must be a number of frames, {allowed}{stacks}, or seconds such as "
                f"'2.56s'. Received: window={argument!r}"
            )
        self.size = int(size)
        self.frames: collections.deque = collections.deque(maxlen=self.size)
        self._waiting = None  # the frame whose flow needs the next one

    def missing(self, due):
        """The number of frames until the window is full and reaches the frame `due`."""
        missing = self.size - len(self.frames)
        if self.frames and due is not None:
            missing = max(missing, due - self.frames[-1].number)
        return missing

    def add(self, frames):
        """Adds `LiveFrame`s; if numbers are missing, the window starts over."""
        run: list = []
        for frame in frames:
            last = run[-1] if run else self._last
            if last is not None and frame.number != last.number + 1:
                self._extend(run)
                run, self._waiting = [], None
                self.frames.clear()
            run.append(frame)
        self._extend(run)

    @property
    def _last(self):
        return self._waiting or (self.frames[-1] if self.frames else None)

    def _extend(self, frames):
        """Adds frames that follow those of the window."""
        if "flow" not in self.specs:
            parts = [(frame, frame.arrived, {"rgb": frame.pixels}) for frame in frames]
        else:
            if self._waiting is not None:
                frames = [self._waiting, *frames]
            parts = [
                (frame, following.arrived, streams)
                for frame, following, streams in zip(
                    frames[:-1], frames[1:], _with_flow(frames, self.specs), strict=True
                )
            ]
            self._waiting = frames[-1] if frames else None
        if not parts:
            return
        cropped = cropped_frames(
            (streams for _, _, streams in parts), (MIDDLE,), self.specs, self._name
        )
        with contextlib.closing(cropped):
            for (frame, arrived, _), (crops,) in zip(parts, cropped, strict=True):
                self.frames.append(_Crops(frame.number, arrived, crops))

    def clip(self):
        """The window as input of the model; an incomplete one is looped to the minimum length."""
        count = len(self.frames)
        length = max(self._minimum, count - count % max(self._steps.values()))
        clip = {
            name: loop_frames(np.stack([frame.crops[name] for frame in self.frames]), length)[
                :: self._steps[name]
            ]
            for name in self.specs
        }
        return to_model_values(clip, False, self.specs)

    def warm_up_clip(self):
        """A clip of noise of the window's size; also computes flow once."""
        random = np.random.default_rng(0)
        spec = self.specs.fastest
        if "flow" in self.specs:
            noise = random.integers(0, 256, (2, spec.short_side, spec.short_side, 3), np.uint8)
            for _ in flow_of_frames(iter(noise)):
                pass
        clip = {
            name: random.integers(
                0, 256, (self.size // self._steps[name], own.size, own.size, own.channels), np.uint8
            )
            for name, own in self.specs.items()
        }
        return to_model_values(clip, False, self.specs)


def _with_flow(frames, specs):
    """Yields {stream: uint8 frame or quantized flow} of all frames but the last."""
    settings = FlowSettings()
    pairs = flow_of_frames((frame.pixels for frame in frames), settings=settings)
    with contextlib.closing(pairs):
        for pixels, flow in pairs:
            if flow is not None:
                streams = {"rgb": pixels, "flow": settings.quantize(flow)}
                yield {stream: streams[stream] for stream in specs}
