"""`extract_features`: the activations of a network along a video, each row with its seconds.

Windows of frames slide over a video that is decoded once, in bounded memory.
"""

import collections
import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Mapping

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.progress import stage
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, Weights
from kinetics_i3d.data.streams import count_frames
from kinetics_i3d.data.views import timed_crops, to_model_values
from kinetics_i3d.inference.feature_metadata import (
    content_key,
    dtypes_of,
    first_picture_time,
    identify,
    name_of,
    receptive_field,
    versions,
)
from kinetics_i3d.inference.feature_options import CROPS, FeatureOptions, Features, frame_count
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.load import as_model, feature_model, load_model
from kinetics_i3d.video.source import VideoFrames, check_video
from kinetics_i3d.weights.assign import weights_digest

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
FRAMES_AT_ONCE = 250  # of one network call, as many as the paper's longest clip


def extract_features(
    video: PathLike | VideoFrames,
    weights: ClipModel | Weights = "rgb_kinetics400",
    *,
    endpoint: str = "Mixed_5c",
    pool: str = "all",
    window: int | str = 64,
    stride: int | str = 16,
    views: str = "center",
    tail: str = "pad",
    short: str = "loop",
    streams: str | None = None,
) -> Features:
    """Computes features of a video by windows of frames, with the seconds of each.

    The video is sampled at the frame rate of the weights' `ClipSpec`, decoded once, and read in
    bounded memory, whatever its length.

    Args:
        video: A local video file, with a span behind it or not (`talk.mp4#t=5,15`), a folder of
            numbered pictures, or `VideoFrames`. Flow is read from the file beside the video where
            `kinetics-i3d flow` has left one, else computed.
        weights: Weights as `load_model` takes them, or a `ClipModel`, of rgb, of flow or of both
            streams: `"kinetics_jhmdb"` or `{"rgb": ..., "flow": ...}`.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"`. `"AvgPool_0a_7x7"` with
            `pool="all"` gives what the classifier reads, averaged over time.
        pool: What is averaged: `"all"`, time and space; `"spatial"`, space alone; or `"none"`.
        window: Frames of a window at the spec's rate, or seconds as text: `"2.56s"`.
        stride: Frames from the beginning of a window to that of the next, or seconds as text.
        views: Crops of each window: `"center"`; `"three_crop"`, along the longer side;
            `"ten_crop"`, the centre and the corners, each as it is and mirrored.
            `metadata["views"]` names them in order.
        tail: What becomes of the frames after the last whole window: `"pad"` gives them a window
            that repeats the last frame, `"drop"` leaves them out, and `"overlap"` gives them a
            window that ends with the video.
        short: What becomes of a video that is shorter than a window: `"loop"` repeats it from its
            beginning, as the paper does, `"pad"` repeats its last frame, `"error"` refuses it.
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`, one of those of the weights; None is all.

    Returns:
        A `Features`, whose arrays are `features`, float32 (windows, channels) by default, and
        `start`, `end` and `center`, seconds of the source video. `pool` and `views` add axes:
        (windows[, time[, height, width]][, views], channels). Of two streams the channels of rgb
        come first, then those of flow: 2048 of a Two-Stream I3D. `metadata` holds the weights'
        names and digests, the clip specs, versions, `receptive_field` (of one time step of the
        endpoint, in frames and seconds) and `key`, a sha256 of all that the features depend on.

    Raises:
        ValueError: If an argument is wrong; of an unknown endpoint near names are listed.
        VideoError: If the video cannot be decoded, or is too short with `short="error"`.
        WeightsError: If the weights cannot be read, or read other streams.

    Example:

    >>> rows = ki3d.extract_features(folder / "video.mp4", folder / "mine.h5", window=16, stride=8)
    >>> rows.features.shape
    (3, 256)
    >>> [(float(start), float(end)) for start, end in zip(rows.start, rows.end)]
    [(0.0, 0.64), (0.32, 0.96), (0.64, 1.0)]

    Source: Carreira & Zisserman, CVPR 2017, section 2; the windows and crops are those that
    temporal localisation and anomaly detection read.
    """
    options = FeatureOptions(endpoint, pool, window, stride, views, tail, short, streams)
    return FeatureExtractor(weights, options).extract(video)


