"""`classify`: the action in a video, and a picture of the result.

Carreira & Zisserman, CVPR 2017, section 2.5: every frame, center crop, logits averaged over time;
section 2.4: the logits of both streams added.
"""

import dataclasses
import functools
import math
import pathlib
import time

from kinetics_i3d.core.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    Canvas,
    check_picture_path,
    text_width,
)
from kinetics_i3d.core.clip_spec import ClipSpec, as_spec
from kinetics_i3d.core.labels import decode_predictions, labels_or_known
from kinetics_i3d.core.progress import track
from kinetics_i3d.core.stream_specs import StreamSpecs
from kinetics_i3d.core.types import PathLike, Weights, check_count
from kinetics_i3d.data.streams import count_frames
from kinetics_i3d.data.views import video_views
from kinetics_i3d.models.clip_model import (
    ClipModel,
    check_ends_in_logits,
    check_finite_logits,
)
from kinetics_i3d.models.load import as_model, load_model
from kinetics_i3d.models.systems import clips_at_test
from kinetics_i3d.video.clip import darken_outside_crop
from kinetics_i3d.video.reader import spread_frames, video_info
from kinetics_i3d.video.span import split_span
from kinetics_i3d.video.video_frames import VideoFrames, check_video

# The filmstrip, in pixels.
_WIDTH, _MARGIN, _GAP = 1200, 32, 8
_TITLE = 56  # height of the line above the frames
_MAX_HEIGHT = 320  # of a frame; a tall one becomes narrower
_SHORT_SIDE = 240  # of the decoded frames, about the size at which they are drawn
_ROW, _BAR, _LABEL = 40, 14, 360
_BEHIND = (24, 27, 32)


@dataclasses.dataclass(frozen=True)
class Classification:
    """The result of `classify`.

    Args:
        path: The file.
        predictions: (label, probability) of the best classes, best first.
        seconds: Time for decoding, flow and network.
        clip_specs: {stream: `ClipSpec`} of the clips.

    Example:

    >>> result = ki3d.classify(folder / "video.mp4", folder / "mine.h5", top=1)
    >>> result.predictions[0][0], sorted(result.clip_specs)
    ('stand', ['rgb'])
    """

    path: str
    predictions: tuple
    seconds: float
    clip_specs: dict = dataclasses.field(default_factory=dict)

    def to_dict(self):
        """The fields as a JSON-ready dictionary."""
        return {
            "path": self.path,
            "predictions": [
                {"label": label, "probability": probability}
                for label, probability in self.predictions
            ],
            "seconds": round(self.seconds, 3),
            "clip_specs": {stream: spec.to_dict() for stream, spec in self.clip_specs.items()},
        }


def classify(
    path: PathLike | VideoFrames,
    model: ClipModel | Weights | None = None,
    *,
    top: int = 5,
    window: int | None = None,
) -> Classification:
    """Classifies the action in a video, with the clips of the paper's test protocol.

    Most models read the whole video; those that the paper tests on a fixed number of clips, such
    as `TwoStream`, read these clips.

    Args:
        path: A local video file, or `VideoFrames`.
        model: A `ClipModel` that ends in logits, such as `InceptionI3D(weights=...)` of rgb or
            flow, or `TwoStreamI3D(weights=...)`; or weights as `load_model` takes them, by default
            `rgb_kinetics400` for the 400 actions of Kinetics. Flow is computed, or read from the
            file beside the video that `kinetics-i3d flow` writes.
        top: Number of predictions, 1 or more; all classes if there are fewer.
        window: Maximum number of frames that the network reads at once. A longer video is read in
            windows, whose logits are averaged, weighted by their frames; memory grows with the
            window, not with the video. `None` is the paper's 10 seconds, or the one length that the
            network reads.

    Returns:
        A `Classification`.

    Raises:
        ValueError: If `model` does not end in logits or its classes have no names, or a number is
            out of range.
        VideoError: If the file cannot be decoded.
        WeightsError: If `model` is weights that cannot be read, or whose logits are not finite.

    Example:

    >>> model = ki3d.InceptionI3D(weights=folder / "mine.h5")
    >>> label, probability = ki3d.classify(folder / "video.mp4", model).predictions[0]
    >>> label
    'stand'
    """
    check_count("top", top)
    if window is not None:
        window = check_count("window", window)
    path = check_video(path, argument="path")
    model = _default_model() if model is None else as_model(model)
    class_names(model)
    begin = time.perf_counter()
    clips = clips_at_test(model) | ({} if window is None else {"window": window})
    streams = (*model.clip_specs,)
    views = video_views(path, spec=model.clip_specs, streams=streams, **clips)
    if clips["clips"] is None:
        specs = StreamSpecs(model.clip_specs, apart=True)
        total, noun = count_frames(path, specs) or None, "frames"
    else:
        total, noun = clips["clips"], "clips"
    shown = track(views, str(path), total=total, noun=noun, size=lambda view: view[1])
    predictions = predict_labels(model, shown, path, top=top)
    seconds = time.perf_counter() - begin
    return Classification(str(path), predictions, seconds, model.clip_specs)


def predict_labels(model, views, video, *, top):
    """(label, probability) of the best classes for the views of one video, best first."""
    logits = model.predict_views(views)
    check_finite_logits(logits, model.name, video)
    (predictions,) = decode_predictions(
        logits[None], top=top, labels=model.labels, activation=model.activation
    )
    return tuple(predictions)


@functools.cache
def _default_model():
    """The default model, built only once."""
    return load_model()


