"""`draw_mistakes`: the wrong predictions that a model was surest of, with frames of the videos."""

import pathlib

import numpy as np

from kinetics_i3d.core.canvas import INK, MUTED, Canvas, check_picture_path, text_width
from kinetics_i3d.core.errors import VideoError
from kinetics_i3d.video.clip import seen
from kinetics_i3d.video.reader import spread_frames, video_info

FRAMES = 5
CELL = (116, 88)  # of a frame
GAP = 4
STRIP = (FRAMES * CELL[0] + (FRAMES - 1) * GAP, CELL[1])
COLUMNS, GUTTER, MARGIN, TITLE = 2, 36, 32, 56
ROW = STRIP[1] + 76
BEHIND = (24, 27, 32)
WRONG = (176, 32, 32)


def draw_mistakes(path_out, evaluation, *, count=24, title=None, strips=None):
    """Draws the most confident mistakes: label, prediction, probability and frames.

    Args:
        path_out: The picture, `*.png`. It appears whole or not at all.
        evaluation: An `Evaluation`.
        count: How many at most.
        title: A line above; none by default.
        strips: What `mistake_strips` gave for the same mistakes, not to read the videos again.

    Raises:
        UserError: If `path_out` cannot be a picture, or Pillow is missing.
    """
    check_picture_path(path_out)
    rows = evaluation.mistakes(count)
    strips = mistake_strips(evaluation, rows) if strips is None else strips
    lines = max(1, -(-len(rows) // COLUMNS))
    width = COLUMNS * STRIP[0] + (COLUMNS - 1) * GUTTER + 2 * MARGIN
    canvas = Canvas(width, TITLE + 34 + lines * ROW)
    head = f"{title}: " if title else ""
    wrong = int((evaluation.predictions != evaluation.targets).sum())
    told = f"{len(rows)} most confident of {wrong} mistakes" if rows else "no mistakes"
    canvas.text((MARGIN, TITLE // 2 + 6), head + told, size=22, width=width - 2 * MARGIN)
    for place, (row, strip) in enumerate(zip(rows, strips, strict=True)):
        x = MARGIN + place % COLUMNS * (STRIP[0] + GUTTER)
        y = TITLE + 22 + place // COLUMNS * ROW
        _draw_words(canvas, (x, y), evaluation, row)
        if strip is None:
            canvas.box((x, y + 44), STRIP, BEHIND)
            note = "the video cannot be read any more"
            canvas.text((x + 16, y + 44 + STRIP[1] // 2), note, size=15, color=(255, 255, 255))
        else:
            canvas.paste((x, y + 44), strip)
    canvas.save(path_out)


def mistake_strips(evaluation, rows):
    """Reads frames of the videos of some rows.

    Args:
        evaluation: An `Evaluation`.
        rows: Numbers of videos in it.

    Returns:
        A list of uint8 arrays (height, width, 3), one size for all; None for a video that cannot be
        read any more.
    """
    return [_strip(evaluation.paths[row], evaluation.specs) for row in rows]


def _strip(path, specs):
    """Frames of a video in a row; what the model does not see is dark."""
    try:
        facts = video_info(path)
        frames = spread_frames(path, FRAMES, fps=min(25.0, facts.fps), short_side=2 * CELL[1])
    except VideoError:
        return None
    canvas = Canvas(*STRIP)
    canvas.box((0, 0), STRIP, BEHIND)
    for index, (_, frame) in enumerate(frames):
        spec = next(iter(specs.values()), None)
        shown = frame if spec is None else seen(frame, spec)
        height, width, _ = shown.shape
        scale = min(CELL[0] / width, CELL[1] / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        x = index * (CELL[0] + GAP) + (CELL[0] - size[0]) // 2
        canvas.paste((x, (CELL[1] - size[1]) // 2), shown, size=size)
    return np.asarray(canvas.image)


def _draw_words(canvas, place, evaluation, row):
    """Two lines: what it is and what it was taken for, and the file's name."""
    x, y = place
    label = evaluation.labels[evaluation.targets[row]]
    best = evaluation.predictions[row]
    percent = f"{100 * evaluation.probabilities[row, best]:.1f} %"
    end = x + STRIP[0]
    canvas.text((end, y), percent, size=16, anchor="rm")
    free = STRIP[0] - text_width(percent, size=16) - 16
    name = pathlib.Path(evaluation.paths[row]).name
    between = " taken for "
    # Both names get half of the line, or what the other leaves of it.
    widths = [text_width(text, size=16) for text in (label, evaluation.labels[best])]
    free -= text_width(between, size=16)
    first = min(widths[0], max(free / 2, free - widths[1]))
    canvas.text((x, y), label, size=16, color=INK, width=first)
    canvas.text((x + first, y), between, size=16, color=MUTED)
    x_best = x + first + text_width(between, size=16)
    canvas.text((x_best, y), evaluation.labels[best], size=16, color=WRONG, width=free - first)
    canvas.text((x, y + 22), name, size=13, color=MUTED, width=STRIP[0])
