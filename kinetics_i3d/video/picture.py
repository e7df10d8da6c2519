"""`Painter`: decoded pictures to upright RGB arrays of one size."""

import numpy as np


class Painter:
    """Turns decoded pictures into RGB arrays, all of the size of the first.

    Colours follow the file's tags of matrix and range; untagged ones are BT.601, which is what
    swscale, hence OpenCV, takes them for. Non-square samples stay as stored, alpha is dropped.

    Args:
        short_side: Pixels of the smaller side after a bilinear resize that keeps the aspect; None
            keeps the size of the first picture.
    """

    def __init__(self, short_side=None):
        from av.video.reformatter import Interpolation, VideoReformatter

        # Without the last three white becomes 253, and values depend on the processor.
        self._method = (
            Interpolation.BILINEAR
            | Interpolation.FULL_CHR_H_INT
            | Interpolation.ACCURATE_RND
            | Interpolation.BITEXACT
        )
        self._reformatter = VideoReformatter()
        self._short_side = short_side
        self._size = None

    def __call__(self, picture):
        """Paints one picture.

        Args:
            picture: An `av.VideoFrame`.

        Returns:
            uint8 array (height, width, 3), RGB, 0 to 255, that shares no memory with another.
        """
        transposed, left_right, up_down = orientation(picture)
        if self._size is None:
            self._size = resized(upright_size(picture), self._short_side)
        height, width = self._size[::-1] if transposed else self._size
        # One thread, so that neither the machine nor the setting changes a value.
        painted = self._reformatter.reformat(
            picture,
            width=width,
            height=height,
            format="rgb24",
            interpolation=self._method,
            threads=1,
        )
        rgb = painted.to_ndarray()
        if painted is picture:  # Nothing to do: the pixels are the decoder's own.
            rgb = rgb.copy()
        if transposed:
            rgb = rgb.transpose(1, 0, 2)
        if left_right:
            rgb = rgb[:, ::-1]
        if up_down:
            rgb = rgb[::-1]
        return np.ascontiguousarray(rgb)


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


def resized(size, short_side):
    """The size after a resize of the smaller side that keeps the aspect.

    Args:
        size: (height, width) in pixels.
        short_side: Pixels of the smaller side; None changes nothing.

    Returns:
        (height, width); the other side is rounded, halves up.

    Example:

    >>> resized((240, 320), 256)
    (256, 341)
    """
    if short_side is None:
        return tuple(size)
    smaller = min(size)
    return tuple((2 * side * short_side + smaller) // (2 * smaller) for side in size)
