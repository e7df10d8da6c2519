"""`FeatureWork`, `ClassifyWork`, `FlowWork`: what is done with each video.

They call the functions that work in a single process, so that the results are the same. Of features
and classes a worker decodes by `read` and the process that holds the network runs `compute`. Flow
needs no network.
"""

import contextlib
import dataclasses
import fractions
import pathlib
import platform
import tempfile
import typing

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec, as_rate
from kinetics_i3d.core.errors import UserError, VideoError, first_line
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import count_frames, read_streams
from kinetics_i3d.data.views import VIEWS, clip_views, cropped_frames
from kinetics_i3d.flow.info import file_fingerprint, flow_path, path_for_spec, reading
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.tree import FlowJob, make_flow
from kinetics_i3d.inference.feature_metadata import (
    content_key,
    dtypes_of,
    file_identity,
    first_picture_time,
    identify,
    name_of,
    video_identity,
)
from kinetics_i3d.inference.feature_settings import FeatureSettings
from kinetics_i3d.video.span import split_span

MOST_BYTES = 512 << 20  # of the decoded frames of a video that are sent to a network


@dataclasses.dataclass(frozen=True)
class DecodedVideo:
    """A decoded video on its way to the network.

    Args:
        identity: What `identify` returned.
        first_picture: What `first_picture_time` returned.
        rate: Frames a second, a fraction.
        count: The number of frames, by the header where it tells.
        times: float64 array (frames, 2): the seconds between which each frame is shown.
        crops: {stream: uint8 array (frames, crops, size, size, channels)}; None of a video that is
            too long to be sent, and is decoded where the network is.
    """

    identity: dict
    first_picture: float | None
    rate: fractions.Fraction
    count: int
    times: np.ndarray
    crops: dict | None

    def frames(self):
        """Yields the frames as `SlidingWindows.frames` does."""
        for index, (begin, end) in enumerate(self.times.tolist()):
            places = range(next(iter(self.crops.values())).shape[1])
            parts = [
                {stream: crops[index, place] for stream, crops in self.crops.items()}
                for place in places
            ]
            yield begin, end, parts


