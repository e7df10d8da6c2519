"""`FeatureWork`, `ClassifyWork`, `FlowWork`: what is done with each video.

They call the functions that work in a single process, so that the results are the same. Of features
and classes a worker decodes by `read` and the process that holds the network runs `compute`. Flow
needs no network.
"""

import dataclasses
import pathlib
import platform
import tempfile
import typing

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError, VideoError, first_line
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.data.streams import count_frames, read_streams
from kinetics_i3d.data.views import VIEWS, clip_views, cropped_frames, timed_crops
from kinetics_i3d.flow.info import file_fingerprint, flow_path, path_for_spec, reading
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.tree import FlowJob, make_flow
from kinetics_i3d.inference.feature_metadata import (
    content_key,
    file_identity,
    first_picture_time,
    identify,
    name_of,
)
from kinetics_i3d.video.span import split_span

MOST_BYTES = 512 << 20  # of the decoded frames of a video that are sent to a network


@dataclasses.dataclass(frozen=True)
class DecodedVideo:
    """A decoded video on its way to the network.

    Args:
        identity: What `identify` returned.
        first_picture: What `first_picture_time` returned.
        count: The number of frames, by the header where it tells.
        times: float64 array (frames, 2): the seconds between which each frame is shown.
        crops: {stream: uint8 array (frames, crops, size, size, channels)}; None of a video that is
            too long to be sent, and is decoded where the network is.
    """

    identity: dict
    first_picture: float | None
    count: int
    times: np.ndarray
    crops: dict | None

    def frames(self):
        """Yields the frames as `timed_crops` does."""
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
        settings: All that the result depends on but for the video, JSON-ready.
        specs: `StreamSpecs` of the frames.
        places: Positions of the crops.
    """

    weights: typing.Any
    settings: dict
    specs: StreamSpecs
    places: tuple

    name: typing.ClassVar[str]
    has_network: typing.ClassVar[bool] = True

    @property
    def flow_spec(self):
        """The `ClipSpec` of stored flow that is read, or None."""
        return self.specs.get("flow")

    def key(self, source, video):
        """The content key of a video of a `Storage`."""
        if source.is_local or self.flow_spec is not None:
            with source.local_video(video, flow_spec=self.flow_spec) as path:
                return content_key(self.settings, identify(path, self.specs))
        return content_key(self.settings, {"video": remote_identity(source, video), "flow": None})

    def is_finished(self, output, video):
        """Whether nothing but the rows is missing: True."""
        del output, video
        return True

    def read(self, path):
        """Decodes a video.

        Returns:
            A `DecodedVideo`.

        Raises:
            VideoError: If it cannot be decoded.
        """
        identity = identify(path, self.specs)
        frames: list = []
        times: list = []
        size = 0
        count = count_frames(path, self.specs)
        for begin, end, crops in self.frames(path):
            times.append((begin, end))
            frames.append(crops)
            size += sum(part.nbytes for crop in crops for part in crop.values())
            if size > MOST_BYTES:
                frames, times = [], []
                break
        crops = {
            stream: np.stack([np.stack([crop[stream] for crop in crops]) for crops in frames])
            for stream in self.specs
            if frames
        }
        return DecodedVideo(
            identity,
            first_picture_time(path),
            count or len(times),
            np.array(times, np.float64).reshape(-1, 2),
            crops or None,
        )

    def frames(self, path):
        """Yields the frames of a video as `timed_crops` does."""
        return timed_crops(path, self.specs, self.places, workers=1)

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
        options: A `FeatureOptions`.
    """

    options: typing.Any = None

    name: typing.ClassVar[str] = "features"

    @classmethod
    def create(cls, weights, options):
        """The work with weights and `FeatureOptions`; loads the network once to check them."""
        from kinetics_i3d.inference.features import FeatureExtractor

        extractor = FeatureExtractor(weights, options)
        return cls(weights, extractor.settings, extractor.specs, extractor.view.crops, options)

    def load(self):
        """A `FeatureExtractor`."""
        from kinetics_i3d.inference.features import FeatureExtractor

        extractor = FeatureExtractor(self.weights, self.options)
        _check_digests(self, extractor.settings["weights"])
        return extractor

    def compute(self, network, video, decoded, path=None):
        """A row for each window: video, start, end, center and features."""
        import pyarrow

        from kinetics_i3d.inference.features import ahead
        from kinetics_i3d.inference.features_files import features_table

        frames = self.frames(path) if decoded.crops is None else decoded.frames()
        outputs, spans = [], []
        for clips, batch_spans in ahead(network.batches(video, frames)):
            outputs.append(network.predict(clips))
            spans += batch_spans
        metadata = network.metadata(decoded.identity, decoded.first_picture)
        table = features_table(network.finish(metadata, outputs, spans))
        names = pyarrow.array([video] * len(table), pyarrow.string())
        return table.set_column(table.schema.get_field_index("video"), "video", names)


@dataclasses.dataclass(frozen=True)
class ClassifyWork(NetworkWork):
    """The labels of `classify`.

    Args:
        streams: Names of streams; None is those of the weights.
        top: Number of labels.
        clips: What `clips_at_test` returned.
    """

    streams: tuple | None = None
    top: int = 5
    clips: dict = dataclasses.field(default_factory=dict)

    name: typing.ClassVar[str] = "classify"

    @classmethod
    def create(cls, weights, *, streams=None, top=5):
        """The work with weights; loads the network once to check them."""
        from kinetics_i3d.inference.classify import check_classifies
        from kinetics_i3d.inference.feature_metadata import dtypes_of
        from kinetics_i3d.models.systems import clips_at_test

        model = _load_model(weights, streams)
        check_classifies(model)
        clips = clips_at_test(model)
        settings = {
            "weights": _digests(model, weights),
            "clip_specs": {stream: spec.to_dict() for stream, spec in model.clip_specs.items()},
            "labels": list(model.labels),
            "top": top,
            "clips": clips,
            "dtypes": dtypes_of(model),
        }
        specs = StreamSpecs(model.clip_specs, apart=True)
        return cls(weights, settings, specs, VIEWS["center"].crops, streams, top, clips)

    def frames(self, path):
        """Yields the frames as `timed_crops` does, without times."""
        streams = read_streams(path, self.specs, workers=1)
        for crops in cropped_frames(streams, self.places, self.specs, path):
            yield 0.0, 0.0, crops

    def load(self):
        """A `ClipModel`."""
        model = _load_model(self.weights, self.streams)
        _check_digests(self, _digests(model, self.weights))
        return model

    def compute(self, network, video, decoded, path=None):
        """A row: video and predictions, the (label, probability) of the best classes."""
        import pyarrow

        from kinetics_i3d.inference.classify import predict_labels

        frames = self.frames(path) if decoded.crops is None else decoded.frames()
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
        predictions = pyarrow.array(
            [rows],
            pyarrow.list_(
                pyarrow.struct({"label": pyarrow.string(), "probability": pyarrow.float64()})
            ),
        )
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
            with source.local_video(video) as path:
                identity = identify(path, StreamSpecs(self.spec))["video"]
        else:
            identity = remote_identity(source, video)
        return content_key(self.settings, {"video": identity, "file": video})

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


def _check_digests(work, digests):
    """Raises `UserError` where a node has other weights than the machine that began the run."""
    if digests != work.settings["weights"]:
        raise UserError(
            f"{work.weights}: the weights on {platform.node()} are not those of the machine that "
            "began the run"
        )


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
