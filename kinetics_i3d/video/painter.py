"""`Painter`: converts decoded pictures to upright RGB arrays of one size."""

import contextlib
import typing

import numpy as np

from kinetics_i3d.core.clip_spec import resized
from kinetics_i3d.core.errors import VideoError, first_line
from kinetics_i3d.video.limits import current_limits, out_of_memory

# The most common pixel formats. swscale has fast code that converts them to separate planes, but
# none to packed pixels: converting to planes first halves the time.
_PLANAR = ("yuv420p", "yuvj420p")


class Painter:
    """Converts decoded pictures to RGB arrays of the size of the first.

    Colors follow the file's tags for matrix and range; untagged files are BT.601, as swscale and
    hence OpenCV assume. Non-square pixels stay as stored; alpha is dropped.

    Args:
        short_side: Pixels of the side that `resize` names; None keeps the first picture's size.
        resize: One of `clip_spec.RESIZES`.
        interpolation: One of `clip_spec.INTERPOLATIONS`.
        name: The video, for errors.
    """

    shortcut: typing.Any = None  # set by `compile_shortcut`

    def __init__(
        self, short_side=None, resize="short_side", interpolation="bilinear", *, name="the video"
    ):
        from av.error import FFmpegError
        from av.video.reformatter import Interpolation, VideoReformatter

        self._failure = FFmpegError
        # Without the last three flags, white becomes 253 and values depend on the processor.
        self._method = (
            Interpolation.BILINEAR
            | Interpolation.FULL_CHR_H_INT
            | Interpolation.ACCURATE_RND
            | Interpolation.BITEXACT
        )
        # Each caches the tables of one conversion.
        self._reformatter, self._packer = VideoReformatter(), VideoReformatter()
        self._bilinear = True
        self._short_side, self._resize = short_side, resize
        self._interpolation, self._name = interpolation, name
        self._size = None
        self._shortcut = None if self.shortcut is None else self.shortcut()

    def __call__(self, picture):
        """Converts an `av.VideoFrame` to a uint8 array (height, width, 3) that owns its memory.

        Raises:
            VideoError: If a picture cannot be converted, or would become too large.
        """
        transposed, left_right, up_down = orientation(picture)
        if self._size is None:
            self._settle(upright_size(picture))
        stored = self._size[::-1] if transposed else self._size
        short = self._shortcut if self._keeps(picture, stored) else None
        rgb = None if short is None else short.paint(picture)
        if rgb is None:
            try:
                rgb = self._by_swscale(picture, *stored)
            except MemoryError as error:
                raise out_of_memory(self._name) from error
            except (self._failure, ValueError) as error:
                raise VideoError(
                    f"{self._name}: its pictures of {picture.width} x {picture.height} pixels "
                    f"cannot be converted ({first_line(error)})"
                ) from error
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
        """Whether a 4:2:0 picture, of even sides, has this size already."""
        same = self._bilinear and size == (picture.height, picture.width)
        return same and picture.format.name in _PLANAR and not any(side % 2 for side in size)

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
        if painted is picture:  # nothing was converted: the memory is the decoder's
            rgb = rgb.copy()
        return rgb

    def _settle(self, size):
        """Sets the size of all pictures from that of the first."""
        self._size = size
        if self._short_side is None:
            return
        self._size = resized(size, self._short_side, self._resize)
        current_limits().check_resize(self._name, size, self._size)
        if self._interpolation == "area_cubic":
            from av.video.reformatter import Interpolation

            shrinks = self._size[0] * self._size[1] < size[0] * size[1]
            kernel = Interpolation.AREA if shrinks else Interpolation.BICUBIC
            self._method = self._method & ~Interpolation.BILINEAR | kernel
            self._bilinear = False


def compile_shortcut():
    """Makes every later `Painter` of this process use the compiled conversion for equal sizes.

    The pixels are the same. Compiling takes about a second; without Numba nothing changes. Call it
    before starting threads that read videos.
    """
    if Painter.shortcut is None:
        with contextlib.suppress(ImportError):  # an incompatible Numba is no reason to fail
            from kinetics_i3d.video import yuv420

            Painter.shortcut = yuv420.Shortcut if yuv420.compile_kernel() else None


def same_by_planes(picture, height):
    """Whether swscale computes the same bilinear RGB, bit for bit, via separate planes.

    For packed pixels swscale rounds differently where two lines are combined: if the height grows,
    or hardly shrinks. `height` is that of the result, as stored.
    """
    if picture.format.name not in _PLANAR or picture.height % 2:
        return False
    return picture.height == height or picture.height >= 1.1 * height


def _side_data(picture):
    try:
        return picture.side_data
    except ValueError:  # of a type that PyAV's enumeration lacks, such as Exif in photographs
        from av.sidedata import sidedata

        typing.cast(typing.Any, sidedata.Type)._missing_ = classmethod(_unknown_type)
        return picture.side_data


def _unknown_type(types, number):
    """A member for a number that an enumeration does not list."""
    member = object.__new__(types)
    member._name_, member._value_ = f"UNKNOWN_{number}", number
    return member


def orientation(picture):
    """(transposed, left_right, up_down): how players turn a picture, from its display matrix.

    The axes are swapped first; then the columns and the rows are flipped. Other angles are rounded
    to multiples of 90 degrees.
    """
    matrix = _side_data(picture).get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    # x' = a x + c y, y' = b x + d y: https://ffmpeg.org/doxygen/trunk/group__lavu__video__display.html
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, c < 0, b < 0
    return False, a < 0, d < 0


def upright_size(picture):
    """(height, width) of a picture as shown."""
    size = picture.height, picture.width
    return size[::-1] if orientation(picture)[0] else size