class FeatureExtractor:
    """The networks and settings of `extract_features`, for many videos.

    `batches` decodes, in any thread; `predict` runs the networks; `finish` makes the result.

    Args:
        weights: As for `extract_features`.
        options: A `FeatureOptions`; None is the default.
    """

    def __init__(self, weights="rgb_kinetics400", options=None):
        self.options = options = FeatureOptions() if options is None else options
        model = _load(weights, options.streams)
        self._networks = _networks(model, options)
        specs = {stream: network.clip_spec for stream, network in self._networks.items()}
        self.rate = _common_rate(specs)
        self.specs = StreamSpecs(specs, apart=True)
        self.window = frame_count("window", options.window, self.rate)
        self.stride = frame_count("stride", options.stride, self.rate)
        least = max(network.minimum[0] for network in self._networks.values())
        if self.window < least:
            raise ValueError(
                f"`window` must be at least {least} frames for endpoint={options.endpoint!r}. "
                f"Received: window={options.window!r}"
            )
        self.view = CROPS[options.views]
        self.view_count = len(self.view.crops) * len(self.view.flips)
        self._weights = {
            stream: {
                "name": name_of(weights, stream),
                "sha256": weights_digest(model.streams[stream]),
            }
            for stream in self._networks
        }

    def extract(self, video):
        """The `Features` of a video; decodes ahead of the network, in a thread."""
        video = check_video(video)
        metadata = self.describe(video)
        outputs, spans = [], []
        batches = ahead(self.batches(video))
        total = self.count_windows(video)
        with contextlib.closing(batches), stage(str(video), total=total, noun="windows") as show:
            for clips, batch_spans in batches:
                outputs.append(self.predict(clips))
                spans += batch_spans
                show(len(spans) // self.view_count)
        return self.finish(metadata, outputs, spans)

    @property
    def settings(self):
        """All that features depend on but for the video, JSON-ready."""
        options = self.options
        return {
            "format": FORMAT,
            "weights": self._weights,
            "clip_specs": {stream: spec.to_dict() for stream, spec in self.specs.items()},
            "endpoint": options.endpoint,
            "pool": options.pool,
            "window": self._length(self.window),
            "stride": self._length(self.stride),
            "views": _view_names(self.view),
            "tail": options.tail,
            "short": options.short,
            "dtypes": {stream: dtypes_of(network) for stream, network in self._networks.items()},
        }

    def describe(self, video):
        """The metadata of a video's features, with their content key; nothing is decoded whole."""
        return self.metadata(identify(video, self.specs), first_picture_time(video))

    def metadata(self, identity, first_picture):
        """As `describe`, of what `identify` and `first_picture_time` gave."""
        settings = self.settings
        field, step = receptive_field(next(iter(self._networks.values())))
        return {
            **settings,
            **identity,
            "key": content_key(settings, identity),
            "channels": {
                stream: network.output_shape[-1] for stream, network in self._networks.items()
            },
            "first_picture": first_picture,
            "receptive_field": {
                "frames": field,
                "seconds": None if field is None else float(field / self.rate),
                "frames_per_step": step,
            },
            "versions": versions(),
        }

    def count_windows(self, video):
        """About how many windows a video has, by its header; None where that does not tell."""
        try:
            count = count_frames(video, self.specs)
        except UserError:  # whoever reads the video says so
            return None
        return max(1, (count - self.window) // self.stride + 1) if count else None

    def batches(self, video, frames=None):
        """Yields (clips, spans) for each network call; the part that decodes.

        A clip is (1, frames, size, size, channels), of two streams {stream: ...}; its span is the
        (start, end) of its window. Views of a window follow each other. `frames`, as `timed_crops`
        yields them, are used in place of those of the file.
        """
        frames = timed_crops(video, self.specs, self.view.crops) if frames is None else frames
        most = max(1, FRAMES_AT_ONCE // self.window)
        clips: list = []
        spans: list = []
        with contextlib.closing(self._windows(video, frames)) as windows:
            for window, span in windows:
                for crop in range(len(self.view.crops)):
                    clip = {
                        stream: np.stack([frame[crop][stream] for frame in window])
                        for stream in self.specs
                    }
                    for flip in self.view.flips:
                        clips.append(to_model_values(clip, flip, self.specs))
                        spans.append(span)
                        if len(clips) == most:
                            yield clips, spans
                            clips, spans = [], []
        if clips:
            yield clips, spans

    def predict(self, clips):
        """The pooled activations of the clips of a batch, (clips, ..., channels), rgb first."""
        outputs = []
        for stream, network in self._networks.items():
            parts = [self.specs.wrap(clip)[stream] for clip in clips]
            inputs = np.concatenate(parts)
            network.check_inputs(inputs)  # a graph that has met several sizes no longer sees them
            output = np.asarray(network.predict_on_batch(inputs), np.float32)
            outputs.append(_pooled(output, self.options.pool))
        return np.concatenate(outputs, axis=-1)

    def finish(self, metadata, outputs, spans):
        """The `Features` of what `predict` gave, and of the spans of the batches."""
        views = self.view_count
        values = np.concatenate(outputs)
        values = values.reshape(-1, views, *values.shape[1:])
        values = values[:, 0] if views == 1 else np.moveaxis(values, 1, -2)
        start, end = (np.array(times, np.float64) for times in zip(*spans[::views], strict=True))
        metadata = {**metadata, "rows": len(values), "axes": self._axes(values)}
        values = np.ascontiguousarray(values)
        return Features(values, start, end, (start + end) / 2, metadata)

    def _axes(self, values):
        views = ["view"] if self.view_count > 1 else []
        inner = ["time", "height", "width"][: values.ndim - 2 - len(views)]
        return ["window", *inner, *views, "channel"]

    def _length(self, frames):
        return {"frames": frames, "seconds": float(frames / self.rate)}

    def _windows(self, video, frames):
        """Yields (frames, (start, end)) of each window, `window` frames of it in memory."""
        window, stride, options = self.window, self.stride, self.options
        recent: collections.deque = collections.deque(maxlen=window)
        count, start = 0, 0  # frames so far; the first of the next window
        with contextlib.closing(frames):
            for frame in frames:
                recent.append(frame)
                count += 1
                if count == start + window:
                    yield _window(recent, window)
                    start += stride
        if count < window:
            if options.short == "error":
                raise VideoError(
                    f"{video}: {count} frames at {float(self.rate):g} a second, and a window has "
                    f"{window}; short='loop' and short='pad' fill it"
                )
            yield _window(recent, window, loop=options.short == "loop")
        elif count > start - stride + window:
            if options.tail == "overlap":
                yield _window(recent, window)
            elif options.tail == "pad" and count > start:
                yield _window(list(recent)[start - count :], window)


def ahead(items):
    """Yields the items of a generator that runs in a thread, one item ahead."""
    ready: queue.Queue = queue.Queue(1)
    stopped, end = threading.Event(), object()

    def put(item):
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def work():
        try:
            with contextlib.closing(items):
                for item in items:
                    put(item)
                    if stopped.is_set():
                        return
        finally:
            put(end)

    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="decode") as pool:
        done = pool.submit(work)
        try:
            while (item := ready.get()) is not end:
                yield item
            done.result()
        finally:
            stopped.set()


def _load(weights, streams):
    """The `ClipModel` of weights, of these streams."""
    if streams is None or isinstance(weights, (ClipModel, Mapping)):
        return as_model(weights)
    return load_model(weights, streams=streams[0] if len(streams) == 1 else "both")


def _networks(model, options):
    """{stream: the network that ends in the endpoint}."""
    streams = options.streams or (*model.clip_specs,)
    if not {*streams} <= {*model.clip_specs}:
        raise ValueError(
            f"`streams` must be among those of the weights, {(*model.clip_specs,)}. "
            f"Received: streams={options.streams!r}"
        )
    parts = {stream: model.streams[stream] for stream in streams}
    joined = len(model.clip_specs) > 1 and any(part is model for part in parts.values())
    if joined or any(len(part.minimum) != 3 for part in parts.values()):
        raise ValueError(
            "`weights` must be those of a network of clips for each stream, such as InceptionI3D "
            f"or TwoStreamI3D. Received: {model.name}"
        )
    networks = {stream: feature_model(part, options.endpoint) for stream, part in parts.items()}
    for network in networks.values():
        if options.pool != "all" and len(network.output_shape) != 5:
            raise ValueError(
                f"`pool` must be 'all' for endpoint={options.endpoint!r}, which has no time axis. "
                f"Received: pool={options.pool!r}"
            )
    return networks


def _common_rate(specs):
    rates = {as_rate(spec.fps) for spec in specs.values()}
    if len(rates) > 1:
        raise ValueError(
            "`weights` must read all streams at one frame rate. Received: "
            + ", ".join(f"{spec.fps:g} of {stream}" for stream, spec in specs.items())
        )
    return rates.pop()


def _window(frames, window, loop=False):
    """(frames, (start, end)); too few are looped, or the last one is repeated."""
    frames = list(frames)
    crops = [crops for *_, crops in frames]
    places = np.arange(window)
    places = places % len(crops) if loop else np.minimum(places, len(crops) - 1)
    return [crops[place] for place in places], (frames[0][0], frames[-1][1])


def _pooled(output, pool):
    """(clips, time, height, width, channels) averaged; outputs without these axes stay."""
    axes = {"all": range(1, output.ndim - 1), "spatial": (2, 3), "none": ()}[pool]
    return output.mean(axis=tuple(axes), dtype=np.float32) if axes else output


def _view_names(view):
    return [PLACES[place] + "_mirrored" * flip for place in view.crops for flip in view.flips]
