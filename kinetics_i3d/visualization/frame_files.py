"""`write_frames`: writes frames as a video, an animated GIF, or a PNG of some of them."""

import math
import pathlib

import numpy as np

from kinetics_i3d.core.canvas import MUTED, Canvas, check_picture_path, pillow
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.types import check_path
from kinetics_i3d.video.writer import SUFFIXES, write_video

_COLUMNS, _ROWS = 4, 2
_CELL, _GAP, _MARGIN = 224, 8, 16  # pixels: longer side of a frame, between frames, border
_LINE = 28  # height of a line of text
_PALETTE_FRAMES = 16


def check_frames_path(path):
    """The path of a video, a GIF or a PNG to write, checked before any work."""
    path = pathlib.Path(check_path("path", path))
    suffix = path.suffix.lower()
    if suffix not in (*SUFFIXES, ".gif", ".png"):
        raise UserError(
            f"{path}: the name must end in .png, .gif or that of a video, {', '.join(SUFFIXES)}"
        )
    if path.is_dir():
        raise UserError(f"{path}: a folder; the name of a file is needed")
    if suffix == ".png":
        check_picture_path(path)
    elif suffix == ".gif":
        pillow()
    return path


def write_frames(path, frames, *, fps, title=""):
    """Writes frames to a file, atomically.

    Args:
        path: A video, `*.gif`, which repeats, or `*.png`: eight frames, evenly spread, with their
            times.
        frames: uint8 (frames, height, width, 3), RGB.
        fps: Frames per second.
        title: The title above the frames of a PNG.

    Raises:
        UserError: As `check_frames_path`.
    """
    path = check_frames_path(path)
    if path.suffix.lower() == ".png":
        _write_strip(path, frames, fps, title)
    elif path.suffix.lower() == ".gif":
        _write_gif(path, frames, fps)
    else:
        write_video(path, frames, fps=fps)


def spread(count, most):
    """The indices in the middle of `most` equal parts of `count` items; all if there are fewer."""
    parts = min(count, most)
    return [int((part + 0.5) * count / parts) for part in range(parts)]


def _write_strip(path, frames, fps, title):
    chosen = spread(len(frames), _COLUMNS * _ROWS)
    columns = min(_COLUMNS, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    height, width, _ = frames[0].shape
    scale = _CELL / max(height, width)
    cell = round(width * scale), round(height * scale)
    top = _MARGIN + (_LINE if title else 0)
    canvas = Canvas(
        2 * _MARGIN + columns * (cell[0] + _GAP) - _GAP,
        top + rows * (cell[1] + _LINE) + _MARGIN - 8,
    )
    if title:
        canvas.text((_MARGIN, _MARGIN + 6), title, size=18, width=canvas.image.width - 2 * _MARGIN)
    for position, index in enumerate(chosen):
        x = _MARGIN + position % columns * (cell[0] + _GAP)
        y = top + position // columns * (cell[1] + _LINE)
        canvas.paste((x, y), frames[index], size=cell)
        stamp = f"{index / fps:.2f} s"
        canvas.text((x, y + cell[1] + _LINE // 2), stamp, size=14, color=MUTED)
    canvas.save(path)


def _write_gif(path, frames, fps):
    image_module, _, _ = pillow()
    # One palette for all frames, so that constant colors do not flicker. It covers all colors that
    # occur, since the hottest ones of a map have few pixels.
    sample = np.concatenate([frames[index] for index in spread(len(frames), _PALETTE_FRAMES)])
    palette = image_module.fromarray(sample).quantize(256, image_module.Quantize.MAXCOVERAGE)
    images = [
        image_module.fromarray(np.ascontiguousarray(frame)).quantize(palette=palette)
        for frame in frames
    ]
    with atomic_path(path) as temporary:
        images[0].save(
            temporary,
            format="GIF",
            save_all=True,
            append_images=images[1:],
            duration=round(1000 / fps),
            loop=0,
        )
