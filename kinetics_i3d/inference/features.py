"""`FeatureExtractor`: the activations of a network along videos, with the times of each row."""

import contextlib
import itertools
from collections.abc import Mapping

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import UserError, VideoError
from kinetics_i3d.core.progress import stage
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.threads import read_ahead
from kinetics_i3d.data.views import mirrored
from kinetics_i3d.inference.feature_metadata import (
    content_key,
    dtypes_of,
    first_picture_time,
    frame_rate,
    identify,
    name_of,
    receptive_field,
    versions,
)
from kinetics_i3d.inference.feature_options import CROPS, FeatureOptions, Features, frame_count
from kinetics_i3d.inference.feature_windows import SlidingWindows, specs_at
from kinetics_i3d.models.clip_model import ClipModel
from kinetics_i3d.models.load import as_model, feature_model, load_model
from kinetics_i3d.video.video_frames import check_video
from kinetics_i3d.weights.assign import weights_digest

FORMAT = 1  # of the metadata; part of the content key
CROP_NAMES = {  # along the longer side, along the shorter one
    (0.5, 0.5): "center",
    (0.0, 0.5): "start",
    (1.0, 0.5): "end",
    (0.0, 0.0): "start_start",
    (0.0, 1.0): "start_end",
    (1.0, 0.0): "end_start",
    (1.0, 1.0): "end_end",
}


