"""`draw_contact_sheet`: one picture of the input that a model gets from a video or an array.

The frames are drawn from the values that the model reads, so that a wrong range looks wrong.
"""

import dataclasses
import itertools
import pathlib

import numpy as np

from kinetics_i3d.core.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    Canvas,
    check_picture_path,
    text_width,
)
from kinetics_i3d.inference.doctor.array import examine_array, read_array
from kinetics_i3d.inference.doctor.scan import scan
from kinetics_i3d.video.clip import center_crop
from kinetics_i3d.video.reader import read_frames

_WIDTH, _MARGIN, _GAP, _TITLE = 1200, 32, 8, 56
_FRAMES, _COLUMNS = 24, 8
_CELL = (_WIDTH - 2 * _MARGIN - (_COLUMNS - 1) * _GAP) // _COLUMNS
_LOWER, _ROW = 264, 26  # heights of the crop and the histogram, and of a finding
_BINS = 128
_BEHIND, _OUTSIDE = (24, 27, 32), 0.45
_INKS = {2: ((180, 40, 90), (20, 130, 140)), 3: ((208, 52, 44), (40, 150, 70), (44, 92, 208))}
_NAMES = {2: ("x", "y"), 3: ("red", "green", "blue")}
_RED = (196, 40, 40)


@dataclasses.dataclass(frozen=True)
class _Input:
    """The input of a model.

    Args:
        values: (frames, height, width, channels), as the model reads them.
        seconds: When each frame is shown.
        whole: A frame before the crop, uint8 (height, width, 3), or `None` for an array.
        crop: (height, width) of the model's crop as fractions of `whole`.
    """

    values: np.ndarray
    seconds: np.ndarray
    whole: np.ndarray | None = None
    crop: tuple = (1.0, 1.0)


