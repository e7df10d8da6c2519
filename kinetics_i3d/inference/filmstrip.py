"""`draw_filmstrip`: a video and what a model sees in it, as one picture."""

import math
import pathlib

from kinetics_i3d.core.canvas import (
    ACCENT,
    INK,
    LINE,
    MUTED,
    Canvas,
    check_picture_path,
    text_width,
)
from kinetics_i3d.video.clip import seen
from kinetics_i3d.video.reader import spread_frames, video_info

WIDTH, MARGIN, GAP = 1200, 32, 8
TITLE = 56  # height of the line above the frames
MOST_HEIGHT = 320  # of a frame; a tall one becomes narrower
SHORT_SIDE = 240  # frames are decoded at about the size that they are drawn at
ROW, BAR, LABEL = 40, 14, 360

FRAMES_BEHIND = (24, 27, 32)


def draw_filmstrip(path_out, video, classification, *, spec, frames=8):
    """Draws frames of a video, evenly spaced in time, above the labels and their probabilities.

    What lies outside the model's centre crop is drawn dark. The video is decoded once more, with
    few frames in memory.

    Args:
        path_out: The picture, `*.png`. It appears whole or not at all.
        video: The video file.
        classification: Its `Classification`.
        spec: The model's `ClipSpec`.
        frames: How many frames to draw; all of them if there are fewer.

    Raises:
        UserError: If `path_out` cannot be a picture, or Pillow is missing.
        ValueError: If `frames` is below 1.
        VideoError: If the video cannot be decoded.

    Example:

    >>> found = ki3d.classify(folder / "video.mp4", model)
    >>> draw_filmstrip(folder / "strip.png", folder / "video.mp4", found, spec=model.clip_spec)
    """
    check_picture_path(path_out)
    # At a rate above the video's own, neighbours would be the same frame.
    fps = min(spec.fps, video_info(video).fps)
    strip = spread_frames(video, frames, fps=fps, short_side=SHORT_SIDE)
    height, width, _ = strip[0][1].shape
    columns, cell = grid(len(strip), width / height)
    lines = -(-len(strip) // columns)
    bars = TITLE + lines * (cell[1] + GAP) + 24
    canvas = Canvas(WIDTH, bars + ROW * len(classification.predictions) + MARGIN - 12)

    name = pathlib.Path(video).name
    note = f"{classification.seconds:.1f} s to classify"
    place = WIDTH - MARGIN - text_width(note, size=15)
    canvas.text((MARGIN, TITLE // 2), name, size=20, width=place - MARGIN - 24)
    canvas.text((WIDTH - MARGIN, TITLE // 2), note, size=15, color=MUTED, anchor="rm")
    for index, (seconds, frame) in enumerate(strip):
        x = MARGIN + index % columns * (cell[0] + GAP)
        y = TITLE + index // columns * (cell[1] + GAP)
        _draw_frame(canvas, (x, y), cell, seen(frame, spec), seconds)
    draw_bars(canvas, bars, classification.predictions)
    canvas.save(path_out)


def grid(count, aspect):
    """Columns, and (width, height) of a cell, for `count` frames of an aspect (width by height)."""
    # One row of tall frames, two of usual ones, four of very wide ones.
    rows = 1 if aspect < 0.8 else 2 if aspect < 3 else 4
    columns = max(math.ceil(count / rows), min(count, 4 if rows < 4 else 2))
    widest = max(columns, 4 if rows < 4 else 2)  # few frames do not become larger
    width = (WIDTH - 2 * MARGIN - (widest - 1) * GAP) // widest
    return columns, (width, max(24, min(MOST_HEIGHT, round(width / aspect))))


def draw_bars(canvas, top, predictions):
    """Draws a line for each prediction: label, bar, percent. A full bar is a probability of 1."""
    start, end = bar_span()
    for rank, (label, probability) in enumerate(predictions):
        y = top + rank * ROW + ROW // 2
        best = rank == 0
        canvas.text((MARGIN, y), label, size=18, color=INK if best else MUTED, width=LABEL - 20)
        canvas.box((start, y - BAR // 2), (end - start, BAR), LINE, radius=BAR // 2)
        filled = (round((end - start) * min(1.0, probability)), BAR)
        canvas.box((start, y - BAR // 2), filled, ACCENT if best else MUTED, radius=BAR // 2)
        percent = f"{100 * probability:.1f} %"
        canvas.text((WIDTH - MARGIN, y), percent, size=18, color=INK, anchor="rm")


def bar_span():
    """The pixel columns between which bars lie."""
    return MARGIN + LABEL, WIDTH - MARGIN - 92


def _draw_frame(canvas, place, cell, frame, seconds):
    height, width, _ = frame.shape
    scale = min(cell[0] / width, cell[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas.box(place, cell, FRAMES_BEHIND)
    x = place[0] + (cell[0] - size[0]) // 2
    y = place[1] + (cell[1] - size[1]) // 2
    canvas.paste((x, y), frame, size=size)
    stamp = f"{seconds:.2f} s"
    corner = (place[0] + 6, place[1] + cell[1] - 26)
    canvas.box(corner, (text_width(stamp, size=13) + 12, 20), FRAMES_BEHIND, radius=5)
    canvas.text((corner[0] + 6, corner[1] + 10), stamp, size=13, color=(255, 255, 255))
