"""The scene behind the figure: floor, wall or horizon, cupboards, a chair, drawn once per clip.

All furniture is behind the figure, so it is part of one still picture, larger than a frame, from
which every frame is cut where the camera points.
"""

import numpy as np

from kinetics_i3d.figures.world import project

# Parts of the chair about the middle of its seat: center, size (ahead, left, up), all in meters.
_SEAT = (((0.04, 0.0, -0.02), (0.42, 0.42, 0.04)),)
_BACK = (((-0.20, 0.0, 0.30), (0.03, 0.42, 0.24)),) + tuple(
    ((-0.20, side * 0.18, 0.10), (0.03, 0.03, 0.24)) for side in (-1.0, 1.0)
)
_LEG_PLACES = tuple((ahead, side) for ahead in (-0.14, 0.22) for side in (-0.18, 0.18))


def paint_scenery(world, chair_at, window, side):
    """Draws the scene as float32 (height, width, 3), 0 to 255.

    Args:
        world: The `World`.
        chair_at: ((x, y, z), heading) of the seat in meters and degrees, or None for no chair.
        window: (left, top, width, height) of the drawing in pixels from the optical axis.
        side: Length of the shorter side of the picture in pixels.
    """
    scene, camera = world.scene, world.camera
    left, top, width, height = window
    canvas = _Canvas(camera, (left, top), side, scene.light)
    rng = np.random.default_rng(scene.texture_seed)
    lattice = rng.random((3, 32, 32))
    right = ((left + 0.5 + np.arange(width)) / side)[None]
    down = ((top + 0.5 + np.arange(height)) / side)[:, None]

    wall_depth = camera.distance + scene.wall_distance
    edge = camera.zoom * camera.height / wall_depth  # where the floor meets the wall
    wall = _wall(
        world,
        lattice,
        right * wall_depth / camera.zoom,
        camera.height - down * wall_depth / camera.zoom,
        wall_depth / camera.zoom / side,
    )
    depth = camera.zoom * camera.height / np.maximum(down, edge)
    floor = _floor(
        world,
        lattice,
        right * depth / camera.zoom,
        depth - camera.distance,
        depth / camera.zoom / side,
    )
    cover = np.clip((down - edge) * side + 0.5, 0.0, 1.0)[..., None]
    canvas.image = (wall + cover * (floor - wall)).astype(np.float32)

    for _ in range(scene.boxes):
        _box(canvas, world, rng)
    if chair_at is not None:
        _chair(canvas, world, chair_at)
    return np.clip(canvas.image, 0.0, 255.0)


def _wall(world, lattice, x, z, pixel):
    """Colors of the wall at x and z meters; `pixel` is a pixel's size there."""
    base = np.array(world.colors["wall"])
    if world.scene.outdoors:
        sky = base + 26.0 * np.clip(z / 22.0, 0.0, 1.2)[..., None] + 0.0 * x[..., None]
        hills = 1.0 + 7.0 * _noise(lattice, x / 60.0, 0.0 * x)
        return sky - 24.0 * np.clip((hills - z) / pixel + 0.5, 0.0, 1.0)[..., None]
    tone = 26.0 * (_noise(lattice, x / 3.0, z / 3.0) - 0.5) + 6.0 * (z - 1.2)
    lines = {
        "plain": 0.0,
        "stripes": np.where(np.abs(x / 0.36 % 1.0 - 0.5) < 0.25, 1.0, 0.0),
        "tiles": np.maximum(_lines(x, 0.4, 0.008, pixel), _lines(z, 0.4, 0.008, pixel)),
        "boards": _lines(x, 0.22, 0.01, pixel),
    }[world.scene.wall_pattern]
    skirting = np.clip((0.1 - z) / pixel + 0.5, 0.0, 1.0)
    return base + (tone - 17.0 * lines - 26.0 * skirting)[..., None]


def _floor(world, lattice, x, y, pixel):
    """Colors of the floor at x and y meters; `pixel` is a pixel's width there."""
    # A pixel covers more floor along the view than across it, so distant lines fade.
    tall = pixel * (y + world.camera.distance) / world.camera.height
    tone = 34.0 * (_noise(lattice, x / 1.3, y / 1.3) - 0.5) - 3.0 * np.minimum(y, 6.0)
    lines = {
        "plain": 0.0,
        "tiles": np.maximum(_lines(x, 0.5, 0.01, pixel), _lines(y, 0.5, 0.01, tall)),
        "boards": _lines(y, 0.17, 0.008, tall),
    }[world.scene.floor_pattern]
    return np.array(world.colors["floor"]) + (tone - 22.0 * lines)[..., None]


def _lines(at, period, half_width, pixel):
    """Lines every `period` meters, smoothed over a pixel and faded where they are too fine."""
    off = np.abs((at / period + 0.5) % 1.0 - 0.5) * period
    strength = np.clip(1.6 - 3.0 * pixel / period, 0.0, 1.0)
    return strength * np.clip(0.5 + (half_width - off) / pixel, 0.0, 1.0)