def class_names(model):
    """The names of a model's classes; `ValueError` unless it ends in logits of named classes."""
    check_ends_in_logits(model)
    classes = model.output_shape[-1]
    labels = labels_or_known(model.labels, classes)
    if labels is None:
        raise ValueError(
            f"`model` must name its {classes} classes; save_weights(model, path, labels=...) "
            f"stores the names with the weights. Received: {model.name} with "
            f"labels={model.labels!r}"
        )
    return labels


def draw_filmstrip(
    path: PathLike,
    video: PathLike,
    classification: Classification,
    *,
    spec: ClipSpec | str | None = None,
    frames: int = 8,
) -> None:
    """Draws evenly spaced frames of a video above its labels and their probabilities.

    The part outside the model's center crop is darkened. The video is decoded again, with a few
    frames in memory.

    Args:
        path: The PNG to write, atomically.
        video: The video file.
        classification: The result of `classify` for it.
        spec: The `ClipSpec` of the crop, or its name; by default the first one of the
            classification.
        frames: Number of frames to draw; all of them if there are fewer.

    Raises:
        UserError: If `path` is not a PNG, or Pillow is missing.
        ValueError: If `frames` is below 1, `spec` is unknown, `classification` is not a
            `Classification`, or neither it nor `spec` names the crop.
        VideoError: If the video cannot be decoded.

    Example:

    >>> classification = ki3d.classify(folder / "video.mp4", "rgb_figures")
    >>> ki3d.draw_filmstrip(folder / "strip.png", folder / "video.mp4", classification)
    """
    check_picture_path(path)
    if not isinstance(classification, Classification):
        raise ValueError(
            "`classification` must be a result of classify(). Received: "
            f"{type(classification).__name__}"
        )
    if spec is None and not classification.clip_specs:
        raise ValueError("`spec` is required if the classification has no `clip_specs`")
    spec = as_spec(next(iter(classification.clip_specs.values())) if spec is None else spec)
    video = check_video(video)
    # At a rate above the video's own, neighbors would be the same frame.
    fps = min(spec.fps, video_info(video).fps)
    strip = spread_frames(video, frames, fps=fps, short_side=_SHORT_SIDE)
    file, span = split_span(video)
    begin = 0.0 if span is None else span.start
    height, width, _ = strip[0][1].shape
    columns, cell = _grid(len(strip), width / height)
    lines = -(-len(strip) // columns)
    bars = _TITLE + lines * (cell[1] + _GAP) + 24
    canvas = Canvas(_WIDTH, bars + _ROW * len(classification.predictions) + _MARGIN - 12)

    name = pathlib.Path(str(file)).name
    note = f"{classification.seconds:.1f} s to classify"
    note_left = _WIDTH - _MARGIN - text_width(note, size=15)
    canvas.text((_MARGIN, _TITLE // 2), name, size=20, width=note_left - _MARGIN - 24)
    canvas.text((_WIDTH - _MARGIN, _TITLE // 2), note, size=15, color=MUTED, anchor="rm")
    for index, (seconds, frame) in enumerate(strip):
        x = _MARGIN + index % columns * (cell[0] + _GAP)
        y = _TITLE + index // columns * (cell[1] + _GAP)
        _draw_frame(canvas, (x, y), cell, darken_outside_crop(frame, spec), begin + seconds)
    _draw_bars(canvas, bars, classification.predictions)
    canvas.save(path)


def _grid(count, aspect):
    """(columns, (width, height) of a cell) for `count` frames of an aspect, width by height."""
    # One row of tall frames, two of common ones, four of very wide ones.
    rows = 1 if aspect < 0.8 else 2 if aspect < 3 else 4
    columns = max(math.ceil(count / rows), min(count, 4 if rows < 4 else 2))
    widest = max(columns, 4 if rows < 4 else 2)  # a few frames are not drawn larger
    width = (_WIDTH - 2 * _MARGIN - (widest - 1) * _GAP) // widest
    return columns, (width, max(24, min(_MAX_HEIGHT, round(width / aspect))))


def _draw_bars(canvas, top, predictions):
    """Draws a row for each prediction: label, bar, percent. A full bar is a probability of 1."""
    start, end = _MARGIN + _LABEL, _WIDTH - _MARGIN - 92  # columns of a full bar
    for rank, (label, probability) in enumerate(predictions):
        y = top + rank * _ROW + _ROW // 2
        best = rank == 0
        canvas.text((_MARGIN, y), label, size=18, color=INK if best else MUTED, width=_LABEL - 20)
        canvas.box((start, y - _BAR // 2), (end - start, _BAR), LINE, radius=_BAR // 2)
        filled = (round((end - start) * min(1.0, probability)), _BAR)
        canvas.box((start, y - _BAR // 2), filled, ACCENT if best else MUTED, radius=_BAR // 2)
        percent = f"{100 * probability:.1f} %"
        canvas.text((_WIDTH - _MARGIN, y), percent, size=18, color=INK, anchor="rm")


def _draw_frame(canvas, position, cell, frame, seconds):
    height, width, _ = frame.shape
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas.box(position, cell, _BEHIND)
    x = position[0] + (cell[0] - size[0]) // 2
    y = position[1] + (cell[1] - size[1]) // 2
    canvas.paste((x, y), frame, size=size)
    stamp = f"{seconds:.2f} s"
    corner = (position[0] + 6, position[1] + cell[1] - 26)
    canvas.box(corner, (text_width(stamp, size=13) + 12, 20), _BEHIND, radius=5)
    canvas.text((corner[0] + 6, corner[1] + 10), stamp, size=13, color=(255, 255, 255))
