"""`FlowSettings`, `read_flow`, `read_both`: the optical flow of a video file, frame after frame.

As in the I3D release (README, "Sample data and preprocessing"): flow of the resized frames.
"""

import collections
import contextlib
import dataclasses
import math

from kinetics_i3d.core.clip_spec import DEEPMIND_FLOW
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.flow.backends import BACKENDS, pair_function
from kinetics_i3d.flow.coding import BOUND, ROUNDINGS, encode_flow
from kinetics_i3d.flow.pairs import SMALLEST, flow_stream
from kinetics_i3d.flow.parameters import TVL1
from kinetics_i3d.video.reader import read_frames


@dataclasses.dataclass(frozen=True)
class FlowSettings:
    """How flow is computed, and how it is coded where it is kept in 8 bits.

    Args:
        method: `"tvl1"`, `"dis"` or `"farneback"`.
        parameters: A `TVL1`; None is OpenCV's defaults for TV-L1, and what the others must have.
        backend: What computes it; None is the best that is installed, as in `optical_flow`.
        bound: Pixels that the codes reach to.
        rounding: `"round"` or `"truncate"`, as in `encode_flow`.

    Raises:
        ValueError: If a field is outside its range.

    Example:

    >>> FlowSettings().parameters == TVL1()
    True
    >>> FlowSettings("dis", bound=10).to_dict()["bound"]
    10.0
    """

    method: str = "tvl1"
    parameters: TVL1 | None = None
    backend: str | None = None
    bound: float = BOUND
    rounding: str = "round"

    def __post_init__(self):
        if self.method not in BACKENDS:
            raise ValueError(
                f"`method` must be one of {(*BACKENDS,)}. Received: method={self.method!r}"
            )
        if self.parameters is None and self.method == "tvl1":
            object.__setattr__(self, "parameters", TVL1())
        needed = TVL1 if self.method == "tvl1" else type(None)
        if not isinstance(self.parameters, needed):
            raise ValueError(
                f"`parameters` must be {'a TVL1' if needed is TVL1 else None} for "
                f"method={self.method!r}. Received: parameters={self.parameters!r}"
            )
        if self.backend not in (None, *BACKENDS[self.method]):
            raise ValueError(
                f"`backend` must be None or one of {BACKENDS[self.method]} for "
                f"method={self.method!r}. Received: backend={self.backend!r}"
            )
        number = isinstance(self.bound, (int, float)) and not isinstance(self.bound, bool)
        if not number or not 0 < self.bound < math.inf:
            raise ValueError(f"`bound` must be pixels, above 0. Received: bound={self.bound!r}")
        object.__setattr__(self, "bound", float(self.bound))  # 20 and 20.0 are written alike
        if self.rounding not in ROUNDINGS:
            raise ValueError(
                f"`rounding` must be one of {(*ROUNDINGS,)}. Received: rounding={self.rounding!r}"
            )

    def encode(self, flow):
        """The 8-bit codes of flow in pixels, by this bound and rounding."""
        return encode_flow(flow, self.bound, self.rounding)

    def to_dict(self):
        """The fields as a JSON-ready dictionary; `from_dict` is the inverse."""
        return dataclasses.asdict(self)

    def settled(self):
        """These settings with the backend that computes by them here, where none is named."""
        program = pair_function(self.method, self.backend).__module__
        backend = program.rpartition(".")[2].removeprefix("tvl1_")
        return dataclasses.replace(self, backend=backend)

    @classmethod
    def from_dict(cls, fields):
        """The inverse of `to_dict`.

        Args:
            fields: The dictionary. A field that it lacks has its default.

        Returns:
            A `FlowSettings`.

        Raises:
            TypeError: If there are other fields.
            ValueError: If a field is outside its range.

        Example:

        >>> FlowSettings.from_dict(FlowSettings("dis").to_dict())
        FlowSettings(method='dis', parameters=None, backend=None, bound=20.0, rounding='round')
        """
        fields = dict(fields)
        parameters = fields.pop("parameters", None)
        return cls(parameters=None if parameters is None else TVL1(**parameters), **fields)