def _noise(lattice, x, y):
    """Smooth noise in [0, 1]: three octaves of interpolated random values that tile the plane."""
    total = 0.0
    for octave, table in enumerate(lattice):
        u, v = np.broadcast_arrays(x * 2.0**octave, y * 2.0**octave)
        i, j = np.floor(u).astype(int), np.floor(v).astype(int)
        s, t = u - i, v - j
        s, t = s * s * (3.0 - 2.0 * s), t * t * (3.0 - 2.0 * t)
        size = len(table)
        i0, i1, j0, j1 = i % size, (i + 1) % size, j % size, (j + 1) % size
        above = table[j0, i0] * (1.0 - s) + table[j0, i1] * s
        below = table[j1, i0] * (1.0 - s) + table[j1, i1] * s
        total = total + (above + t * (below - above)) * (4.0, 2.0, 1.0)[octave] / 7.0
    return total


def _box(canvas, world, rng):
    """Draws a cupboard or a crate by the wall, in a darker shade of the wall's color."""
    across, tall, x, shade = rng.random(4)
    size = np.array([0.45, 0.5 + 0.9 * across, 0.35 + 1.5 * tall * tall])
    y = 3.5 + 5.0 * shade if world.scene.outdoors else world.scene.wall_distance - 0.24
    center = np.array([7.0 * (x - 0.5), y, size[2] / 2.0])
    color = np.array(world.colors["boxes"]) * (0.8 + 0.4 * shade)
    canvas.shadow(center[0], y, size[1] * 0.6)
    canvas.cuboid(center, size, -90.0, color)


def _chair(canvas, world, chair_at):
    (x, y, z), heading = chair_at
    parts = list(_SEAT + (_BACK if world.scene.backrest else ()))
    parts += [((a, b, -0.02 - z / 2.0), (0.035, 0.035, z - 0.04)) for a, b in _LEG_PLACES]
    angle = np.deg2rad(heading)
    ahead, aside = (
        np.array([np.cos(angle), np.sin(angle)]),
        np.array([-np.sin(angle), np.cos(angle)]),
    )
    placed = []
    for (a, b, up), size in parts:
        ground = np.array([x, y]) + a * ahead + b * aside
        placed.append((np.array([*ground, z + up]), np.array(size)))
    canvas.shadow(x, y, 0.36)
    # Legs before the seat, then from the far to the near.
    for center, size in sorted(placed, key=lambda part: (part[0][2] > z / 2.0 + 0.02, -part[0][1])):
        canvas.cuboid(center, size, heading, np.array(world.colors["chair"]))


class _Canvas:
    """An unfinished picture, with the camera and the light that solids are drawn with."""

    def __init__(self, camera, corner, side, light):
        self.camera, self.corner, self.side, self.light = camera, np.array(corner), side, light
        self.image = None

    def pixels(self, points):
        return project(points, self.camera)[0] * self.side - self.corner

    def cuboid(self, center, size, heading, color):
        """Draws a box; `size` is its length along the heading, across it, and upward."""
        angle = np.deg2rad(heading)
        axes = np.array(
            [
                [np.cos(angle), np.sin(angle), 0.0],
                [-np.sin(angle), np.cos(angle), 0.0],
                [0.0, 0.0, 1.0],
            ]
        )
        eye = np.array([0.0, -self.camera.distance, self.camera.height])
        to_light = np.array([self.light[0], -self.light[2], self.light[1]])
        for axis in range(3):
            u, v = axes[(axis + 1) % 3], axes[(axis + 2) % 3]
            du, dv = size[(axis + 1) % 3] / 2.0, size[(axis + 2) % 3] / 2.0
            for sign in (-1.0, 1.0):
                normal = sign * axes[axis]
                middle = center + normal * size[axis] / 2.0
                if normal @ (eye - middle) <= 0.0:
                    continue
                corners = [
                    middle + s * du * u + t * dv * v
                    for s, t in ((-1, -1), (1, -1), (1, 1), (-1, 1))
                ]
                shade = 0.62 + 0.42 * max(0.0, normal @ to_light)
                self._polygon(self.pixels(np.array(corners)), color * shade)

    def _polygon(self, corners, color):
        """Fills a convex polygon; its edges are smoothed over a pixel."""
        height, width = self.image.shape[:2]
        x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int) - 1, 0)
        x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + 2, (width, height))
        if x0 >= x1 or y0 >= y1:
            return
        edge = np.roll(corners, -1, axis=0) - corners
        area = corners[:, 0] @ np.roll(corners, -1, axis=0)[:, 1] - (
            corners[:, 1] @ np.roll(corners, -1, axis=0)[:, 0]
        )
        length = np.maximum(np.hypot(edge[:, 0], edge[:, 1]), 1e-6)
        normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / length[:, None] * np.sign(area)
        x, y = np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5
        outside = np.max(
            [
                n[0] * (x[None] - c[0]) + n[1] * (y[:, None] - c[1])
                for n, c in zip(normal, corners, strict=True)
            ],
            axis=0,
        )
        cover = np.clip(0.5 - outside, 0.0, 1.0)[..., None]
        box = self.image[y0:y1, x0:x1]
        box += (cover * (color - box)).astype(np.float32)

    def shadow(self, x, y, radius):
        """Darkens the floor softly about a point."""
        points, scale = project(np.array([x, y, 0.0]), self.camera)
        across = radius * scale * self.side
        along = across * points[1] / self.camera.zoom + 1e-3
        center = points * self.side - self.corner
        height, width = self.image.shape[:2]
        u = (np.arange(width) + 0.5 - center[0]) / across
        v = (np.arange(height) + 0.5 - center[1]) / along
        dark = np.exp(-v * v)[:, None] * np.exp(-u * u)[None]
        self.image *= (1.0 - 0.4 * dark[..., None]).astype(np.float32)
