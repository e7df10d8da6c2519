"""Clips of the figure: `render_figure(action, seed=...)` performs, films and draws.

The body is a table of tapered, rounded limbs. Each is drawn from its signed distance (I. Quilez,
https://iquilezles.org/articles/distfunctions2d), distant ones first, shaded as a round shape, and
smoothed over one pixel at its edge; only the pixels of its own box are touched.
"""

import numbers

import numpy as np

from kinetics_i3d.core.types import is_number
from kinetics_i3d.figures.actions import find_action
from kinetics_i3d.figures.performance import perform, seat
from kinetics_i3d.figures.scenery import paint_scenery
from kinetics_i3d.figures.skeleton import JOINT, SIDES
from kinetics_i3d.figures.world import draw_world, offsets, project


def _paint_shadow(picture, center, size, dark):
    """Darkens a soft elliptical spot in place, by `dark` in the middle and 1/e of it at `size`."""
    height, width = picture.shape[:2]
    reach = 2.2 * size
    x0, y0 = np.maximum((center - reach).astype(int), 0)
    x1, y1 = np.minimum((center + reach).astype(int) + 2, (width, height))
    if x0 >= x1 or y0 >= y1:
        return
    u = (np.arange(x0, x1, dtype=np.float32) + 0.5 - center[0]) / size[0]
    v = (np.arange(y0, y1, dtype=np.float32) + 0.5 - center[1]) / size[1]
    spot = np.exp(-v * v)[:, None] * (dark * np.exp(-u * u))
    picture[y0:y1, x0:x1] *= (1.0 - spot).astype(np.float32)[..., None]


