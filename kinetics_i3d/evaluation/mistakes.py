"""The most confident mistakes as a picture, with frames of each video."""

import pathlib

import numpy as np

from kinetics_i3d.core.canvas import INK, MUTED, Canvas, check_picture_path, text_width
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.clip import darken_outside_crop
from kinetics_i3d.video.reader import spread_frames, video_info

# All sizes are in pixels; (width, height).
FRAMES = 5
FRAME_SIZE = (116, 88)
GAP = 4
STRIP_SIZE = (FRAMES * FRAME_SIZE[0] + (FRAMES - 1) * GAP, FRAME_SIZE[1])
COLUMNS, GUTTER, MARGIN, TITLE_HEIGHT = 2, 36, 32, 56
ROW_HEIGHT = STRIP_SIZE[1] + 76
BACKGROUND = (24, 27, 32)  # behind the frames
_WRONG = (176, 32, 32)


def draw_mistakes(path, evaluation, *, count=24, title=None, strips=None):
    """Draws label, prediction, probability and frames of the most confident mistakes.

    Args:
        path: The PNG to write, atomically.
        evaluation: An `Evaluation`.
        count: Largest number of mistakes.
        title: The first part of the heading.
        strips: The result of `mistake_strips` for the same mistakes, so that the videos are not
            read again.

    Raises:
        UserError: If `path` is not a PNG, or Pillow is missing.
    """
    check_picture_path(path)
    rows = evaluation.mistakes(count)
    strips = mistake_strips(evaluation, rows) if strips is None else strips
    lines = max(1, -(-len(rows) // COLUMNS))
    width = COLUMNS * STRIP_SIZE[0] + (COLUMNS - 1) * GUTTER + 2 * MARGIN
    canvas = Canvas(width, TITLE_HEIGHT + 34 + lines * ROW_HEIGHT)
    wrong = int((evaluation.predictions != evaluation.targets).sum())
    heading = f"{title}: " if title else ""
    heading += f"the {len(rows)} most confident of {wrong} mistakes" if rows else "no mistakes"
    canvas.text((MARGIN, TITLE_HEIGHT // 2 + 6), heading, size=22, width=width - 2 * MARGIN)
    for index, (row, strip) in enumerate(zip(rows, strips, strict=True)):
        x = MARGIN + index % COLUMNS * (STRIP_SIZE[0] + GUTTER)
        y = TITLE_HEIGHT + 22 + index // COLUMNS * ROW_HEIGHT
        _draw_caption(canvas, (x, y), evaluation, row)
        if strip is None:
            canvas.box((x, y + 44), STRIP_SIZE, BACKGROUND)
            note = "the video can no longer be read"
            center = (x + 16, y + 44 + STRIP_SIZE[1] // 2)
            canvas.text(center, note, size=15, color=(255, 255, 255))
        else:
            canvas.paste((x, y + 44), strip)
    canvas.save(path)


def mistake_strips(evaluation, rows):
    """A uint8 filmstrip (height, width, 3) for each row; None if its video cannot be read."""
    return [_filmstrip(evaluation.paths[row], evaluation.specs) for row in rows]


def _filmstrip(path, specs):
    """Frames of a video side by side, darkened outside the model's crop."""
    try:
        info = video_info(path)
        frames = spread_frames(path, FRAMES, fps=min(25.0, info.fps), short_side=2 * FRAME_SIZE[1])
    except VideoError:
        return None
    canvas = Canvas(*STRIP_SIZE)
    canvas.box((0, 0), STRIP_SIZE, BACKGROUND)
    spec = next(iter(specs.values()), None)
    for index, (_, frame) in enumerate(frames):
        shown = frame if spec is None else darken_outside_crop(frame, spec)
        height, width, _ = shown.shape
        scale = min(FRAME_SIZE[0] / width, FRAME_SIZE[1] / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        x = index * (FRAME_SIZE[0] + GAP) + (FRAME_SIZE[0] - size[0]) // 2
        canvas.paste((x, (FRAME_SIZE[1] - size[1]) // 2), shown, size=size)
    return np.asarray(canvas.image)


def _draw_caption(canvas, corner, evaluation, row):
    """Two lines: label, prediction and probability; file name."""
    x, y = corner
    label = evaluation.labels[evaluation.targets[row]]
    predicted = evaluation.predictions[row]
    percent = f"{100 * evaluation.probabilities[row, predicted]:.1f} %"
    canvas.text((x + STRIP_SIZE[0], y), percent, size=16, anchor="rm")
    between = " predicted as "
    free = STRIP_SIZE[0] - text_width(percent, size=16) - 16 - text_width(between, size=16)
    # Each name gets half of the available width, or the part that the other one does not need.
    widths = [text_width(text, size=16) for text in (label, evaluation.labels[predicted])]
    first = min(widths[0], max(free / 2, free - widths[1]))
    canvas.text((x, y), label, size=16, color=INK, width=first)
    canvas.text((x + first, y), between, size=16, color=MUTED)
    second = x + first + text_width(between, size=16)
    name = evaluation.labels[predicted]
    canvas.text((second, y), name, size=16, color=_WRONG, width=free - first)
    name = pathlib.Path(evaluation.paths[row]).name
    canvas.text((x, y + 22), name, size=13, color=MUTED, width=STRIP_SIZE[0])
