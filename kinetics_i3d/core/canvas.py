"""`Canvas`: draws pictures of results: boxes, pixels and fitted text, saved as PNG atomically.

Drawn with Pillow, https://pillow.readthedocs.io, and its built-in font.
"""

import functools
import pathlib

import numpy as np

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.core.files import atomic_path
from kinetics_i3d.core.types import check_path

PAPER = (255, 255, 255)
INK = (30, 34, 40)
MUTED = (112, 119, 130)
LINE = (228, 231, 236)
ACCENT = (31, 98, 201)


def pillow():
    """Pillow's modules `Image`, `ImageDraw` and `ImageFont`; `UserError` if it is not installed."""
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise UserError("Pictures need Pillow: pip install 'kinetics-i3d[pictures]'") from error
    return Image, ImageDraw, ImageFont


def check_picture_path(path):
    """Checks the path of a PNG, and that Pillow is installed, before any work; returns the path."""
    path = pathlib.Path(check_path("path", path))
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: pictures are PNG, so the name must end in .png")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; pass the path of a picture file")
    pillow()
    return path


class Canvas:
    """A white picture to draw on, in pixels from the top left."""

    def __init__(self, width, height):
        image_module, draw_module, _ = pillow()
        self.image = image_module.new("RGB", (width, height), PAPER)
        self.draw = draw_module.Draw(self.image)

    def text(self, position, text, *, size, color=INK, anchor="lm", width=None):
        """Writes one line.

        Args:
            position: (x, y) of the anchor.
            text: Any string; characters that cannot be printed are replaced.
            size: Pixels of the font.
            color: (red, green, blue).
            anchor: Pillow's two letters, horizontal (l, m, r) and vertical (a, m, s).
            width: Maximum pixels; a longer text ends with an ellipsis.
        """
        text = printable(text) if width is None else fit_text(text, size=size, width=width)
        self.draw.text(position, text, fill=color, font=font(size), anchor=anchor)

    def box(self, position, size, color, *, radius=0):
        """Fills a rectangle of `size` (width, height) pixels, its top left corner at `position`."""
        if min(size) >= 1:
            (x, y), (width, height) = map(int, position), map(int, size)
            edges = (x, y, x + width - 1, y + height - 1)
            radius = min(radius, (width - 1) // 2, (height - 1) // 2)
            self.draw.rounded_rectangle(edges, radius, fill=color)

    def paste(self, position, pixels, *, size=None):
        """Draws a uint8 array (height, width, 3), its corner at `position`, resized to `size`."""
        image_module, _, _ = pillow()
        image = image_module.fromarray(np.ascontiguousarray(pixels))
        if size is not None and size != image.size:
            image = image.resize(size, image_module.Resampling.LANCZOS)
        self.image.paste(image, tuple(map(int, position)))

    def save(self, path):
        """Writes the PNG atomically."""
        with atomic_path(check_picture_path(path)) as temporary:
            self.image.save(temporary, format="PNG")


@functools.cache
def font(size):
    """Pillow's built-in font at a size in pixels."""
    return pillow()[2].load_default(size)


def text_width(text, *, size):
    """The width of a line in pixels."""
    return font(size).getlength(printable(text))


def fit_text(text, *, size, width):
    """The text itself if it fits `width` pixels, else its beginning and an ellipsis."""
    text = printable(text)
    if text_width(text, size=size) <= width:
        return text
    while text and text_width(text + "…", size=size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def printable(text):
    """The text in one line; Pillow refuses line breaks in anchored text."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )
