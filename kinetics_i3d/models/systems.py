"""`SYSTEMS`: the paper's table 1 as rows; `clips_at_test`: what a model is shown of a video.

Carreira & Zisserman, CVPR 2017, section 2 and table 1.
"""

import dataclasses
from collections.abc import Callable

from kinetics_i3d.models.c3d import C3D
from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM
from kinetics_i3d.models.streams import CHANNELS
from kinetics_i3d.models.two_stream import TwoStream
from kinetics_i3d.models.two_stream_fused import TwoStreamFused
from kinetics_i3d.models.two_stream_i3d import TwoStreamI3D

FPS = 25.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """One of the five systems, as the paper trains and tests it.

    Args:
        letter: `"a"` to `"e"`, as in the paper's figure 2.
        name: Its constructor's name.
        title: What the paper calls it.
        builder: The constructor.
        train_frames: {stream: frames of a clip} in training.
        stride: {stream: frames of a video at 25 a second from one frame of the clip to the next}.
        train_seconds: What a clip sees of a video in training.
        test_frames: {stream: frames} of a video of 10 seconds at test.
        test_seconds: What they see of it.
        size: Pixels of a side.
        loss: Where the loss is: `"last"`, on one answer a clip, or `"all steps"`.
        snapshots: How many clips of the least length, evenly spread over a video, stand for it at
            test; None is all of it, in clips of `test_frames` at most.
        aggregation: How a video's answer is made of its clips'.
        million_parameters: The paper's count for 400 classes. It cuts (b) and (d) and rounds (a).
    """

    letter: str
    name: str
    title: str
    builder: Callable
    train_frames: dict
    stride: dict
    train_seconds: float
    test_frames: dict
    test_seconds: float
    size: int = 224
    loss: str = "last"
    snapshots: int | None = None
    aggregation: str
    million_parameters: int

    @property
    def streams(self):
        """The names of its streams, rgb first."""
        return tuple(self.train_frames)

    @property
    def train_shape(self):
        """`input_shape` of its builder in training; of two streams a dictionary."""
        side = (self.size, self.size)
        shapes = {
            stream: (frames, *side, CHANNELS[stream])
            for stream, frames in self.train_frames.items()
        }
        return shapes if len(shapes) > 1 else shapes["rgb"]

    def build(self, **options):
        """Builds it for the clips of training; options are those of its builder."""
        return self.builder(**{"input_shape": self.train_shape, **options})


SYSTEMS = {
    row.name: row
    for row in (
        System(
            letter="a",
            name="ConvNetLSTM",
            title="ConvNet+LSTM",
            builder=ConvNetLSTM,
            train_frames={"rgb": 25},
            stride={"rgb": 5},
            train_seconds=5.0,
            test_frames={"rgb": 50},
            test_seconds=10.0,
            loss="all steps",
            aggregation="last step of one clip",
            million_parameters=9,
        ),
        System(
            letter="b",
            name="C3D",
            title="3D-ConvNet",
            builder=C3D,
            train_frames={"rgb": 16},
            stride={"rgb": 1},
            train_seconds=0.64,
            test_frames={"rgb": 240},
            test_seconds=9.6,
            size=112,
            aggregation="mean of 15 clips",
            million_parameters=79,
        ),
        System(
            letter="c",
            name="TwoStream",
            title="Two-Stream",
            builder=TwoStream,
            train_frames={"rgb": 1, "flow": 10},
            stride={"rgb": 10, "flow": 1},
            train_seconds=0.4,
            test_frames={"rgb": 25, "flow": 250},
            test_seconds=10.0,
            snapshots=25,
            aggregation="mean of 25 snapshots",
            million_parameters=12,
        ),
        System(
            letter="d",
            name="TwoStreamFused",
            title="3D-Fused Two-Stream",
            builder=TwoStreamFused,
            train_frames={"rgb": 5, "flow": 50},
            stride={"rgb": 10, "flow": 1},
            train_seconds=2.0,
            test_frames={"rgb": 25, "flow": 250},
            test_seconds=10.0,
            aggregation="one clip, mean over its grid",
            million_parameters=39,
        ),
        System(
            letter="e",
            name="TwoStreamI3D",
            title="Two-Stream I3D",
            builder=TwoStreamI3D,
            train_frames={"rgb": 64, "flow": 64},
            stride={"rgb": 1, "flow": 1},
            train_seconds=2.56,
            test_frames={"rgb": 250, "flow": 250},
            test_seconds=10.0,
            aggregation="one clip, mean over time, sum of streams",
            million_parameters=25,
        ),
    )
}


def clips_at_test(model):
    """How long the clips of a video are that a model is tested on, as the paper tests its system.

    Args:
        model: A `ClipModel` of clips.

    Returns:
        {"minimum": ..., "window": ..., "snapshots": ...}, as `data.views.video_views` takes them:
        the least and the most frames of a clip, of the fastest stream, and how many clips stand for
        the whole video, None where all of it counts.

    Example:

    >>> clips_at_test(ki3d.TwoStream(architecture="inception_v1_quarter", classes=5))
    {'minimum': 10, 'window': 250, 'snapshots': 25}
    """
    # Of one stream alone too: it is tested as it is in the pair.
    row = SYSTEMS.get(model.system, SYSTEMS["TwoStreamI3D"])
    least = max(size[0] for size in model.minimums.values())
    fixed = max(clips.shape[1] or 0 for clips in model.inputs)
    if not fixed:
        return {
            "minimum": least,
            "window": max(row.test_frames.values()),
            "snapshots": row.snapshots,
        }
    # A longer clip holds several snapshots.
    snapshots = row.snapshots and max(1, row.snapshots * least // fixed)
    return {"minimum": fixed, "window": fixed, "snapshots": snapshots}
