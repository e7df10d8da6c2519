"""`Shortcut`: converts 4:2:0 pictures to RGB of the same size, compiled, bit-exact with swscale.

This is what swscale computes with full chroma and accurate rounding: chroma is interpolated between
the two nearest lines and columns, and the matrix is applied in 13-bit fixed point. At equal size no
sum before the matrix is rounded, so a single pass in integers takes a third of the time.
"""

import numpy as np

from kinetics_i3d.core.compiled import compiled, numba

TRIES = 50  # pictures of a video that are compared before it is left to swscale
# Weights, in eighths, of the nearest chroma column and of its neighbor, for even and for odd luma
# columns. Chroma lies between two luma columns as in MPEG-1, or on the even ones as in MPEG-2 and
# H.264.
SITINGS = ((6, 2, 6, 2), (8, 0, 4, 4))
# ITU-R BT.601 and BT.709 as in libswscale/yuv2rgb.c: V to R, U to B, U to G, V to G, in 16 bits.
BT601 = (104597, 132201, 25675, 53279)
_BT709 = (117489, 138438, 13975, 34925)
MATRICES = {1: _BT709, 2: BT601, 5: BT601, 6: BT601}  # AVColorSpace
_WHITE = (1 << 30) - 1


class Shortcut:
    """Converts the pictures of one video, once it has been verified on one of them.

    The decoder does not expose the positions of chroma samples. They are inferred from a picture
    that swscale has converted, which also verifies the result.
    """

    def __init__(self):
        self._conversions: dict = {}
        self._tries = TRIES

    def paint(self, picture):
        """RGB of an 8-bit 4:2:0 picture of even sides, or None while swscale has to convert it."""
        conversion = self._conversions.get(_tags(picture))
        return None if conversion is None else converted(picture, *conversion)

    def learn(self, picture, rgb):
        """Compares the conversion of a picture with swscale's: RGB, uint8 (height, width, 3)."""
        upright = all(plane.line_size > 0 for plane in picture.planes)
        if self._tries and upright and picture.colorspace in MATRICES:
            self._tries -= 1
            numbers = coefficients(MATRICES[picture.colorspace], full=_is_full(picture))
            candidates = [(weights, numbers) for weights in SITINGS]
            right = [way for way in candidates if np.array_equal(converted(picture, *way), rgb)]
            if len(right) == 1:  # without color, both are right
                self._conversions[_tags(picture)] = right[0]


def _tags(picture):
    """The tags that determine the conversion of a picture to RGB."""
    return picture.format.name, picture.colorspace, picture.color_range


def _is_full(picture):
    """Whether a picture's levels are 0 to 255."""
    return picture.color_range == 2 or picture.format.name == "yuvj420p"


def compile_kernel():
    """Compiles, or loads compiled code; returns whether Numba is installed."""
    if numba is not None:
        sides = ((2, 2), (1, 1), (1, 1))
        planes = [np.frombuffer(bytes(4), np.uint8)[: a * b].reshape(a, b) for a, b in sides]
        numbers = coefficients(BT601, full=False)
        _convert(*planes, SITINGS[0], numbers, np.empty((2, 2, 3), np.uint8))
    return numba is not None


def converted(picture, weights, numbers):
    """A picture as RGB, by a row of `SITINGS` and the result of `coefficients`."""
    planes = [
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
        for plane in picture.planes
    ]
    rgb = np.empty((picture.height, picture.width, 3), np.uint8)
    _convert(*planes, weights, numbers, rgb)
    return rgb


def coefficients(matrix, *, full):
    """(black, luma, V to R, V to G, U to G, U to B) in fixed point.

    Rounded as in `ff_yuv2rgb_c_init_tables`, from a matrix with 16 fractional bits. `full` means
    levels from 0 to 255 rather than 16 to 235 (chroma 240).
    """
    red, blue, green_of_blue, green_of_red = matrix
    black, luma = (0, 1 << 16) if full else (16 << 9, (255 << 16) // 219)
    chroma: tuple[int, ...] = (red, -green_of_red, -green_of_blue, blue)
    if full:  # toward zero, as C divides
        chroma = tuple(int(number * 224 / 255) for number in chroma)
    rounded = [((number << 13) + (1 << 15)) >> 16 for number in (luma, *chroma)]
    return (black, *rounded)


@compiled()
def _convert(luma, blues, reds, weights, numbers, rgb):
    height, width, _ = rgb.shape
    half = width // 2
    black, white = np.int32(numbers[0]), np.int32(_WHITE)
    y_all, v_red, v_green = np.int32(numbers[1]), np.int32(numbers[2]), np.int32(numbers[3])
    u_green, u_blue = np.int32(numbers[4]), np.int32(numbers[5])
    even, before = np.int32(weights[0]), np.int32(weights[1])
    odd, behind = np.int32(weights[2]), np.int32(weights[3])
    few = np.empty((2, half + 2), np.int32)  # chroma of a line, in quarters
    many = np.empty((2, width), np.int32)  # of each pixel, 512 per level, like luma
    line = np.empty((3, width), np.uint8)
    for y in range(height):
        near = y // 2
        far = min(max(near + 2 * (y % 2) - 1, 0), height // 2 - 1)
        for part in range(2):
            plane = reds if part else blues
            nearest, other = plane[near], plane[far]
            short, long = few[part], many[part]
            for x in range(half):
                short[x + 1] = np.int32(3) * np.int32(nearest[x]) + np.int32(other[x]) - 512
            short[0], short[half + 1] = short[1], short[half]
            for x in range(half):
                middle = short[x + 1]
                long[2 * x] = np.int32(16) * (even * middle + before * short[x])
                long[2 * x + 1] = np.int32(16) * (odd * middle + behind * short[x + 2])
        levels, us, vs = luma[y], many[0], many[1]
        for x in range(width):
            # 32-bit sums overflow as swscale's do.
            level = np.int32((np.int32(levels[x]) * 512 - black) * y_all + (1 << 21))
            red = np.int32(level + vs[x] * v_red)
            green = np.int32(level + vs[x] * v_green + us[x] * u_green)
            blue = np.int32(level + us[x] * u_blue)
            line[0, x] = min(max(red, np.int32(0)), white) >> 22
            line[1, x] = min(max(green, np.int32(0)), white) >> 22
            line[2, x] = min(max(blue, np.int32(0)), white) >> 22
        packed = rgb[y].reshape(-1)  # LLVM can shuffle one row of bytes
        reds_of, greens_of, blues_of = line[0], line[1], line[2]
        for x in range(width):
            packed[3 * x] = reds_of[x]
            packed[3 * x + 1] = greens_of[x]
            packed[3 * x + 2] = blues_of[x]
