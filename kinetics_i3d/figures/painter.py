"""Soft shadows and shaded limbs, painted into a picture from their signed distance.

Distance functions after I. Quilez, https://iquilezles.org/articles/distfunctions2d; an edge is
smoothed over one pixel. Only the pixels of the limb's own box are touched.
"""

import numpy as np


def paint_shadow(picture, centre, size, dark):
    """Darkens a soft elliptical spot, in place.

    Args:
        picture: float32 array of shape (height, width, 3).
        centre: (x, y) in pixels.
        size: Half axes (x, y) in pixels, where the darkness is down to 1/e.
        dark: Share of the light that is missing in the middle, in [0, 1].
    """
    height, width = picture.shape[:2]
    reach = 2.2 * size
    x0, y0 = np.maximum((centre - reach).astype(int), 0)
    x1, y1 = np.minimum((centre + reach).astype(int) + 2, (width, height))
    if x0 >= x1 or y0 >= y1:
        return
    u = (np.arange(x0, x1, dtype=np.float32) + 0.5 - centre[0]) / size[0]
    v = (np.arange(y0, y1, dtype=np.float32) + 0.5 - centre[1]) / size[1]
    spot = np.exp(-v * v)[:, None] * (dark * np.exp(-u * u))
    picture[y0:y1, x0:x1] *= (1.0 - spot).astype(np.float32)[..., None]


def paint_limb(picture, a, b, half_width, rounding, colour, light):
    """Paints one limb, in place.

    Its outline is a trapezoid about the line from a to b with rounded corners; where the rounding
    is the whole half-width, as in arms and legs, that is a tapered capsule.

    Args:
        picture: float32 array of shape (height, width, 3), values 0 to 255.
        a: One end (x, y) in pixels.
        b: The other end.
        half_width: Half the limb's width at either end, pixels.
        rounding: Radius of the corners at either end, pixels, at most the half-width.
        colour: Its (red, green, blue).
        light: Where the light comes from: right, up, towards the camera; length one.
    """
    height, width = picture.shape[:2]
    wide_a, wide_b = map(float, half_width)
    round_a, round_b = map(float, rounding)
    (ax, ay), (bx, by) = a.tolist(), b.tolist()
    reach_a, reach_b = max(wide_a, round_a) + 1.0, max(wide_b, round_b) + 1.0
    x0, x1 = (
        max(int(min(ax - reach_a, bx - reach_b)), 0),
        min(int(max(ax + reach_a, bx + reach_b)) + 1, width),
    )
    y0, y1 = (
        max(int(min(ay - reach_a, by - reach_b)), 0),
        min(int(max(ay + reach_a, by + reach_b)) + 1, height),
    )
    if x0 >= x1 or y0 >= y1:
        return
    length = max(float(np.hypot(bx - ax, by - ay)), 1e-3)
    # A part that is a point, or seen end on, still needs some direction.
    ux, uy = ((bx - ax) / length, (by - ay) / length) if length > 1e-3 else (1.0, 0.0)
    x = np.arange(x0 + 0.5 - ax, x1 - ax, dtype=np.float32)
    y = np.arange(y0 + 0.5 - ay, y1 - ay, dtype=np.float32)[:, None]
    along, across = x * ux + y * uy, y * ux - x * uy
    inside = np.clip(along, 0.0, length)
    beyond = along - inside
    part = inside * (1.0 / length)
    wide = wide_a + (wide_b - wide_a) * part
    curve = round_a + (round_b - round_a) * part
    aside = across / wide
    flank = np.maximum(np.abs(across) - (wide - curve), 0.0)
    square = flank * flank + beyond * beyond
    cover = np.clip(curve - np.sqrt(square) + 0.5, 0.0, 1.0)
    # The surface's normal: out to the side, out over the end, and the rest towards the camera.
    over = beyond / curve
    toward = np.sqrt(np.maximum(1.0 - aside * aside, 0.0))
    lx, ly, lz = light[0], -light[1], light[2]
    # The end of a long limb runs on into the next one, so it is not shaded as an end.
    end = (lx * ux + ly * uy) * max(round_a, round_b) / (length + max(round_a, round_b))
    shade = (ly * ux - lx * uy) * aside + end * over + lz * toward
    shade = np.maximum(shade, -0.15) * 0.52 + 0.58
    box = picture[y0:y1, x0:x1]
    box += cover[..., None] * (shade[..., None] * colour - box)