@dataclasses.dataclass(frozen=True)
class NetworkWork:
    """Work that decodes a video and runs a network on its frames.

    Args:
        weights: As `load_model` takes them; every node finds them by this name or path.
        digests: {stream: {"name": ..., "sha256": ...}} of the weights.
    """

    weights: typing.Any
    digests: dict

    name: typing.ClassVar[str]
    has_network: typing.ClassVar[bool] = True

    @property
    def settings(self):
        """What the rows of all videos are made with, JSON-ready."""
        raise NotImplementedError

    @property
    def flow_spec(self):
        """The `ClipSpec` of stored flow that is read, or None."""
        raise NotImplementedError

    @property
    def needs_header(self):
        """Whether the content key depends on more than the bytes at both ends of a video."""
        return self.flow_spec is not None

    def fields(self, path, identity=None):
        """All that the rows of a video depend on; of None as the specs say.

        Args:
            path: The local path, or None where `identity` tells all.
            identity: What `identify` returned, or None.
        """
        raise NotImplementedError

    def open(self, path):
        """(`StreamSpecs`, frames a second, generator as `SlidingWindows.frames`) of a video."""
        raise NotImplementedError

    def key(self, source, video):
        """The content key of a video of a `Storage`."""
        if source.is_local or self.needs_header:
            with source.local_video(video, flow_spec=self.flow_spec) as path:
                return content_key(self.fields(path))
        identity = {"video": remote_identity(source, video), "flow": None}
        return content_key(self.fields(None, identity))

    def is_finished(self, output, video):
        """Whether nothing but the rows is missing: True."""
        del output, video
        return True

    def read(self, path):
        """Decodes a video.

        Returns:
            (`DecodedVideo`, content key).

        Raises:
            VideoError: If it cannot be decoded.
        """
        specs, rate, frames = self.open(path)
        identity = identify(path, specs)
        crops: list = []
        times: list = []
        size = 0
        count = count_frames(path, specs)
        with contextlib.closing(frames):
            for begin, end, parts in frames:
                times.append((begin, end))
                crops.append(parts)
                size += sum(part.nbytes for crop in parts for part in crop.values())
                if size > MOST_BYTES:
                    crops, times = [], []
                    break
        arrays = {
            stream: np.stack([np.stack([crop[stream] for crop in parts]) for parts in crops])
            for stream in specs
            if crops
        }
        decoded = DecodedVideo(
            identity,
            first_picture_time(path),
            rate,
            count or len(times),
            np.array(times, np.float64).reshape(-1, 2),
            arrays or None,
        )
        return decoded, content_key(self.fields(path, identity))

    def check_digests(self, digests):
        """Raises `UserError` where a node has other weights than the machine of the command."""
        if digests != self.digests:
            raise UserError(
                f"{self.weights}: the weights on {platform.node()} are not those of the machine "
                "that began the run"
            )

    def load(self):
        """The network."""
        raise NotImplementedError

    def compute(self, network, video, decoded, path=None):
        """The rows of a video.

        Args:
            network: What `load` returned.
            video: The name of the video.
            decoded: A `DecodedVideo`.
            path: The local path of the video where `decoded` has no frames.

        Returns:
            A `pyarrow.Table`.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class FeatureWork(NetworkWork):
    """The features of `extract_features`.

    Args:
        features: A `FeatureSettings`.
    """

    features: FeatureSettings

    name: typing.ClassVar[str] = "features"

    @classmethod
    def create(cls, weights, options):
        """The work with weights and `FeatureOptions`; loads the network once to check them."""
        from kinetics_i3d.inference.features import FeatureExtractor

        features = FeatureExtractor(weights, options).settings
        return cls(weights, features.weights, features)

    @property
    def settings(self):
        """As of `NetworkWork`."""
        return {
            "weights": self.digests,
            "clip_specs": {stream: spec.to_dict() for stream, spec in self.features.specs.items()},
            "dtypes": self.features.dtypes,
            **dataclasses.asdict(self.features.options),
        }

    @property
    def flow_spec(self):
        """As of `NetworkWork`."""
        return self.features.windows(None).specs.get("flow")

    @property
    def needs_header(self):
        """As of `NetworkWork`; the frame rate is in the header."""
        return self.features.options.fps == "source" or super().needs_header

    def fields(self, path, identity=None):
        """As of `NetworkWork`."""
        windows = self.features.windows(path)
        return self.features.fields(windows, identity or identify(path, windows.specs))

    def open(self, path):
        """As of `NetworkWork`."""
        windows = self.features.windows(path)
        return windows.specs, windows.rate, windows.frames(path, workers=1)

    def load(self):
        """A `FeatureExtractor`."""
        from kinetics_i3d.inference.features import FeatureExtractor

        extractor = FeatureExtractor(self.weights, self.features.options)
        self.check_digests(extractor.settings.weights)
        return extractor

    def compute(self, network, video, decoded, path=None):
        """A row for each window: video, start, end, center and features."""
        import pyarrow

        from kinetics_i3d.inference.features import ahead
        from kinetics_i3d.inference.features_files import features_table

        windows = self.features.windows(video, decoded.rate)
        frames = windows.frames(path) if decoded.crops is None else decoded.frames()
        outputs, spans = [], []
        with contextlib.closing(ahead(network.batches(video, windows, frames))) as batches:
            for clips, batch_spans in batches:
                outputs.append(network.predict(clips))
                spans += batch_spans
        metadata = network.metadata(windows, decoded.identity, decoded.first_picture)
        table = features_table(network.finish(metadata, outputs, spans))
        names = pyarrow.array([video] * len(table), pyarrow.string())
        return table.set_column(table.schema.get_field_index("video"), "video", names)


@dataclasses.dataclass(frozen=True)
class ClassifyWork(NetworkWork):
    """The labels of `classify`.

    Args:
        specs: `StreamSpecs` of the frames.
        labels: Class names.
        dtypes: The dtypes that the network computes in.
        streams: Names of streams; None is those of the weights.
        top: Number of labels.
        clips: What `clips_at_test` returned.
    """

    specs: StreamSpecs
    labels: tuple
    dtypes: list
    streams: tuple | None
    top: int
    clips: dict

    name: typing.ClassVar[str] = "classify"

    @classmethod
    def create(cls, weights, *, streams=None, top=5):
        """The work with weights; loads the network once to check them."""
        from kinetics_i3d.inference.classify import check_classifies
        from kinetics_i3d.models.systems import clips_at_test

        model = _load_model(weights, streams)
        check_classifies(model)
        return cls(
            weights,
            _digests(model, weights),
            StreamSpecs(model.clip_specs, apart=True),
            tuple(model.labels),
            dtypes_of(model),
            streams,
            top,
            clips_at_test(model),
        )

    @property
    def settings(self):
        """As of `NetworkWork`."""
        return {
            "weights": self.digests,
            "clip_specs": {stream: spec.to_dict() for stream, spec in self.specs.items()},
            "labels": list(self.labels),
            "dtypes": self.dtypes,
            "top": self.top,
            "clips": self.clips,
        }

    @property
    def flow_spec(self):
        """As of `NetworkWork`."""
        return self.specs.get("flow")

    def fields(self, path, identity=None):
        """As of `NetworkWork`."""
        return {**self.settings, **(identity or identify(path, self.specs))}

    def open(self, path):
        """As of `NetworkWork`; the frames have no times."""
        return self.specs, as_rate(self.specs.fastest.fps), self._frames(path, workers=1)

    def _frames(self, path, workers=None):
        streams = read_streams(path, self.specs, workers=workers)
        for crops in cropped_frames(streams, VIEWS["center"].crops, self.specs, path):
            yield 0.0, 0.0, crops

    def load(self):
        """A `ClipModel`."""
        model = _load_model(self.weights, self.streams)
        self.check_digests(_digests(model, self.weights))
        return model

    def compute(self, network, video, decoded, path=None):
        """A row: video and predictions, the (label, probability) of the best classes."""
        import pyarrow

        from kinetics_i3d.inference.classify import predict_labels

        frames = self._frames(path) if decoded.crops is None else decoded.frames()
        view, minimum = VIEWS["center"], self.clips["minimum"]
        if self.clips["clips"] is not None:
            view = dataclasses.replace(view, clips=self.clips["clips"], frames=minimum)
        views = clip_views(
            (crops for *_, crops in frames),
            self.specs,
            view=view,
            minimum=minimum,
            window=self.clips["window"],
            count=decoded.count,
        )
        rows = [
            {"label": label, "probability": float(probability)}
            for label, probability in predict_labels(network, views, top=self.top)
        ]
        entry = pyarrow.struct({"label": pyarrow.string(), "probability": pyarrow.float64()})
        predictions = pyarrow.array([rows], pyarrow.list_(entry))
        return pyarrow.table({"video": [video], "predictions": predictions})


@dataclasses.dataclass(frozen=True)
class FlowWork:
    """The flow files of `make_flow`, in the folders of the videos below the output.

    Args:
        spec: A `ClipSpec`: how frames are sampled and resized.
        flow: A `FlowSettings`.

    Raises:
        UserError: If a package is missing.
    """

    spec: ClipSpec
    flow: FlowSettings

    name: typing.ClassVar[str] = "flow"
    has_network: typing.ClassVar[bool] = False

    def __post_init__(self):
        pair_function(self.flow.method, self.flow.backend)

    @property
    def settings(self):
        """All that the flow depends on but for the video, JSON-ready."""
        flow = self.flow.to_dict()
        del flow["backend"]  # backends differ by less than the flow's own errors
        return {"reading": reading(self.spec), "flow": flow}

    def key(self, source, video):
        """The content key of a video of a `Storage`, and of the place of its flow file."""
        if source.is_local:
            identity = video_identity(source.path(video))
        else:
            identity = remote_identity(source, video)
        return content_key({**self.settings, "video": identity, "file": video})

    def is_finished(self, output, video):
        """Whether the flow file exists."""
        path = flow_path(video)
        names = (path, path_for_spec(path, self.spec))
        return any(output.exists(name.as_posix()) for name in names)

    def make(self, source, video, output):
        """Writes the flow file of a video.

        Returns:
            A `pyarrow.Table` of one row: video, path, flows.

        Raises:
            FlowFileError: If the file cannot be made.
            OSError: If the disk is full.
            VideoError: If the video cannot be decoded.
        """
        import pyarrow

        name = flow_path(video)
        with source.local_video(video) as path, tempfile.TemporaryDirectory() as folder:
            below = pathlib.Path(output.path("") if output.is_local else folder)
            job = FlowJob(pathlib.Path(path), below / name, pathlib.Path(video))
            (result,) = make_flow([job], spec=self.spec, settings=self.flow, workers=1)
            if result.error is not None:
                raise result.error
            name = result.job.path.relative_to(below).as_posix()
            if not output.is_local:
                output.write(name, result.job.path.read_bytes())
        return pyarrow.table({"video": [video], "path": [name], "flows": [result.flows]})


def _load_model(weights, streams):
    from kinetics_i3d.models.load import load_model

    name = None if streams is None else streams[0] if len(streams) == 1 else "both"
    return load_model(weights, streams=name)


def _digests(model, weights):
    from kinetics_i3d.weights.assign import weights_digest

    digest = weights_digest(model)
    return {
        stream: {"name": name_of(weights, stream), "sha256": digest} for stream in model.clip_specs
    }


def remote_identity(source, video):
    """The `video_identity` of a file of a `Storage`, of which both ends are read.

    Raises:
        VideoError: If it cannot be read.
    """
    file, span = split_span(video)
    try:
        with source.open(file) as opened:
            return file_identity(file, span, file_fingerprint(opened))
    except FileNotFoundError as error:
        raise VideoError(f"{source}/{video}: there is no such file") from error
    except OSError as error:
        raise VideoError(f"{source}/{video}: cannot be read ({first_line(error)})") from error
