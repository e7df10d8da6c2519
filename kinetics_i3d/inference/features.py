"""`extract_features`: the activations of a network along a video, each row with its seconds.

Windows of frames slide over a video that is decoded once, in bounded memory.
"""

import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Mapping

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.progress import stage
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, Weights
from kinetics_i3d.data.views import to_model_values
from kinetics_i3d.inference.feature_metadata import (
    content_key,
    dtypes_of,
    first_picture_time,
    identify,
    name_of,
    receptive_field,
    versions,
)
from kinetics_i3d.inference.feature_options import FeatureOptions, Features, frame_count
from kinetics_i3d.inference.feature_settings import FeatureSettings
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.load import as_model, feature_model, load_model
from kinetics_i3d.video.source import VideoFrames, check_video
from kinetics_i3d.weights.assign import weights_digest

FRAMES_AT_ONCE = 250  # of one network call, as many as the paper's longest clip


def extract_features(
    video: PathLike | VideoFrames,
    weights: ClipModel | Weights = "rgb_kinetics400",
    *,
    endpoint: str = "Mixed_5c",
    pool: str = "all",
    window: int | str = 64,
    stride: int | str = 16,
    fps: float | str | None = None,
    align: str = "start",
    views: str = "center",
    tail: str = "pad",
    short: str = "loop",
    streams: str | None = None,
) -> Features:
    """Computes features of a video by windows of frames, with the seconds of each.

    The video is decoded once and read in bounded memory, whatever its length.

    Args:
        video: A local video file, with a span behind it or not (`talk.mp4#t=5,15`), a folder of
            numbered pictures, or `VideoFrames`. Flow is read from the file beside the video where
            `kinetics-i3d flow` has left one, else computed.
        weights: Weights as `load_model` takes them, or a `ClipModel`, of rgb, of flow or of both
            streams: `"kinetics_jhmdb"` or `{"rgb": ..., "flow": ...}`.
        endpoint: The paper's name of an activation, such as `"Mixed_4f"`. `"AvgPool_0a_7x7"` with
            `pool="all"` gives what the classifier reads, averaged over time.
        pool: What is averaged: `"all"`, time and space; `"spatial"`, space alone; or `"none"`.
        window: Frames of a window, or seconds as text: `"2.56s"`.
        stride: Frames from the beginning of a window to that of the next, or seconds as text.
        fps: Frames a second at which the video is sampled: a number, or `"source"` for the rate
            that the file's header tells, as many public tools do. None is the rate of the weights'
            `ClipSpec`, which they were trained at.
        align: `"start"`, the first window begins with the video; `"center"`, every `stride`-th
            frame has a window centred on it, for which the first and the last frame of the video
            are repeated beyond its ends. `center` is the middle of that frame then.
        views: Crops of each window: `"center"`; `"three_crop"`, along the longer side;
            `"ten_crop"`, the centre and the corners, each as it is and mirrored.
            `metadata["views"]` names them in order.
        tail: What becomes of the frames after the last whole window: `"pad"` gives them a window
            that repeats the last frame, `"drop"` leaves them out, and `"overlap"` gives them a
            window that ends with the video. With `align="center"` no frames are left.
        short: What becomes of a video that is shorter than a window: `"loop"` repeats it from its
            beginning, as the paper does, `"pad"` repeats its last frame, `"error"` refuses it.
            With `align="center"` its first and last frame are repeated, unless it is refused.
        streams: `"rgb"`, `"flow"` or `"rgb,flow"`, one of those of the weights; None is all.

    Returns:
        A `Features`, whose arrays are `features`, float32 (windows, channels) by default, and
        `start`, `end` and `center`, seconds of the source video. `pool` and `views` add axes:
        `(windows[, time[, height, width]][, views], channels)`. Of two streams the channels of rgb
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
    options = FeatureOptions(
        endpoint=endpoint,
        pool=pool,
        window=window,
        stride=stride,
        fps=fps,
        align=align,
        views=views,
        tail=tail,
        short=short,
        streams=streams,
    )
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
        _check_rates(specs)
        fewest = max(network.minimum[0] for network in self._networks.values())
        self.specs = StreamSpecs(specs, apart=True)
        self.settings = FeatureSettings(
            options,
            self.specs,
            weights={
                stream: {
                    "name": name_of(weights, stream),
                    "sha256": weights_digest(model.streams[stream]),
                }
                for stream in self._networks
            },
            dtypes={stream: dtypes_of(network) for stream, network in self._networks.items()},
            fewest=fewest,
        )
        if frame_count("window", options.window, self.settings.rate()) < fewest:
            raise ValueError(
                f"`window` must be at least {fewest} frames for endpoint={options.endpoint!r}. "
                f"Received: window={options.window!r}"
            )
        self.view = self.settings.view
        self.view_count = len(self.view.crops) * len(self.view.flips)
        self.windows = self.settings.windows

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

    def describe(self, video):
        """The metadata of a video's features, with their content key; nothing is decoded whole."""
        windows = self.windows(video)
        identity = identify(video, windows.specs)
        return self.metadata(windows, identity, first_picture_time(video))

    def metadata(self, windows, identity, first_picture):
        """As `describe`, of `SlidingWindows`, `identify` and `first_picture_time`."""
        fields = self.settings.fields(windows, identity)
        field, step = receptive_field(next(iter(self._networks.values())))
        return {
            **fields,
            "key": content_key(fields),
            "channels": {
                stream: network.output_shape[-1] for stream, network in self._networks.items()
            },
            "first_picture": first_picture,
            "receptive_field": {
                "frames": field,
                "seconds": None if field is None else float(field / windows.rate),
                "frames_per_step": step,
            },
            "versions": versions(),
        }

    def count_windows(self, video):
        """About how many windows a video has, by its header; None where that does not tell."""
        try:
            return self.windows(video).count(video)
        except UserError:  # whoever reads the video says so
            return None

    def batches(self, video, windows=None, frames=None):
        """Yields (clips, spans) for each network call; the part that decodes.

        A clip is (1, frames, size, size, channels), of two streams {stream: ...}; its span is the
        (start, end, center) of its window. Views of a window follow each other. `windows` are the
        `SlidingWindows` where they are known, and `frames` their frames where these are decoded.
        """
        windows = self.windows(video) if windows is None else windows
        most = max(1, FRAMES_AT_ONCE // windows.window)
        clips: list = []
        spans: list = []
        with contextlib.closing(windows.read(video, frames)) as read:
            for window, span in read:
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
        start, end, center = np.array(spans[::views], np.float64).T.copy()
        metadata = {**metadata, "rows": len(values), "axes": self._axes(values)}
        values = np.ascontiguousarray(values)
        return Features(values, start, end, center, metadata)

    def _axes(self, values):
        views = ["view"] if self.view_count > 1 else []
        inner = ["time", "height", "width"][: values.ndim - 2 - len(views)]
        return ["window", *inner, *views, "channel"]


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


def _check_rates(specs):
    rates = {as_rate(spec.fps) for spec in specs.values()}
    if len(rates) > 1:
        raise ValueError(
            "`weights` must read all streams at one frame rate. Received: "
            + ", ".join(f"{spec.fps:g} of {stream}" for stream, spec in specs.items())
        )


def _pooled(output, pool):
    """(clips, time, height, width, channels) averaged; outputs without these axes stay."""
    axes = {"all": range(1, output.ndim - 1), "spatial": (2, 3), "none": ()}[pool]
    return output.mean(axis=tuple(axes), dtype=np.float32) if axes else output
