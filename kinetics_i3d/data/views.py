"""Test views: the clips of a video that a model is tested on, in windows that fit in memory.

Carreira & Zisserman, CVPR 2017, section 2.5: the whole video, center crop, predictions averaged
over time. The paper's longest clip, 250 frames, bounds the memory. Ten crops: Krizhevsky et al.,
NIPS 2012; clips with three crops: Wang et al., "Non-local Neural Networks", CVPR 2018. Evenly
spread clips: Simonyan & Zisserman, "Two-Stream Convolutional Networks", NIPS 2014, section 5.
"""

import collections
import contextlib
import dataclasses
import itertools
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, check_count
from kinetics_i3d.data.streams import count_frames, no_flow, read_streams
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.video.clip import check_width
from kinetics_i3d.video.video_frames import VideoFrames, check_video

WINDOW = 250
MIDDLE = (0.5, 0.5)


@dataclasses.dataclass(frozen=True)
class View:
    """The crops and frames of a video that a model is tested on.

    Args:
        crops: Positions of the square, (along the longer side, along the shorter side), 0 to 1.
        flips: Whether each crop is mirrored: `(False,)`, or `(False, True)` for both.
        clips: The number of clips, evenly spread over the video; None for the entire video in
            windows.
        frames: Frames of each of these clips, of the fastest stream; fewer if the model's window
            or the stacks of flow require it.

    Raises:
        ValueError: If a field is outside its range.
    """

    crops: tuple = (MIDDLE,)
    flips: tuple = (False,)
    clips: int | None = None
    frames: int = 64

    def __post_init__(self):
        positions = [position for crop in self.crops for position in crop]
        if not self.crops or not all(0 <= position <= 1 for position in positions):
            raise ValueError(
                f"`crops` must be positions from 0 to 1. Received: crops={self.crops!r}"
            )
        if not self.flips or not set(self.flips) <= {False, True}:
            raise ValueError(
                f"`flips` must be one or both of False and True. Received: flips={self.flips!r}"
            )
        if (self.clips is not None and self.clips < 1) or self.frames < 1:
            raise ValueError(
                "`clips` and `frames` must be 1 or more. "
                f"Received: clips={self.clips!r}, frames={self.frames!r}"
            )


THREE = ((0.0, 0.5), MIDDLE, (1.0, 0.5))
CORNERS = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))
VIEWS = {
    "center": View(),
    "flips": View(flips=(False, True)),
    "clips_3_crops": View(crops=THREE, clips=10),
    "ten_crop": View(crops=(MIDDLE, *CORNERS), flips=(False, True)),
}


def video_views(
    path,
    *,
    spec,
    view="center",
    streams=("rgb",),
    minimum=9,
    window=WINDOW,
    clips=None,
    settings=None,
):
    """Reads the clips of a view of a video: of rgb, of flow or of both.

    One window of each crop is in memory, or the frames of one clip. If the streams differ in rate,
    numbers of frames are those of the faster one, flow: 2.5 rgb frames and 25 flows per second give
    clips of 25 rgb frames and 250 flows, where each rgb frame is the first of its stack of 10
    flows.

    Args:
        path: A path, or `VideoFrames`.
        spec: A `ClipSpec`, or {stream: `ClipSpec`}, such as `model.clip_specs`.
        view: A `View`, or a name in `VIEWS`.
        streams: `"rgb"`, `"flow"` or both. With flow the last frame is left out: it has no flow.
        minimum: Minimum number of frames of a clip. A shorter video is looped; a shorter remainder
            is completed with the frames before it.
        window: Maximum number of frames of a clip.
        clips: Number of clips of `minimum` frames, evenly spread; None for the entire video.
        settings: The `FlowSettings`; None accepts any stored flow, and computes missing flow with
            the default settings.

    Yields:
        (clips, clip_weight): float32 (1, frames, spec.size, spec.size, channels) in the spec's
        range, or {stream: clips} for both streams; and the weight of the clip: the number of frames
        that no earlier clip of this crop contained, or 1 with a fixed number of clips. If the last
        stack of a video is incomplete, it is completed with the frames before it.

    Raises:
        FlowFileError: If stored flow is damaged or of another video.
        ValueError: If an argument is invalid.
        VideoError: If the video cannot be decoded, is too narrow for the crop, or has no flow.
    """
    specs = StreamSpecs(spec, streams, apart=True)
    view = view_by_name(view)
    if view.clips is None and clips is not None:
        view = dataclasses.replace(view, clips=clips, frames=minimum)
    frames = read_streams(path, specs, settings=settings)
    cropped = cropped_frames(frames, view.crops, specs, path)
    count = None
    if view.clips is not None:
        count = count_frames(path, specs)
        if not count:  # not in the header
            count = sum(1 for _ in read_streams(path, specs, settings=settings))
    yield from clip_views(cropped, specs, view=view, minimum=minimum, window=window, count=count)


