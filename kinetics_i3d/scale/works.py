"""The work on each video: `FeatureWork` and `ClassifyWork`, both a `NetworkWork`.

They call the functions that are used in a single process, so that the results are the same. A
`NetworkWork` decodes with `read` in a task, and runs its network with `compute` in an actor.
`flow_work.FlowWork` needs no network and has neither.
"""

import contextlib
import dataclasses
import platform
import typing

import numpy as np

from kinetics_i3d.core.clip_spec import as_rate
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.threads import read_ahead
from kinetics_i3d.data.streams import count_frames, read_streams
from kinetics_i3d.data.views import VIEWS, clip_views, cropped_frames, video_views
from kinetics_i3d.inference.feature_metadata import (
    content_key,
    dtypes_of,
    first_picture_time,
    frame_rate,
    identify,
    name_of,
)
from kinetics_i3d.inference.feature_options import WHOLE, FeatureOptions
from kinetics_i3d.inference.feature_windows import CroppedVideo, specs_at, timed_crops
from kinetics_i3d.scale.storage import remote_identity

MAX_BYTES = 512 << 20  # of the decoded frames of a video that are sent to a network


@dataclasses.dataclass(frozen=True)
class NetworkWork:
    """Work that decodes a video and runs a network on its frames.

    Args:
        weights: As for `load_model`; the name or path must be valid on every node.
        specs: `StreamSpecs` of the frames.
        positions: Positions of the crops.
        settings: The settings that all rows share, JSON-ready, including `weights`: {stream:
            {"name": ..., "sha256": ...}}.
        network: The network in the process that started the run, of the type that `load` returns;
            it is not pickled.
    """

    weights: typing.Any
    specs: StreamSpecs
    positions: tuple
    settings: dict
    network: typing.Any

    name: typing.ClassVar[str]
    has_network: typing.ClassVar[bool] = True

    def __getstate__(self):
        return {**self.__dict__, "network": None}

    @property
    def flow_spec(self):
        """The `ClipSpec` of stored flow that is read, or None."""
        return self.specs.get("flow")

    def key(self, source, video):
        """The content key of a video of a `Storage`; called in the process that started the run."""
        if source.is_local or self.needs_file():
            with source.local_video(video, flow_spec=self.flow_spec) as path:
                return content_key(self.fields(path, None))
        identity = {"video": remote_identity(source, video), "flow": None}
        return content_key(self.fields(None, identity))

    def needs_file(self):
        """Whether the key depends on more than the bytes at both ends of a video."""
        return self.flow_spec is not None

    def fields(self, path, identity):
        """Everything that the rows of a video depend on, from its path or the result of `identify`.

        Either `path` or `identity` is None.
        """
        raise NotImplementedError

    def is_finished(self, output, video):
        """Whether everything except the rows exists; always True here."""
        del output, video
        return True

    def read(self, path):
        """Decodes a video.

        Returns:
            A `CroppedVideo`; None for a video whose frames are too large to send, which the process
            of the network decodes instead.

        Raises:
            VideoError: If it cannot be decoded.
        """
        specs, rate, frames = self.open(path)
        crops: list = []
        times: list = []
        size = 0
        with contextlib.closing(frames):
            for begin, end, parts in frames:
                times.append((begin, end))
                crops.append(parts)
                size += sum(part.nbytes for crop in parts for part in crop.values())
                if size > MAX_BYTES:
                    return None
        return CroppedVideo(
            path,
            identify(path, specs),
            first_picture_time(path),
            rate,
            count_frames(path, specs) or len(times),
            np.array(times, np.float64).reshape(-1, 2),
            {
                stream: np.stack([np.stack([crop[stream] for crop in parts]) for parts in crops])
                for stream in specs
            },
        )

    def open(self, path):
        """(`StreamSpecs`, frames per second, generator like `timed_crops`) of a video."""
        raise NotImplementedError

    def load(self):
        """The network."""
        raise NotImplementedError

    def check_digests(self, digests):
        """Raises `UserError` if the weights on this node differ from those in the settings."""
        if digests != self.settings["weights"]:
            raise UserError(
                f"{self.weights}: the weights on {platform.node()} differ from those on the "
                "machine that started the run"
            )

    def compute(self, network, video):
        """The rows of a video.

        Args:
            network: The result of `load`.
            video: A `CroppedVideo`, or the local path of a video for which `read` returned None.

        Returns:
            (table, key): a `pyarrow.Table` without the columns `video` and `key`, and the content
            key.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class FeatureWork(NetworkWork):
    """The features of `extract_features`."""

    options: FeatureOptions

    name: typing.ClassVar[str] = "features"

    @classmethod
    def create(cls, weights, options):
        """The work for weights and `FeatureOptions`; loads the network once to check them."""
        from kinetics_i3d.inference.extract_features import make_extractor

        extractor = make_extractor(weights, options)
        chosen = dataclasses.asdict(options)
        del chosen["batch_frames"]  # features do not depend on it
        windows = extractor.windows(None)
        fields = extractor.fields(windows, {})
        settings = {name: fields[name] for name in ("format", "weights", "clip_specs", "dtypes")}
        positions = extractor.view.crops
        return cls(weights, windows.specs, positions, {**settings, **chosen}, extractor, options)

    def needs_file(self):
        """As in `NetworkWork`; the frame rate is in the header."""
        return self.options.fps == "source" or super().needs_file()

    def fields(self, path, identity):
        """As in `NetworkWork`."""
        windows = self.network.windows(path)
        return self.network.fields(windows, identity or identify(path, windows.specs))

    def read(self, path):
        """As in `NetworkWork`; None for one pass over a whole video, see `compute`."""
        return None if self.options.window == WHOLE else super().read(path)

    def open(self, path):
        """As in `NetworkWork`."""
        is_source = self.options.fps == "source"
        rate = frame_rate(path) if is_source else as_rate(self.specs.fastest.fps)
        specs = specs_at(self.specs, rate)
        return specs, rate, timed_crops(path, specs, self.positions, workers=1)

    def load(self):
        """A `FeatureExtractor`."""
        from kinetics_i3d.inference.extract_features import make_extractor

        extractor = make_extractor(self.weights, self.options)
        self.check_digests(extractor.fields(extractor.windows(None), {})["weights"])
        return extractor

    def compute(self, network, video):
        """A row for each window: start, end, center and features."""
        from kinetics_i3d.inference.features_files import features_table

        metadata = network.describe(video)
        outputs, spans = [], []
        with contextlib.closing(read_ahead(network.batches(video))) as batches:
            for inputs, batch_spans in batches:
                outputs.append(network.predict(inputs))
                spans += batch_spans
        table = features_table(network.finish(metadata, outputs, spans))
        return table.drop_columns(["video"]), metadata["key"]


@dataclasses.dataclass(frozen=True)
class ClassifyWork(NetworkWork):
    """The labels of `classify`."""

    streams: tuple | None  # `None` for those of the weights
    top: int  # number of labels
    clips: dict  # from `clips_at_test`
    labels: tuple | None  # class names in place of those of the weights

    name: typing.ClassVar[str] = "classify"

    @classmethod
    def create(cls, weights, *, streams=None, top=5, labels=None):
        """The work for weights; loads the network once to check them."""
        from kinetics_i3d.inference.classify import class_names
        from kinetics_i3d.models.systems import clips_at_test

        model = _load_model(weights, streams, labels)
        clips = clips_at_test(model)
        settings = {
            "labels": list(class_names(model)),
            "weights": _digests(model, weights),
            "clip_specs": {stream: spec.to_dict() for stream, spec in model.clip_specs.items()},
            "dtypes": dtypes_of(model),
            "top": top,
            "clips": clips,
        }
        specs = StreamSpecs(model.clip_specs, apart=True)
        positions = VIEWS["center"].crops
        return cls(weights, specs, positions, settings, model, streams, top, clips, labels)

    def fields(self, path, identity):
        """As in `NetworkWork`."""
        return {**self.settings, **(identity or identify(path, self.specs))}

    def open(self, path):
        """As in `NetworkWork`; the frames have no times."""
        return self.specs, as_rate(self.specs.fastest.fps), self._frames(path)

    def _frames(self, path):
        streams = read_streams(path, self.specs, workers=1)
        for crops in cropped_frames(streams, self.positions, self.specs, path):
            yield 0.0, 0.0, crops

    def load(self):
        """A `ClipModel`."""
        model = _load_model(self.weights, self.streams, self.labels)
        self.check_digests(_digests(model, self.weights))
        return model

    def compute(self, network, video):
        """One row: `predictions`, the (label, probability) of the best classes."""
        import pyarrow

        from kinetics_i3d.inference.classify import predict_labels

        view, minimum = VIEWS["center"], self.clips["minimum"]
        if self.clips["clips"] is not None:
            view = dataclasses.replace(view, clips=self.clips["clips"], frames=minimum)
        if isinstance(video, CroppedVideo):
            cropped = (crops for *_, crops in video.frames())
            views = clip_views(
                cropped,
                self.specs,
                view=view,
                minimum=minimum,
                window=self.clips["window"],
                count=video.count,
            )
        else:
            streams = (*self.specs,)
            views = video_views(video, spec=self.specs, streams=streams, **self.clips)
        rows = [
            {"label": label, "probability": float(probability)}
            for label, probability in predict_labels(network, views, video, top=self.top)
        ]
        entry = pyarrow.struct({"label": pyarrow.string(), "probability": pyarrow.float64()})
        table = pyarrow.table({"predictions": pyarrow.array([rows], pyarrow.list_(entry))})
        return table, content_key(self.fields(None, identify(video, self.specs)))


def _load_model(weights, streams, labels=None):
    from kinetics_i3d.models.clip_model import set_labels
    from kinetics_i3d.models.load import load_model

    model = load_model(weights, streams=streams)
    if labels is not None:
        set_labels(model, labels)
    return model


def _digests(model, weights):
    from kinetics_i3d.weights.assign import weights_digest

    digest = weights_digest(model)
    return {
        stream: {"name": name_of(weights, stream), "sha256": digest} for stream in model.clip_specs
    }