def _paint_limb(picture, a, b, half_width, rounding, color, light):
    """Draws one limb into a float32 picture (height, width, 3), 0 to 255, in place.

    Its outline is a trapezoid about the line from a to b with rounded corners; where the rounding
    is the whole half-width, as in arms and legs, that is a tapered capsule.

    Args:
        picture: The picture.
        a: One end (x, y) in pixels.
        b: The other end.
        half_width: Half the width of the limb at either end, pixels.
        rounding: Radius of the corners at either end, pixels, at most the half-width.
        color: Its (red, green, blue).
        light: Unit vector toward the light: right, up, toward the camera.
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
    # The surface's normal: out to the side, out over the end, and the rest toward the camera.
    over = beyond / curve
    toward = np.sqrt(np.maximum(1.0 - aside * aside, 0.0))
    lx, ly, lz = light[0], -light[1], light[2]
    # The end of a long limb runs on into the next one, so it is not shaded as an end.
    end = (lx * ux + ly * uy) * max(round_a, round_b) / (length + max(round_a, round_b))
    shade = (ly * ux - lx * uy) * aside + end * over + lz * toward
    shade = np.maximum(shade, -0.15) * 0.52 + 0.58
    box = picture[y0:y1, x0:x1]
    box += cover[..., None] * (shade[..., None] * color - box)


_NEEDS_CHAIR = ("sit_down", "stand_up")

# From joint, to joint, half-width (across the body, from front to back) at either end in heights,
# color, and meters that are subtracted from its depth when the parts are sorted.
_TRUNK = (
    ("pelvis", "spine", (0.080, 0.060), (0.070, 0.052), "shirt", 0.10),
    ("spine", "chest", (0.074, 0.053), (0.098, 0.050), "shirt", 0.11),
    ("hip_l", "hip_r", (0.048, 0.050), (0.048, 0.050), "trousers", 0.0),
    ("chest", "neck", (0.034, 0.034), (0.030, 0.030), "skin", 0.07),
    ("neck", "head", (0.029, 0.029), (0.029, 0.029), "skin", 0.05),
    ("chin", "head", (0.036, 0.036), (0.050, 0.050), "skin", 0.05),
    ("hair", "hair", (0.056, 0.056), (0.056, 0.056), "hair", 0.030),
    ("nose", "nose", (0.010, 0.010), (0.010, 0.010), "skin", 0.02),
)
_LIMB = (
    ("shoulder", "elbow", 0.031, 0.024, "shirt", 0.12),
    ("elbow", "wrist", 0.023, 0.016, "forearm", 0.13),
    ("wrist", "hand", 0.018, 0.020, "skin", 0.14),
    ("hip", "knee", 0.050, 0.035, "trousers", 0.02),
    ("knee", "ankle", 0.034, 0.022, "shank", 0.02),
    ("heel", "toe", 0.026, 0.020, "shoes", 0.03),
    ("eye", "eye", 0.0075, 0.0075, "eyes", 0.055),
)
_PARTS = _TRUNK + tuple(
    (f"{a}_{side}", f"{b}_{side}", (start, start), (end, end), color, nearer)
    for side in SIDES
    for a, b, start, end, color, nearer in _LIMB
)
_SLENDER = ("skin", "hair", "eyes", "shoes")  # colors of the parts that ignore the girth


def render_figure(
    action: str,
    *,
    seed: int,
    frames: int = 64,
    fps: float = 25.0,
    size: tuple[int, int] = (240, 320),
) -> np.ndarray:
    """Renders one clip of one figure that performs one action.

    The seed determines everything else: person, clothes, scene, camera, tempo and handedness. It
    does so independently of the other arguments, so another rate or size films the same
    performance. The action is over (or has been repeated) within 2.56 seconds; longer clips repeat
    it or hold its last pose.

    Args:
        action: One of `ACTIONS`.
        seed: An integer, 0 or more.
        frames: Number of frames, at least 1.
        fps: Frames per second of the performance's time, above 0.
        size: (height, width) in pixels, each at least 16.

    Returns:
        uint8 array of shape (frames, height, width, 3): RGB.

    Raises:
        ValueError: If the action is unknown, with the nearest names, or an argument is outside its
            range.

    Example:

    >>> render_figure("wave", seed=7, frames=2, size=(48, 64)).shape
    (2, 48, 64, 3)
    """
    find_action(action)
    world = draw_world(seed)
    frames, fps, (height, width) = _checked(frames, fps, size)
    side = min(height, width)
    times = np.arange(frames) / fps
    joints = perform(action, world, times)
    gait = find_action(action).planted is None
    walked = project(joints[:, JOINT["pelvis"]], world.camera)[0][:, 0] if gait else 0.0
    shift = offsets(world.camera, times, walked)

    # A frame is a window of the scenery; its corner in the scenery's pixels, frame by frame.
    corner = -np.array([width, height]) / 2.0 - shift * side
    low = np.floor(corner.min(axis=0)).astype(int)
    high = np.floor(corner.max(axis=0)).astype(int) + (width + 1, height + 1)
    scenery = paint_scenery(world, _chair_at(action, world, gait), (*low, *(high - low)), side)

    limbs = _Limbs(world, joints, shift * side + np.array([width, height]) / 2.0, side)
    clip = np.empty((frames, height, width, 3), np.uint8)
    for index in range(frames):
        picture = _window(scenery, corner[index] - low, height, width)
        limbs.paint(picture, index)
        np.clip(picture, 0.0, 255.0, out=picture)
        clip[index] = picture + 0.5
    return clip


def _checked(frames, fps, size):
    if isinstance(frames, bool) or not isinstance(frames, numbers.Integral) or frames < 1:
        raise ValueError(f"`frames` must be an integer of at least 1. Received: frames={frames!r}")
    if not is_number(fps) or not 0.0 < fps < np.inf:
        raise ValueError(f"`fps` must be a number above 0. Received: fps={fps!r}")
    sides = tuple(size) if isinstance(size, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(s, numbers.Integral) and s >= 16 for s in sides):
        raise ValueError(
            f"`size` must be (height, width) in whole pixels, each at least 16. "
            f"Received: size={size!r}"
        )
    return int(frames), float(fps), (int(sides[0]), int(sides[1]))


def _chair_at(action, world, gait):
    if action not in _NEEDS_CHAIR and not world.scene.chair:
        return None
    (x, y, z), direction = seat(action, world)
    if gait:  # out of the way of somebody who walks
        x, y = np.copysign(0.9, world.camera.view), 1.3
    return (x, y, z), direction


def _window(scenery, corner, height, width):
    """Cuts a frame out of the scenery, interpolated between its pixels."""
    x, y = np.floor(corner).astype(int)
    fx, fy = (corner - (x, y)).astype(np.float32)
    box = scenery[y : y + height + 1, x : x + width + 1]
    box = box[:-1] + fy * (box[1:] - box[:-1])
    return box[:, :-1] + fx * (box[:, 1:] - box[:, :-1])


class _Limbs:
    """The figure of a whole clip in pixels: positions, widths, colors and order of its parts."""

    def __init__(self, world, joints, axis, side):
        points, scale = project(joints, world.camera)
        points = points * side + axis[:, None]
        scale = scale * side
        first = [JOINT[row[0]] for row in _PARTS]
        second = [JOINT[row[1]] for row in _PARTS]
        slender = np.array([row[4] in _SLENDER for row in _PARTS])
        size = world.body.height * np.where(slender, 1.0, world.body.girth)
        # The trunk is wider than deep; how much of its width shows depends on where it faces.
        across = joints[:, JOINT["shoulder_l"]] - joints[:, JOINT["shoulder_r"]]
        shown = (across[:, [0, 2]] ** 2).sum(axis=1) / (across**2).sum(axis=1)

        def half_width(row_index, ends):
            wide, deep = np.array([row[row_index] for row in _PARTS]).T
            seen = np.sqrt(wide**2 * shown[:, None] + deep**2 * (1.0 - shown[:, None]))
            return seen * size * scale[:, ends], deep * size * scale[:, ends]

        self.a, self.b = points[:, first], points[:, second]
        self.width_a, self.round_a = half_width(2, first)
        self.width_b, self.round_b = half_width(3, second)
        depth = 0.5 * (joints[:, first, 1] + joints[:, second, 1])
        # A little darker with depth: it tells the far leg from the near one.
        pelvis = joints[:, [JOINT["pelvis"]], 1]
        tone = np.clip(1.0 - 0.45 * (depth - pelvis), 0.72, 1.1)
        colors = np.array([world.colors[row[4]] for row in _PARTS])
        self.colors = (colors * tone[..., None]).astype(np.float32)
        self.order = np.argsort(np.array([row[5] for row in _PARTS]) - depth, axis=1)
        # An eye shows only in front of the head.
        eyes = [i for i, row in enumerate(_PARTS) if row[4] == "eyes"]
        hidden = depth[:, eyes] > joints[:, [JOINT["head"]], 1] - 0.012
        self.hidden = np.zeros(depth.shape, bool)
        self.hidden[:, eyes] = hidden
        self.light = world.scene.light
        self._place_shadows(world, joints, axis, side)

    def _place_shadows(self, world, joints, axis, side):
        """Soft spots on the floor under the feet and the pelvis, paler as the body lifts."""
        names = ("pelvis", "ankle_l", "ankle_r")
        ground = joints[:, [JOINT[name] for name in names]].copy()
        lifted = np.maximum(ground[..., 2] - np.array([0.9, 0.1, 0.1]), 0.0)
        ground[..., 2] = 0.0
        points, scale = project(ground, world.camera)
        radius = np.array([0.34, 0.15, 0.15]) * (1.0 + lifted) * scale * side
        self.spots = points * side + axis[:, None]
        self.spot_size = np.stack([radius, radius * points[..., 1] / world.camera.zoom], axis=-1)
        self.spot_dark = np.array([0.30, 0.40, 0.40]) * np.exp(-4.0 * lifted)

    def paint(self, picture, index):
        """Draws the figure of frame `index` into a float32 picture."""
        spots = zip(self.spots[index], self.spot_size[index], self.spot_dark[index], strict=True)
        for center, size, dark in spots:
            _paint_shadow(picture, center, size, dark)
        for part in self.order[index]:
            if self.hidden[index, part]:
                continue
            _paint_limb(
                picture,
                self.a[index, part],
                self.b[index, part],
                (self.width_a[index, part], self.width_b[index, part]),
                (self.round_a[index, part], self.round_b[index, part]),
                self.colors[index, part],
                self.light,
            )