def read_flow(path, *, spec=DEEPMIND_FLOW, settings=None, start=0.0, workers=None):
    """Computes the flow of a video while it is decoded.

    Args:
        path: A local video file.
        spec: A `ClipSpec`, of either stream: how frames are sampled and resized. They are not
            cropped, since a crop's flow is another one at its edges.
        settings: A `FlowSettings`; None is the release's.
        start: Seconds from the first picture.
        workers: Pairs worked on at once, a thread each; None is one for each processor. They
            change no value.

    Returns:
        A generator of float32 arrays (height, width, 2), pixels, x (to the right) then y (down),
        not clipped, one fewer than frames: none for a video of one frame. Closing it closes the
        video and ends the threads.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is wrong.
        VideoError: While reading: as `read_frames`; or if the pictures are too small for flow, or
            change their shape.

    Example:

    >>> quick = FlowSettings(parameters=TVL1(scales=1, warps=1))
    >>> flows = read_flow(folder / "video.mp4", settings=quick, start=0.9)
    >>> [flow.shape for flow in flows]
    [(256, 341, 2), (256, 341, 2)]
    """
    both = read_both(path, spec=spec, settings=settings, start=start, workers=workers)
    return _flows(both)


def read_both(path, *, spec=DEEPMIND_FLOW, settings=None, start=0.0, workers=None):
    """Decodes a video once, and gives each frame with the flow from it to the next.

    At most some `2 * workers` frames are held.

    Args:
        path: As for `read_flow`.
        spec: As for `read_flow`.
        settings: As for `read_flow`.
        start: As for `read_flow`.
        workers: As for `read_flow`.

    Returns:
        A generator of (frame, flow): uint8 (height, width, 3), RGB, and float32 (height, width, 2);
        the flow of the last frame is None.

    Raises:
        UserError: As `read_flow`.
        ValueError: As `read_flow`.
        VideoError: As `read_flow`.

    Example:

    >>> quick = FlowSettings(parameters=TVL1(scales=1, warps=1))
    >>> pairs = read_both(folder / "video.mp4", settings=quick, start=0.9)
    >>> [flow is None for frame, flow in pairs]
    [False, False, True]
    """
    settings = FlowSettings() if settings is None else settings
    if spec.short_side < SMALLEST:
        raise ValueError(
            f"`spec` must resize to {SMALLEST} pixels or more for flow. Received: spec={spec!r}"
        )
    frames = read_frames(path, start=start, **spec.reading)
    return flow_of_frames(_of_one_shape(frames, path), settings=settings, workers=workers)


def flow_of_frames(frames, *, settings=None, workers=None):
    """Gives each of some frames with the flow from it to the next, in bounded memory.

    Args:
        frames: Iterable of uint8 arrays (height, width, 3), RGB, each with its own memory, as
            `read_frames` gives; a generator is closed at the end.
        settings: As for `read_flow`.
        workers: As for `read_flow`.

    Returns:
        A generator of (frame, flow), as `read_both` gives.

    Raises:
        UserError: If a package is missing.
        ValueError: If an argument is wrong; for a frame, while reading.

    Example:

    >>> frames = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), np.uint8)
    >>> [flow is None for frame, flow in flow_of_frames(frames)]
    [False, True]
    """
    settings = FlowSettings() if settings is None else settings
    waiting: collections.deque = collections.deque()
    stream = flow_stream(
        _remembered(frames, waiting),
        method=settings.method,
        backend=settings.backend,
        parameters=settings.parameters,
        workers=workers,
    )
    return _paired(frames, stream, waiting)


def _remembered(frames, waiting):
    for frame in frames:
        waiting.append(frame)
        yield frame


def _paired(frames, stream, waiting):
    with contextlib.ExitStack() as stack:
        if hasattr(frames, "close"):
            stack.callback(frames.close)
        stack.callback(stream.close)
        for flow in stream:
            yield waiting.popleft(), flow
        for frame in waiting:
            yield frame, None


def _flows(both):
    with contextlib.closing(both):
        for _, flow in both:
            if flow is not None:
                yield flow


def _of_one_shape(frames, path):
    """Passes a video's frames on, and refuses those that flow cannot be computed from."""
    first = None
    with contextlib.closing(frames):
        for index, frame in enumerate(frames):
            height, width = frame.shape[:2]
            if min(height, width) < SMALLEST:
                raise VideoError(
                    f"{path}: {width} x {height} pixels after the resize; flow needs {SMALLEST} "
                    "each way"
                )
            if first is None:
                first = height, width
            if (height, width) != first:
                raise VideoError(
                    f"{path}: frame {index} is {width} x {height} pixels after the resize, those "
                    f"before it {first[1]} x {first[0]}; flow needs one shape"
                )
            yield frame