def draw_contact_sheet(path_out, report):
    """Draws up to 24 frames, the crop, the values against the spec's range, and the findings.

    Args:
        path_out: The picture, `*.png`, written atomically.
        report: The `Report` of the file.

    Raises:
        UserError: If `path_out` is not a PNG, Pillow is missing, or the file no longer exists.
    """
    check_picture_path(path_out)
    read = _read_video if report.kind == "video" else _read_array
    model_input = read(report.path, report.spec)
    problems = [finding for finding in report.findings if finding.severity != "ok"]
    count = 0 if model_input is None else len(model_input.values)
    frames = -(-count // _COLUMNS) * (_CELL + _GAP)
    below = _TITLE + frames + 20
    findings = below + (_LOWER + 36 if count else 0)
    canvas = Canvas(_WIDTH, findings + _ROW * max(1, len(problems)) + _MARGIN)
    note = f"for {report.spec.name}, {report.spec.stream}"
    note_left = _WIDTH - _MARGIN - text_width(note, size=15)
    name = pathlib.Path(report.path).name
    canvas.text((_MARGIN, _TITLE // 2), name, size=20, width=note_left - _MARGIN - 24)
    canvas.text((_WIDTH - _MARGIN, _TITLE // 2), note, size=15, color=MUTED, anchor="rm")
    if count:
        _draw_frames(canvas, model_input, report.spec)
        _draw_crop(canvas, below, model_input)
        left = _MARGIN if model_input.whole is None else _WIDTH // 2 + 40
        _draw_histogram(canvas, (left, below), model_input.values, report.spec)
    _draw_findings(canvas, findings, problems)
    canvas.save(path_out)


def _read_video(path, spec):
    """Frames spread over the scanned part of a video, or `None` if the crop does not fit."""
    rgb = dataclasses.replace(spec, stream="rgb")
    video = scan(path)
    height, width = rgb.resized(video.height, video.width)
    if width < rgb.size:
        return None
    count = video.count_at(rgb.fps)
    indices = np.unique(np.linspace(0, count - 1, _FRAMES).round().astype(int))
    chosen, last = set(indices.tolist()), int(indices[-1])
    frames = read_frames(path, **rgb.reading)
    crops = {}
    for index, frame in enumerate(itertools.islice(frames, last + 1)):
        if index in chosen:
            crops[index] = center_crop(frame, rgb.size).copy()
    frames.close()
    start = float(video.times[len(video.times) // 2])
    frames = read_frames(path, start=start)
    whole = next(frames)
    frames.close()
    values = rgb.normalize(np.stack(list(crops.values())))
    seconds = np.array(list(crops)) / rgb.fps
    return _Input(values, seconds, whole, (rgb.size / height, rgb.size / width))


def _read_array(path, spec):
    """Frames of an array, or `None` if it is not a clip."""
    _, sample = examine_array(read_array(path), spec=spec)
    if sample is None:
        return None
    return _Input(np.asarray(sample.frames, np.float32), sample.indices / spec.fps)


def _as_pixels(values, spec):
    """Values of a model's range as uint8 RGB; flow as x in red and y in green about gray."""
    pixels = spec.denormalize(values)
    if pixels.shape[-1] == 3:
        return pixels
    return np.concatenate([pixels, np.full_like(pixels[..., :1], 128)], axis=-1)


def _draw_frames(canvas, model_input, spec):
    for index, (frame, seconds) in enumerate(
        zip(model_input.values, model_input.seconds, strict=True)
    ):
        x = _MARGIN + index % _COLUMNS * (_CELL + _GAP)
        y = _TITLE + index // _COLUMNS * (_CELL + _GAP)
        _fit(canvas, (x, y), (_CELL, _CELL), _as_pixels(frame, spec))
        stamp = f"{seconds:.2f} s"
        canvas.box(
            (x + 5, y + _CELL - 23), (text_width(stamp, size=12) + 10, 18), _BEHIND, radius=5
        )
        canvas.text((x + 10, y + _CELL - 14), stamp, size=12, color=(255, 255, 255))


def _draw_crop(canvas, top, model_input):
    if model_input.whole is None:
        return
    height, width, _ = model_input.whole.shape
    rows, columns = (
        slice(round(side * (1 - share) / 2), round(side * (1 + share) / 2))
        for side, share in zip((height, width), model_input.crop, strict=True)
    )
    shown = (model_input.whole * _OUTSIDE).astype(np.uint8)
    shown[rows, columns] = model_input.whole[rows, columns]
    canvas.text((_MARGIN, top + 8), "the picture, and the part that the model reads", size=15)
    _fit(canvas, (_MARGIN, top + 26), (540, _LOWER - 10), shown, centered=False)


def _draw_histogram(canvas, position, values, spec):
    (left, top), right = position, _WIDTH - _MARGIN
    base, height = top + _LOWER - 6, _LOWER - 60
    finite = values[np.isfinite(values)]
    span = spec.high - spec.low
    low = min(float(finite.min()), spec.low - 0.06 * span)
    high = max(float(finite.max()), spec.high + 0.06 * span)
    # Bins are multiples of an 8-bit step; otherwise pixels would be distributed unevenly.
    step = span / 255
    width = max(1, np.ceil((high - low) / step / _BINS)) * step
    first = spec.low - step / 2 - width * np.ceil((spec.low - low) / width)
    edges = np.arange(first, high + width, width)

    def column(value):
        return left + (value - low) / (high - low) * (right - left)

    canvas.text((left, top + 8), f"values, and the range of {spec.name} (shaded)", size=15)
    shaded = (column(spec.low), base - height)
    canvas.box(shaded, (column(spec.high) - column(spec.low), height), (233, 240, 252))
    canvas.box((left, base), (right - left, 1), LINE)
    channels = values.shape[-1]
    # The square root, so that a spike at black does not flatten the rest.
    counts = [np.sqrt(np.histogram(values[..., c], edges)[0]) for c in range(channels)]
    peak = max(float(count.max()) for count in counts)
    for count, ink in zip(counts, _INKS[channels], strict=True):
        middles = (edges[1:] + edges[:-1]) / 2
        heights = zip(middles, count, strict=True)
        line = [(column(value), base - height * number / peak) for value, number in heights]
        canvas.draw.line(line, fill=ink, width=2)
    marks = [(spec.low, ACCENT), (spec.high, ACCENT)]
    # The minimum and maximum, if there is room beside those of the range.
    for end in (float(finite.min()), float(finite.max())):
        if all(abs(column(end) - column(mark)) > 46 for mark, _ in marks):
            marks.append((end, MUTED))
    for value, ink in marks:
        canvas.box((column(value), base), (1, 6), ink)
        canvas.text((column(value), base + 16), f"{value:.4g}", size=13, color=ink, anchor="mm")
    x = right
    for name, ink in reversed(list(zip(_NAMES[channels], _INKS[channels], strict=True))):
        canvas.text((x, top + 8), name, size=13, color=ink, anchor="rm")
        x -= text_width(name, size=13) + 12


def _draw_findings(canvas, top, problems):
    if not problems:
        canvas.text((_MARGIN, top + _ROW // 2), "no problems", size=15, color=MUTED)
    for row, finding in enumerate(problems):
        y = top + row * _ROW + _ROW // 2
        ink = _RED if finding.severity == "error" else INK
        canvas.text((_MARGIN, y), finding.severity, size=15, color=ink)
        canvas.text((_MARGIN + 76, y), finding.topic, size=15, color=ink)
        width = _WIDTH - 2 * _MARGIN - 172
        canvas.text((_MARGIN + 172, y), str(finding), size=15, color=ink, width=width)


def _fit(canvas, position, cell, pixels, *, centered=True):
    height, width, _ = pixels.shape
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    x, y = position
    if centered:
        canvas.box(position, cell, _BEHIND)
        x, y = x + (cell[0] - size[0]) // 2, y + (cell[1] - size[1]) // 2
    canvas.paste((x, y), pixels, size=size)
