"""`grad_cam`: where and when in a clip a network sees the evidence for a class.

Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017, https://arxiv.org/abs/1610.02391, with the mean of the gradients taken
over time as well as over space. `overlay_heatmap` and `draw_grad_cam` show it in viridis by van der
Walt and Smith, https://bids.github.io/colormap, which is monotonic in lightness, so that it can be
read in grayscale and with color vision deficiencies.
"""

import contextlib
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kinetics_i3d.core.labels import ACTIVATIONS, labels_or_known
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, Weights, check_count, check_fraction
from kinetics_i3d.data.views import video_views
from kinetics_i3d.models.clip_model import (
    ClipModel,
    check_ends_in_logits,
    check_finite_logits,
)
from kinetics_i3d.models.load import as_model
from kinetics_i3d.models.systems import clips_at_test
from kinetics_i3d.video.video_frames import VideoFrames, check_video
from kinetics_i3d.visualization.flow_frames import flow_frames
from kinetics_i3d.visualization.frame_files import check_frames_path, write_frames
from kinetics_i3d.visualization.gradients import backward, probed_model

# The last grid of features before the classifier, of the Inception networks and of C3D.
LAST_GRIDS = ("Mixed_5c", "Conv3d_5b")
_SCALE = 0.99  # quantile of a map that becomes 1


@dataclasses.dataclass(frozen=True)
class GradCAM:
    """The result of `grad_cam`.

    Args:
        heatmap: float32 (frames, height, width), 0 to 1: how strongly each position of each frame
            supports the class. Before it is resized to the frames, the highest 1 % of its values
            are 1; all are 0 if nothing supports the class.
        frames: uint8 (frames, height, width, 3), the frames that the stream saw; for flow, its
            directions as colors.
        fps: Frames per second.
        label: The name of the class.
        probability: The probability that the model gives to it, 0 to 1.
        stream: `"rgb"` or `"flow"`.
        endpoint: The activation at which the map was computed.
        video: The path or name of the video; empty for clips.

    Example:

    >>> cam = ki3d.grad_cam("rgb_figures", folder / "video.mp4")
    >>> cam.stream, cam.endpoint
    ('rgb', 'Mixed_5c')
    """

    heatmap: np.ndarray
    frames: np.ndarray
    fps: float
    label: str
    probability: float
    stream: str
    endpoint: str
    video: str = ""


def grad_cam(
    model: ClipModel | Weights,
    clips: Any,
    *,
    label: str | int | None = None,
    endpoint: str | None = None,
    stream: str | None = None,
    window: int | None = None,
) -> GradCAM:
    """Computes a Grad-CAM heatmap over the space and time of a clip.

    The channels of an activation are weighted by the mean gradient of the class's logit with
    respect to them and added up; negative values become 0. The map is resized linearly to the
    frames. It has the resolution of the activation: at `Mixed_5c` of an I3D one value for 8 frames
    and 32x32 pixels.

    Args:
        model: A `ClipModel` that ends in logits, or weights as `load_model` takes them.
        clips: A video file or `VideoFrames`, whose first frames are read, 10 seconds at most, or as
            many as the network reads at once; or the clips of one video, (1, frames, height, width,
            channels) in the range of `model.clip_spec`, or `{"rgb": ..., "flow": ...}` for two
            streams, as from `load_clip` and `load_streams`.
        label: The class, by its name or its index; `None` is the most probable one.
        endpoint: The paper's name of an activation within the stream's network, such as
            `"Mixed_4f"`. `None` is the last grid before the classifier: `"Mixed_5c"`, in C3D
            `"Conv3d_5b"`.
        stream: For a model of two streams, the one whose map is computed: `"rgb"`, the default, or
            `"flow"`. The class is that of the whole model.
        window: Maximum number of frames to read from a video.

    Returns:
        A `GradCAM`.

    Raises:
        ValueError: If an argument is invalid, or `model` does not end in logits.
        VideoError: If the video cannot be decoded.
        WeightsError: If `model` is weights that cannot be read, or whose logits are not finite.

    Example:

    >>> cam = ki3d.grad_cam("rgb_figures", folder / "video.mp4")
    >>> cam.heatmap.shape == cam.frames.shape[:3]
    True

    Source: Selvaraju et al., ICCV 2017.
    """
    if window is not None:
        window = check_count("window", window)
    model = as_model(model)
    check_ends_in_logits(model)
    stream = _check_stream(model, stream)
    endpoint = _default_endpoint(model, stream) if endpoint is None else endpoint
    probed = probed_model(model, stream, endpoint)
    names = _class_names(model)
    index = None if label is None else _class_index(label, names)
    video = ""
    if isinstance(clips, (str, VideoFrames)) or hasattr(clips, "__fspath__"):
        path = check_video(clips, argument="clips")
        video, clips = str(path), _read_window(path, model, window)
    elif window is not None:
        raise ValueError(
            f"`window` must be None unless `clips` is a video. Received: window={window!r}"
        )
    if not isinstance(clips, Mapping) and len(np.shape(clips)) != 5:
        raise ValueError(
            "`clips` must be a path, VideoFrames, or a clip (1, frames, height, width, channels). "
            f"Received: {type(clips).__name__} of shape {np.shape(clips)}"
        )
    by_stream = _single_clip(clips, model)

    activation, logits, gradient = backward(probed, clips, index)
    check_finite_logits(logits, model.name, video or "the clips")
    index = int(np.argmax(logits)) if index is None else index
    spec = model.clip_specs[stream]
    values = np.asarray(by_stream[stream][0], np.float32)
    return GradCAM(
        heatmap=_resize(_heat(activation, gradient), values.shape[:3]),
        frames=spec.denormalize(values) if stream == "rgb" else flow_frames(values),
        fps=float(spec.fps),
        label=names[index],
        probability=float(ACTIVATIONS[model.activation](logits)[index]),
        stream=stream,
        endpoint=endpoint,
        video=video,
    )