class FeatureExtractor:
    """The networks and settings of `extract_features`, for many videos.

    `batches` decodes, in any thread; `predict` runs the networks; `finish` assembles the result.

    Args:
        weights: As for `extract_features`.
        options: A `FeatureOptions`; None is the default.
    """

    def __init__(self, weights="rgb_kinetics400", options=None):
        self.options = options = FeatureOptions() if options is None else options
        self.model = model = _load(weights, options.streams)
        self._networks = _networks(model, options)
        specs = {stream: network.clip_spec for stream, network in self._networks.items()}
        self._spec_rate = _common_rate(specs)
        self.specs = StreamSpecs(specs, apart=True)
        self._min_frames = max(network.minimum[0] for network in self._networks.values())
        self._check_length()
        self.view = CROPS[options.views]
        self.view_count = len(self.view.crops) * len(self.view.flips)
        self._weights = {
            stream: {
                "name": name_of(weights, stream),
                "sha256": weights_digest(model.streams[stream]),
            }
            for stream in self._networks
        }

    def _check_length(self):
        """Raises an error if the network cannot read clips of the given length."""
        options = self.options
        frames = frame_count("window", options.window, self._rate_of(None))
        if frames < self._min_frames:
            raise ValueError(
                f"`window` must be at least {self._min_frames} frames for "
                f"endpoint={options.endpoint!r}. Received: window={options.window!r}"
            )
        for fixed in self._fixed_lengths():
            if frames != fixed:
                raise ValueError(
                    f"`window` must be {fixed}, the only clip length that the network reads. "
                    f"Received: window={options.window!r}"
                )

    def _fixed_lengths(self):
        """The clip lengths, in frames, of the networks that read only one."""
        return {network.input_shape[1] for network in self._networks.values()} - {None}

    def extract(self, video):
        """The `Features` of a video, which a thread decodes ahead of the network."""
        video = check_video(video)
        metadata = self.describe(video)
        outputs, spans = [], []
        batches = read_ahead(self.batches(video))
        total = self.count_windows(video)
        with contextlib.closing(batches), stage(str(video), total=total, noun="windows") as show:
            for inputs, batch_spans in batches:
                outputs.append(self.predict(inputs))
                spans += batch_spans
                show(len(spans) // self.view_count)
        return self.finish(metadata, outputs, spans)

    def describe(self, video):
        """The metadata of a video's features with their content key, without decoding the video."""
        windows = self.windows(video)
        fields = self.fields(windows, identify(video, windows.specs))
        field, step = receptive_field(next(iter(self._networks.values())))
        return {
            **fields,
            "key": content_key(fields),
            "channels": {
                stream: network.output_shape[-1] for stream, network in self._networks.items()
            },
            "first_picture": first_picture_time(video),
            "receptive_field": {
                "frames": field,
                "seconds": None if field is None else float(field / windows.rate),
                "frames_per_step": step,
            },
            "versions": versions(),
        }

    def fields(self, windows, identity):
        """Everything that features depend on, given the windows and the result of `identify`."""
        return {
            "format": FORMAT,
            **identity,
            "weights": self._weights,
            "clip_specs": {stream: spec.to_dict() for stream, spec in windows.specs.items()},
            "endpoint": self.options.endpoint,
            "pool": self.options.pool,
            "views": _view_names(self.view),
            "short": self.options.short,
            **self._window_settings(windows),
            "dtypes": {stream: dtypes_of(network) for stream, network in self._networks.items()},
        }

    def _window_settings(self, windows):
        return {
            "window": _length(windows.window, windows.rate),
            "stride": _length(windows.stride, windows.rate),
            "align": self.options.align,
            "tail": self.options.tail,
        }

    def count_windows(self, video):
        """The approximate number of windows of a video by its header; None if unknown."""
        try:
            return self.windows(video).count(video)
        except UserError:  # reported when the video is read
            return None

    def windows(self, video):
        """The `SlidingWindows` over a video; with `fps="source"` they depend on its rate."""
        options, rate = self.options, self._rate_of(video)
        try:
            window = frame_count("window", options.window, rate)
        except ValueError as error:  # the options were checked at 25 fps
            raise VideoError(f"{video}: at {float(rate):g} fps, {error}") from error
        if window < self._min_frames:
            raise VideoError(
                f"{video}: window={options.window} is {window} frames at {float(rate):g} fps, but "
                f"{options.endpoint} needs {self._min_frames}"
            )
        return SlidingWindows(
            self._specs_at(rate),
            self.view,
            window,
            frame_count("stride", options.stride, rate),
            align=options.align,
            tail=options.tail,
            short=options.short,
        )

    def _specs_at(self, rate):
        """The `StreamSpecs` of this frame rate."""
        return specs_at(self.specs, rate)

    def _rate_of(self, video):
        """The rate at which a video is sampled.

        With `fps="source"` and no video, this is the rate of the clip spec.
        """
        fps = self.options.fps
        if fps == "source":
            return self._spec_rate if video is None else frame_rate(video)
        return self._spec_rate if fps is None else as_rate(fps)

    def batches(self, video):
        """Decodes the video, and yields (inputs, spans) for each call of the network.

        Inputs are {stream: (clips, frames, size, size, channels)}, a span is the (start, end,
        center) of a clip's window. The views of a window are consecutive.
        """
        windows = self.windows(video)
        most = max(1, self.options.batch_frames // windows.window)
        count = self.count_windows(video)
        if count is not None:
            most = min(most, max(1, count * self.view_count))
        inputs: dict = {}
        spans: list = []
        with contextlib.closing(windows.read(video)) as read:
            for frames, span in read:
                for crop, flip in self._views():
                    inputs = inputs or self._allocate(most, windows.window)
                    self._write(frames, crop, flip, inputs, len(spans))
                    spans.append(span)
                    if len(spans) == most:
                        yield inputs, spans
                        inputs, spans = {}, []
        if spans:
            yield {stream: clips[: len(spans)] for stream, clips in inputs.items()}, spans

    def _views(self):
        """(index of the crop, whether it is mirrored) of each view."""
        return itertools.product(range(len(self.view.crops)), self.view.flips)

    def _allocate(self, clips, frames):
        """Arrays for the inputs of the networks."""
        return {
            stream: np.empty((clips, frames, spec.size, spec.size, spec.channels), np.float32)
            for stream, spec in self.specs.items()
        }

    def _write(self, frames, crop, flip, inputs, index):
        """Writes a view of frames as clip `index` of the inputs.

        Frames are normalized directly into the inputs. Building each clip first and copying it
        would double the work of the processor that the network runs on.
        """
        for stream, spec in self.specs.items():
            for frame, values in zip(frames, inputs[stream][index], strict=True):
                pixels = frame[crop][stream]
                spec.normalize(mirrored(pixels, stream) if flip else pixels, out=values)

    def predict(self, inputs):
        """The pooled activations of the clips of a batch, (clips, ..., channels), rgb first."""
        outputs = []
        for stream, network in self._networks.items():
            clips = inputs[stream]
            network.check_inputs(clips)  # a graph traced for several sizes cannot check them
            output = np.asarray(network.predict_on_batch(clips), np.float32)
            outputs.append(self._pooled(output))
        return np.concatenate(outputs, axis=-1)

    def _pooled(self, output):
        """Averages (clips, time, height, width, channels); other outputs are unchanged."""
        inner = tuple(range(1, output.ndim - 1))
        axes = {"all": inner, "spatial": (2, 3), "none": ()}[self.options.pool]
        return output.mean(axis=axes, dtype=np.float32) if axes else output

    def finish(self, metadata, outputs, spans):
        """The `Features` of the results of `predict` and the spans of the batches."""
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


def _load(weights, streams):
    """The `ClipModel` of weights, of these streams."""
    if streams is None or isinstance(weights, (ClipModel, Mapping)):
        return as_model(weights, argument="weights")
    return load_model(weights, streams=streams)


def _networks(model, options):
    """{stream: the network that ends in the endpoint}."""
    streams = options.streams or (*model.clip_specs,)
    if not {*streams} <= {*model.clip_specs}:
        raise ValueError(
            f"`streams` must be one or both of the streams of the weights, {(*model.clip_specs,)}. "
            f"Received: streams={options.streams!r}"
        )
    parts = {stream: model.streams[stream] for stream in streams}
    joined = len(model.clip_specs) > 1 and any(part is model for part in parts.values())
    if joined or any(len(part.minimum) != 3 for part in parts.values()):
        raise ValueError(
            "`weights` must be for a network that reads clips of each stream, such as "
            f"InceptionI3D or TwoStreamI3D. Received: {model.name}"
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


def _length(frames, rate):
    return {"frames": frames, "seconds": float(frames / rate)}


def _view_names(view):
    return [
        CROP_NAMES[position] + "_mirrored" * flip for position in view.crops for flip in view.flips
    ]
