"""`SYSTEMS`: one row per video network; no other module lists them.

`clips_at_test` samples a system's test clips, and `multiply_adds` counts its operations.

Carreira & Zisserman, "Quo Vadis, Action Recognition?", CVPR 2017, section 2 and table 1.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from keras import layers

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.models.c3d import C3D
from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM
from kinetics_i3d.models.inception_i3d import InceptionI3D
from kinetics_i3d.models.streams import CHANNELS
from kinetics_i3d.models.two_stream import TwoStream
from kinetics_i3d.models.two_stream_fused import TwoStreamFused
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D

FPS = 25.0  # of the paper's videos


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """A network of clips, and how the paper trains and tests it.

    Args:
        name: The name of its builder, as weight files and configs store it.
        letter: `"a"` to `"e"`, as in the paper's figure 2, or `None`.
        title: The paper's name for it.
        builder: The function that builds it.
        backbone: Name of the nested network that `start_from_images` initializes, or `None`.
        train_frames: {stream: frames of a training clip}.
        stride: {stream: step between frames of the clip, in frames of a 25 fps video}.
        train_seconds: Seconds of a video that a training clip covers.
        test_frames: {stream: frames} that cover a 10-second video at test.
        test_seconds: Seconds of a video that they cover.
        size: Height and width of a frame in pixels.
        endpoints: Names of the activations before the classifier, within each separate stream.
        loss: `"last"`, on one prediction per clip, or `"all steps"`, on one per time step.
        reads_one: Whether it reads only one of its streams, chosen when it is built.
        stream_system: The system of each stream, if the streams are trained separately and their
            logits are added at test; `None` for systems trained as a whole.
        test_clips: Number of clips of minimum length, spread evenly over a video, at test; `None`
            to cover the whole video with clips of at most `test_frames`.
        aggregation: How the predictions for the clips of a video are combined.
        million_parameters: The paper's count for 400 classes, in millions. It truncates (b) and (d)
            and rounds (a).
    """

    name: str
    letter: str | None
    title: str
    builder: Callable[..., Any]
    backbone: str | None
    train_frames: Mapping[str, int]
    stride: Mapping[str, int]
    train_seconds: float
    test_frames: Mapping[str, int]
    test_seconds: float
    size: int = 224
    endpoints: tuple[str, ...]
    loss: str = "last"
    reads_one: bool = False
    stream_system: str | None = None
    test_clips: int | None = None
    aggregation: str
    million_parameters: int

    @property
    def streams(self) -> tuple[str, ...]:
        """The names of its streams, rgb first."""
        return tuple(self.train_frames)

    @property
    def is_separate(self) -> bool:
        """Whether its streams are trained separately and their logits added at test."""
        return self.stream_system is not None

    @property
    def trained_as(self) -> str:
        """The name of the system that is trained; for separate streams that of one stream."""
        return self.stream_system or self.name

    @property
    def train_shape(self):
        """`input_shape` of its builder in training; {stream: shape} for several streams."""
        side = (self.size, self.size)
        shapes = {
            stream: (frames, *side, CHANNELS[stream])
            for stream, frames in self.train_frames.items()
        }
        return shapes if len(shapes) > 1 and not self.reads_one else next(iter(shapes.values()))

    def build(self, **options):
        """Builds it for training clips; `options` are arguments of its builder."""
        return self.builder(**{"input_shape": self.train_shape, **options})


SYSTEMS = {
    row.name: row
    for row in (
        System(
            name="ConvNetLSTM",
            letter="a",
            title="ConvNet+LSTM",
            builder=ConvNetLSTM,
            backbone="InceptionV1",
            train_frames={"rgb": 25},
            stride={"rgb": 5},
            train_seconds=5.0,
            test_frames={"rgb": 50},
            test_seconds=10.0,
            endpoints=("Features_bn",),
            loss="all steps",
            aggregation="last step of one clip",
            million_parameters=9,
        ),
        System(
            name="C3D",
            letter="b",
            title="3D-ConvNet",
            builder=C3D,
            backbone=None,
            train_frames={"rgb": 16},
            stride={"rgb": 1},
            train_seconds=0.64,
            test_frames={"rgb": 240},
            test_seconds=9.6,
            size=112,
            endpoints=("MaxPool3d_5",),
            aggregation="mean of 15 clips",
            million_parameters=79,
        ),
        System(
            name="TwoStream",
            letter="c",
            title="Two-Stream",
            builder=TwoStream,
            backbone="InceptionV1",
            train_frames={"rgb": 1, "flow": 10},
            stride={"rgb": 10, "flow": 1},
            train_seconds=0.4,
            test_frames={"rgb": 25, "flow": 250},
            test_seconds=10.0,
            endpoints=(),  # each stream ends in a classifier of its own
            test_clips=25,
            aggregation="mean of 25 clips",
            million_parameters=12,
        ),
        System(
            name="TwoStreamFused",
            letter="d",
            title="3D-Fused",
            builder=TwoStreamFused,
            backbone="InceptionV1",
            train_frames={"rgb": 5, "flow": 50},
            stride={"rgb": 10, "flow": 1},
            train_seconds=2.0,
            test_frames={"rgb": 25, "flow": 250},
            test_seconds=10.0,
            endpoints=("Fused_MaxPool3d_3x3",),
            aggregation="one clip, mean over its grid",
            million_parameters=39,
        ),
        System(
            name="TwoStreamI3D",
            letter="e",
            title="Two-Stream I3D",
            builder=TwoStreamI3D,
            backbone="InceptionI3D",
            train_frames={"rgb": 64, "flow": 64},
            stride={"rgb": 1, "flow": 1},
            train_seconds=2.56,
            test_frames={"rgb": 250, "flow": 250},
            test_seconds=10.0,
            endpoints=("Mixed_5c",),
            stream_system="InceptionI3D",
            aggregation="one clip, mean over time, sum of streams",
            million_parameters=25,
        ),
        # One stream of (e), trained and tested in the same way.
        System(
            name="InceptionI3D",
            letter=None,
            title="I3D",
            builder=InceptionI3D,
            backbone="InceptionI3D",
            train_frames={"rgb": 64, "flow": 64},
            stride={"rgb": 1, "flow": 1},
            train_seconds=2.56,
            test_frames={"rgb": 250, "flow": 250},
            test_seconds=10.0,
            endpoints=("Mixed_5c",),
            reads_one=True,
            aggregation="one clip, mean over time",
            million_parameters=12,
        ),
    )
}


def paper_systems() -> dict[str, System]:
    """The rows that the paper compares, ordered by letter."""
    rows = [row for row in SYSTEMS.values() if row.letter is not None]
    return {row.name: row for row in sorted(rows, key=lambda row: row.letter or "")}


def system_of(model) -> System:
    """The row of a model or a `WeightsInfo`; `WeightsError` if its system is unknown."""
    # Models and files of a single I3D have no system name: they predate the other systems.
    name = model.system or "InceptionI3D"
    if name not in SYSTEMS:
        raise WeightsError(f"unknown system {name!r}; must be one of {[*SYSTEMS]}")
    return SYSTEMS[name]


def builder_of(checkpoint) -> Callable[..., Any]:
    """The builder of a `Checkpoint` of clips; `WeightsError` if its system is unknown."""
    try:
        return system_of(checkpoint.info).builder
    except WeightsError as error:
        raise WeightsError(f"{checkpoint.path}: {error}") from error


def clips_at_test(model) -> dict[str, int | None]:
    """How the paper samples the clips of a test video for this system.

    Args:
        model: A `ClipModel` of clips.

    Returns:
        {"minimum": ..., "window": ..., "clips": ...}, arguments of `data.views.video_views`: the
        minimum and maximum number of frames of a clip of the fastest stream, and the number of
        clips that represent the video, or `None` for the whole video.

    Example:

    >>> clips_at_test(ki3d.TwoStream(architecture="inception_v1_quarter", classes=5))
    {'minimum': 10, 'window': 250, 'clips': 25}
    """
    row = system_of(model)
    minimum = max(size[0] for size in model.minimums.values())
    fixed = max(clips.shape[1] or 0 for clips in model.inputs)
    if not fixed:
        return {
            "minimum": minimum,
            "window": max(row.test_frames.values()),
            "clips": row.test_clips,
        }
    # A longer clip averages over several of minimum length.
    count = row.test_clips and max(1, row.test_clips * minimum // fixed)
    return {"minimum": fixed, "window": fixed, "clips": count}


def multiply_adds(model):
    """Counts the multiply-adds of a model for one clip.

    Only convolutions, dense layers and LSTMs count; pooling, normalization and activations do not.

    Args:
        model: A functional model whose `input_shape` is fixed but for the batch.

    Returns:
        An int. The number of floating-point operations is twice that.

    Raises:
        ValueError: If a size is not fixed.

    Example:

    >>> model = ki3d.InceptionV1(architecture="inception_v1_quarter", input_shape=(224, 224, 3))
    >>> round(multiply_adds(model) / 1e9, 2)
    0.12
    """
    inside = {layer.name: layer for layer in model.layers}
    total = 0
    for layer in model.layers:
        if hasattr(layer, "layers"):  # an image network runs once for each stack of its stream
            stacks = inside.get(layer.name.replace("_stream", "_stacks"))
            times = stacks.input.shape[1] // stacks.frames if stacks is not None else 1
            total += times * multiply_adds(layer)
        else:
            total += _count(layer)
    return total


def _count(layer):
    if not isinstance(layer, (layers.Conv2D, layers.Conv3D, layers.Dense, layers.LSTM)):
        return 0
    outputs, inputs = tuple(layer.output.shape[1:]), tuple(layer.input.shape[1:])
    if None in outputs + inputs:
        raise ValueError(
            f"`model` must have a fixed input_shape. Received: {layer.name} from {inputs} to "
            f"{outputs}"
        )
    if isinstance(layer, layers.LSTM):
        # Four gates read the input and the last output, at every step.
        return inputs[0] * 4 * layer.units * (inputs[1] + layer.units)
    return math.prod(outputs[:-1]) * math.prod(layer.kernel.shape)
