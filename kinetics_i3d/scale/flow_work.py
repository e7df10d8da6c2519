"""`FlowWork`: the flow files of each video, which need no network."""

import dataclasses
import pathlib
import tempfile
import typing

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.flow.info import flow_path, path_for_spec, reading
from kinetics_i3d.flow.methods import pair_function
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.flow.tree import FlowJob, make_flow
from kinetics_i3d.inference.feature_metadata import content_key, video_identity
from kinetics_i3d.scale.storage import remote_identity


@dataclasses.dataclass(frozen=True)
class FlowWork:
    """The flow files of `make_flow`, in the same subfolders of the output as the videos.

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
        """Everything that the flow depends on except the video, JSON-ready."""
        flow = self.flow.to_dict()
        del flow["backend"]  # backends differ by less than the flow's own errors
        return {"reading": reading(self.spec), "flow": flow}

    def key(self, source, video):
        """The content key of a video of a `Storage`, including the path of its flow file."""
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
            A `pyarrow.Table` of one row: path, flows.

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
        return pyarrow.table({"path": [name], "flows": [result.flows]})