def view_by_name(view):
    """Returns a `View` unchanged, or looks up a name in `VIEWS`."""
    if isinstance(view, str):
        if view not in VIEWS:
            raise ValueError(f"`view` must be one of {(*VIEWS,)}. Received: view={view!r}")
        view = VIEWS[view]
    return view


def clip_views(cropped, specs, *, view, minimum, window, count=None):
    """As `video_views`, for frames that `cropped_frames` has cropped.

    Args:
        cropped: The generator returned by `cropped_frames` for `view.crops`.
        specs: `StreamSpecs`.
        view: A `View`.
        minimum: As for `video_views`.
        window: As for `video_views`.
        count: The number of frames over which clips are spread; required if `view.clips` is set.

    Yields:
        (clips, clip_weight) as `video_views`.

    Raises:
        ValueError: If an argument is invalid.
    """
    if window < minimum:
        raise ValueError(f"`window` must be at least {minimum} frames. Received: window={window}")
    steps = specs.strides()
    step = max(steps.values())
    if minimum % step or window % step:
        raise ValueError(
            f"`minimum` and `window` must be multiples of {step} frames. Received: "
            f"minimum={minimum}, window={window}"
        )
    with contextlib.closing(cropped):
        if view.clips is None:
            taken = _windows(cropped, minimum, window, step)
        else:
            length = min(window, max(minimum, view.frames // step * step))
            taken = _spread_clips(cropped, count, view.clips, length)
        for window_frames, length, weight in taken:
            for crop in range(len(view.crops)):
                clip = {
                    name: _strided(
                        [frame[crop][name] for frame in window_frames], length, steps[name]
                    )
                    for name in specs
                }
                for flip in view.flips:
                    yield to_model_values(clip, flip, specs), weight


def load_streams(
    video: PathLike | VideoFrames,
    specs: ClipSpec | str | Mapping[str, ClipSpec | str],
    *,
    start: float = 0.0,
    frames: int | None = None,
    settings: FlowSettings | None = None,
) -> Any:
    """Reads a video as one clip of flow, or of rgb and flow.

    Args:
        video: A local video file, or `VideoFrames`. Flow is read from the file that `kinetics-i3d
            flow` has stored beside the video, else computed.
        specs: {stream: `ClipSpec`}, as `model.clip_specs`; names such as `"deepmind"` may stand for
            the specs. Or one of these, for its own stream.
        start: Seconds from the first frame.
        frames: Number of frames, of the fastest stream: a multiple of the ratio of the rates. A
            shorter video is looped. None reads to the end.
        settings: The `FlowSettings`; None accepts any stored flow, and computes missing flow with
            the default settings.

    Returns:
        `{stream: clips}` for two streams, the clips alone for one: float32 (1, frames, spec.size,
        spec.size, channels) in the spec's range. With flow the last frame of a video is left out.

    Raises:
        ValueError: If a spec is unknown, or an argument is out of its range.
        VideoError: If the video cannot be decoded, ends before `start`, or has no flow.

    Example:

    >>> model = ki3d.TwoStreamI3D(architecture="inception_v1_quarter", classes=2)
    >>> frames = ki3d.VideoFrames([np.zeros((240, 320, 3), np.uint8)] * 11, fps=25)
    >>> clips = ki3d.load_streams(frames, model.clip_specs)
    >>> clips["rgb"].shape, clips["flow"].shape
    ((1, 10, 224, 224, 3), (1, 10, 224, 224, 2))
    """
    video = check_video(video)
    specs = StreamSpecs(specs, apart=True)
    steps = specs.strides()
    whole = max(steps.values())
    if frames is not None:
        check_count("frames", frames)
        if frames % whole:
            raise ValueError(f"`frames` must be a multiple of {whole}. Received: frames={frames!r}")
    taken = read_streams(video, specs, start=start, settings=settings)
    with contextlib.closing(cropped_frames(taken, (MIDDLE,), specs, video)) as cropped:
        frames_left = [crops[0] for crops in itertools.islice(cropped, frames)]
    length = frames or max(whole, len(frames_left) // whole * whole)
    if start and len(frames_left) < length:
        warnings.warn(
            f"{video}: {len(frames_left)} frames are left after start={start:g} seconds, and are "
            f"repeated to fill {length}",
            stacklevel=2,
        )
    clip = {
        name: _strided([frame[name] for frame in frames_left], length, steps[name])
        for name in specs
    }
    return to_model_values(clip, False, specs)


def _strided(frames, length, step):
    """Every `step`-th frame of a clip that is looped to `length`."""
    return np.stack([frames[index % len(frames)] for index in range(0, length, step)])


def to_model_values(clip, flip, specs):
    """A clip as the input of a model: normalized, and with a batch axis."""
    clips = {}
    for name, part in clip.items():
        if flip:
            part = mirrored(part, name)
        clips[name] = specs[name].normalize(part)[np.newaxis]
    return specs.unwrap(clips)


def mirrored(pixels, stream):
    """A frame or a clip of pixels, left and right exchanged; horizontal flow changes its sign."""
    pixels = pixels[..., ::-1, :]
    if stream == "flow":
        pixels = np.stack([255 - pixels[..., 0], pixels[..., 1]], axis=-1)
    return pixels


def cropped_frames(frames, positions, specs, path):
    """Yields, for each frame, a list with {stream: square} for each position."""
    empty = True
    with contextlib.closing(frames):
        for frame in frames:
            empty = False
            corners = {
                name: _corners(part, positions, specs[name], path) for name, part in frame.items()
            }
            yield [
                {
                    name: _square(part, corners[name][index], specs[name].size)
                    for name, part in frame.items()
                }
                for index in range(len(positions))
            ]
    if empty:
        raise no_flow(path)


def _corners(frame, positions, spec, path):
    """(top, left) of the square at each position in a frame."""
    check_width(frame, spec=spec, path=path)
    height, width = frame.shape[:2]
    turned = [position if height > width else position[::-1] for position in positions]
    return [
        (int((height - spec.size) * down), int((width - spec.size) * right))
        for down, right in turned
    ]


def _square(frame, corner, size):
    top, left = corner
    # A copy: a view would keep the entire frame in memory.
    return frame[top : top + size, left : left + size].copy()


def _windows(frames, minimum, window, step):
    """Yields (frames, length, weight) of consecutive windows of a video, in multiples of `step`."""
    before, view = [], []
    for frame in frames:
        view.append(frame)
        if len(view) == window:
            yield view, window, window
            before, view = view[-minimum:], []
    whole = len(view) - len(view) % step
    if minimum <= whole < len(view):
        yield view[:whole], whole, whole
        before, view = view[:whole], view[whole:]
    if view:
        last = (before + view)[-max(minimum, len(view)) :]
        yield last, max(minimum, len(last)), len(view)


def _spread_clips(frames, count, clips, length):
    """Yields (frames, length, 1) of clips that are evenly spread over `count` frames."""
    starts = np.linspace(0, max(0, count - length), clips).astype(int).tolist()
    recent: collections.deque = collections.deque(maxlen=length)
    for seen, frame in enumerate(frames, 1):
        recent.append(frame)
        while starts and seen == starts[0] + length:
            yield list(recent), length, 1
            starts.pop(0)
        if not starts:
            return
    # A short video, or one with fewer frames than its header declares.
    for _ in starts:
        yield list(recent), length, 1
