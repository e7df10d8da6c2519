"""`Painter`: decoded pictures to upright RGB arrays of one size."""

import contextlib
import typing

import numpy as np

from kinetics_i3d.core.clip_spec import resized

# What most video is stored as. swscale has fast code to separate planes of these, none to packed
# pixels: by way of planes painting takes half the time.
PLANAR = ("yuv420p", "yuvj420p")


class Painter:
    """Turns decoded pictures into RGB arrays, all of the size of the first.

    Colours follow the file's tags of matrix and range; untagged ones are BT.601, which is what
    swscale, hence OpenCV, takes them for. Non-square samples stay as stored, alpha is dropped.

    Args:
        short_side: Pixels of the side that `resize` names; None keeps the first picture's size.
        resize: One of `clip_spec.RESIZES`.
        interpolation: One of `clip_spec.INTERPOLATIONS`.
    """

    shortcut: typing.Any = None  # set by `compile_now`

    def __init__(self, short_side=None, resize="short_side", interpolation="bilinear"):
        from av.video.reformatter import Interpolation, VideoReformatter

        # Without the last three white becomes 253, and values depend on the processor.
        self._method = (
            Interpolation.BILINEAR
            | Interpolation.FULL_CHR_H_INT
            | Interpolation.ACCURATE_RND
            | Interpolation.BITEXACT
        )
        # Each keeps the tables of one conversion.
        self._reformatter, self._packer = VideoReformatter(), VideoReformatter()
        self._bilinear = True
        self._short_side, self._resize = short_side, resize
        self._interpolation = interpolation
        self._size = None
        self._shortcut = None if self.shortcut is None else self.shortcut()

    def __call__(self, picture):
        """Paints one picture.

        Args:
            picture: An `av.VideoFrame`.

        Returns:
            uint8 array (height, width, 3), RGB, 0 to 255, that shares no memory with another.
        """
        transposed, left_right, up_down = orientation(picture)
        if self._size is None:
            self._settle(upright_size(picture))
        stored = self._size[::-1] if transposed else self._size
        short = self._shortcut if self._keeps(picture, stored) else None
        rgb = None if short is None else short.paint(picture)
        if rgb is None:
            rgb = self._by_swscale(picture, *stored)
            if short is not None:
                short.learn(picture, rgb)
        if transposed:
            rgb = rgb.transpose(1, 0, 2)
        if left_right:
            rgb = rgb[:, ::-1]
        if up_down:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)

    def _keeps(self, picture, size):
        """Whether a 4:2:0 picture has this size, of even sides, already."""
        same = self._bilinear and size == (picture.height, picture.width)
        return same and picture.format.name in PLANAR and not any(side % 2 for side in size)

    def _by_swscale(self, picture, height, width):
        # One thread, so that neither the machine nor the setting changes a value.
        planar = self._bilinear and same_by_planes(picture, height)
        painted = self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            format="gbrp" if planar else "rgb24",
            interpolation=self._method,
            threads=1,
        )
        if planar:
            painted = self._packer.reformat(painted, format="rgb24", threads=1)
        rgb = painted.to_ndarray()
        if painted is picture:  # Nothing to do: the pixels are the decoder's own.
            rgb = rgb.copy()
        return rgb

    def _settle(self, size):
        """Lets the first picture's size decide for all."""
        self._size = size
        if self._short_side is None:
            return
        self._size = resized(size, self._short_side, self._resize)
        if self._interpolation == "area_cubic":
            from av.video.reformatter import Interpolation

            shrinks = self._size[0] * self._size[1] < size[0] * size[1]
            kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
            self._method = self._method & ~Interpolation.BILINEAR | kernel
            self._bilinear = False


def compile_now():
    """Lets every later `Painter` of this process take the compiled shortcut for equal sizes.

    The pixels are the same. It takes a second or so, and nothing without Numba; to be called
    before threads that read videos begin.
    """
    if Painter.shortcut is None:
        with contextlib.suppress(ImportError):  # a Numba that does not fit is no reason to stop
            from kinetics_i3d.video import yuv420

            Painter.shortcut = yuv420.Shortcut if yuv420.compile_now() else None


def same_by_planes(picture, height):
    """Whether swscale's bilinear RGB is the same to the bit if made as planes and packed then.

    Packed pixels it rounds otherwise where two lines make one: whatever grows in height, and what
    hardly shrinks.

    Args:
        picture: An `av.VideoFrame`.
        height: Lines of the result, as stored.
    """
    if picture.format.name not in PLANAR or picture.height % 2:
        return False
    return picture.height == height or picture.height >= 1.1 * height


def orientation(picture):
    """How players turn a picture before they show it, from its display matrix.

    Args:
        picture: An `av.VideoFrame`.

    Returns:
        (transposed, left_right, up_down): whether to swap the axes, and then to flip the columns,
        the rows. Angles between the right ones are taken for the nearest.
    """
    matrix = picture.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # x' = a x + c y, y' = b x + d y: https://ffmpeg.org/doxygen/trunk/group__lavu__video__display.html
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def upright_size(picture):
    """(height, width) of a picture as it is shown."""
    size = picture.height, picture.width
    return size[::-1] if orientation(picture)[0] else size