def _check_stream(model, stream):
    streams = (*model.clip_specs,)
    if stream is not None and stream not in streams:
        raise ValueError(
            f"`stream` must be one that {model.name} reads, {streams}. Received: stream={stream!r}"
        )
    return stream or streams[0]


def _default_endpoint(model, stream):
    names = {layer.name for layer in model.streams[stream].layers}
    for name in LAST_GRIDS:
        if name in names:
            return name
    raise ValueError(f"`endpoint` must be given: {model.name} has none of {LAST_GRIDS}")


def _class_names(model):
    classes = model.output_shape[-1]
    return labels_or_known(model.labels, classes) or [*map(str, range(classes))]


def _class_index(label, names):
    if isinstance(label, str):
        if label in names:
            return names.index(label)
    elif isinstance(label, (int, np.integer)) and 0 <= label < len(names):
        return int(label)
    raise ValueError(
        f"`label` must be one of the {len(names)} classes of the model, {names[0]!r} to "
        f"{names[-1]!r}, or its index. Received: label={label!r}"
    )


def _read_window(video, model, window):
    """The first clips of a video, as the model reads it at test."""
    test = clips_at_test(model)
    sizes = {"minimum": test["minimum"], "window": test["window"] if window is None else window}
    streams = (*model.clip_specs,)
    views = video_views(video, spec=model.clip_specs, streams=streams, **sizes)
    with contextlib.closing(views):
        clips, _ = next(views)
    return clips


def _single_clip(clips, model):
    """{stream: (1, frames, height, width, channels)} of clips that fit the model."""
    model.check_values(clips)
    model.check_inputs(clips)
    by_stream = StreamSpecs(model.clip_specs, apart=True).wrap(clips)
    counts = {len(part) for part in by_stream.values()}
    if counts != {1}:
        raise ValueError(
            f"`clips` must be of one video, (1, frames, ...). Received: {sorted(counts)} clips"
        )
    return by_stream


def _heat(activation, gradient):
    """The map of an activation (steps, height, width, channels) before the resize, 0 to 1.

    The batch axis has length 1, or holds the stacks of frames that an image network ran on.
    """
    activation, gradient = (
        array.reshape(-1, *array.shape[-3:]) for array in (activation, gradient)
    )
    heat = np.maximum(activation @ gradient.mean(axis=(0, 1, 2)), 0)
    # At the end of a clip, where SAME padding is one-sided, a few values can be far above all
    # others: they would set the scale, and the rest of the map would be dark.
    scale = np.quantile(heat, _SCALE) or heat.max()
    return np.minimum(heat / (scale or 1), 1)


def _resize(heat, shape):
    """Resizes each axis of an array linearly, with half-pixel centers."""
    for axis, size in enumerate(shape):
        length = heat.shape[axis]
        position = np.clip((np.arange(size) + 0.5) * length / size - 0.5, 0, length - 1)
        low = np.minimum(position.astype(int), max(0, length - 2))
        share = (position - low).reshape(-1, *[1] * (heat.ndim - 1 - axis))
        high = np.minimum(low + 1, length - 1)
        heat = heat.take(low, axis) * (1 - share) + heat.take(high, axis) * share
    return heat.astype(np.float32)


# At equal steps from 0 to 1, RGB.
_VIRIDIS = (
    *((68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142)),
    *((31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37)),
)


_FADED = 0.6  # share of gray in frames below the colors


_LEVEL = 0.5  # of the line around the hottest part


_LINE = (255, 255, 255)


def overlay_heatmap(frames: Any, heatmap: Any, *, opacity: float = 0.7) -> np.ndarray:
    """Draws a heatmap over frames, and a white line where it is 0.5.

    Frames are faded to gray. The colors of the heatmap, from violet through green to yellow, cover
    them with an opacity that rises from 0 where the heatmap is 0 to `opacity` where it is 1.

    Args:
        frames: uint8 (frames, height, width, 3), RGB.
        heatmap: (frames, height, width), 0 to 1.
        opacity: Share of the color where the heatmap is 1, 0 to 1.

    Returns:
        uint8 (frames, height, width, 3).

    Raises:
        ValueError: If a shape does not fit, or a value is outside its range.

    Example:

    >>> frames = np.zeros((2, 8, 8, 3), np.uint8)
    >>> overlay_heatmap(frames, np.ones((2, 8, 8)), opacity=1.0)[0, 0, 0]
    array([253, 231,  37], dtype=uint8)
    """
    frames, heatmap = np.asarray(frames), np.asarray(heatmap, np.float32)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape != (*heatmap.shape, 3):
        raise ValueError(
            "`frames` must be uint8 (frames, height, width, 3), and `heatmap` the same without the "
            f"channels. Received: {frames.dtype} of shape {frames.shape}, and {heatmap.shape}"
        )
    if not (heatmap.min() >= 0 and heatmap.max() <= 1):
        raise ValueError("`heatmap` must be 0 to 1. Received: values outside this range")
    check_fraction("opacity", opacity)
    # One frame at a time: a video of floats would need four times its memory.
    drawn = [_overlay(frame, heat, opacity) for frame, heat in zip(frames, heatmap, strict=True)]
    return np.stack(drawn)


def _overlay(frame, heat, opacity):
    gray = frame.mean(axis=-1, keepdims=True)
    faded = _FADED * gray + (1 - _FADED) * frame
    share = opacity * heat[..., None]
    picture = np.rint((1 - share) * faded + share * _colors(heat)).astype(np.uint8)
    picture[_edge(heat >= _LEVEL)] = _LINE
    return picture


def _colors(heat):
    positions = np.linspace(0, 1, len(_VIRIDIS))
    channels = np.array(_VIRIDIS, np.float32).T
    return np.stack([np.interp(heat, positions, channel) for channel in channels], axis=-1)


def _edge(inside):
    """The pixels of a mask that touch one outside it."""
    around = np.pad(inside, 1, mode="edge")
    inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return inside & ~inner


def draw_grad_cam(path: PathLike, cam: GradCAM) -> None:
    """Draws a Grad-CAM heatmap over its frames.

    Args:
        path: The file to write, atomically: a video, such as `*.mp4`; an animation, `*.gif`; or
            `*.png`, a picture of eight of the frames.
        cam: The result of `grad_cam`.

    Raises:
        UserError: If `path` has another suffix, or Pillow, which GIF and PNG need, is missing.
        ValueError: If `cam` is not a `GradCAM`.

    Example:

    >>> cam = ki3d.grad_cam("rgb_figures", folder / "video.mp4")
    >>> ki3d.draw_grad_cam(folder / "grad_cam.gif", cam)
    """
    path = check_frames_path(path)
    if not isinstance(cam, GradCAM):
        raise ValueError(f"`cam` must be a result of grad_cam(). Received: {type(cam).__name__}")
    title = f"{cam.label}, {100 * cam.probability:.1f} %"
    write_frames(path, overlay_heatmap(cam.frames, cam.heatmap), fps=cam.fps, title=title)
