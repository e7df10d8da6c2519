"""The world of a seed: the person, the clothes, the scene, the camera and the timing.

A world does not know the action, the number of frames, their rate or their size. All actions of one
seed therefore happen in the same scene, and differ only in the figure's movement.

The pinhole camera shifts its picture instead of turning. That keeps walls upright and moves the
scene and the figure alike, so the tremor of the hand, a slow pan and the following of a walker cost
one offset per frame, and no foot slides on the floor. Lengths in the picture are in units of its
shorter side, which makes them independent of its size.
"""

import dataclasses

import numpy as np

from kinetics_i3d.figures.skeleton import Body

_SKIN = ((244, 208, 177), (226, 172, 132), (196, 138, 98), (150, 98, 66), (104, 67, 47))
_HAIR = ((32, 26, 24), (70, 44, 28), (120, 80, 44), (196, 160, 96), (150, 150, 152))
CONTRAST = 90.0  # minimum distance of a garment's color from the wall's and the floor's, of 441


@dataclasses.dataclass(frozen=True)
class Timing:
    """When and how the action is done.

    Args:
        speed: Tempo relative to the normal one.
        amplitude: How far the joints move, relative to the poses of the table.
        start: Where in its spare time a single act starts, in [0, 1]; the first phase of a cycle.
        enters: Whether a gesture starts from standing.
        mirrored: Whether left and right are exchanged.
        sway: Phases of the small movements of a standing body, radians.
    """

    speed: float
    amplitude: float
    start: float
    enters: bool
    mirrored: bool
    sway: tuple


@dataclasses.dataclass(frozen=True)
class Camera:
    """Where the picture is taken from.

    Args:
        view: Where the figure faces, in [-1, 1]: 0 toward the camera, +-1 as far away from it as
            the action allows, mostly just past the profile.
        crosses: Whether someone who walks crosses the picture rather than walking in place.
        distance: From the camera to the figure, meters.
        height: Of the camera above the floor, meters.
        zoom: Focal length in units of the picture's shorter side.
        aim: Where the figure stands in the picture, (right, up) in shorter sides from the center.
        shake: Amplitude of the hand's tremor, in shorter sides.
        pan: Amplitude of a slow pan, in shorter sides.
        phases: Phases of tremor and pan, radians.
    """

    view: float
    crosses: bool
    distance: float
    height: float
    zoom: float
    aim: tuple
    shake: float
    pan: float
    phases: tuple


@dataclasses.dataclass(frozen=True)
class Scene:
    """The scene around the figure; all textures are drawn from `texture_seed`.

    Args:
        outdoors: Whether there is a far horizon instead of a wall.
        wall_distance: From the figure to the wall, meters.
        wall_pattern: "plain", "stripes", "tiles" or "boards".
        floor_pattern: "plain", "tiles" or "boards".
        chair: Whether a chair stands behind the figure even if the action does not need one.
        backrest: Whether the chair has a backrest.
        boxes: Number of cupboards and crates along the wall.
        light: Unit vector toward the light: right, up, toward the camera.
        texture_seed: Seed of the noise.
    """

    outdoors: bool
    wall_distance: float
    wall_pattern: str
    floor_pattern: str
    chair: bool
    backrest: bool
    boxes: int
    light: tuple
    texture_seed: int


@dataclasses.dataclass(frozen=True)
class World:
    """Everything that a seed determines; `colors` maps names to (red, green, blue), 0 to 255."""

    body: Body
    colors: dict
    timing: Timing
    camera: Camera
    scene: Scene


def draw_world(seed):
    """The `World` of a seed, an integer from 0; the same in every process."""
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"`seed` must be an integer of at least 0. Received: seed={seed!r}")

    # Separate random streams, so that a new draw in one part does not change the others.
    def stream(part):
        return np.random.default_rng(np.random.SeedSequence([int(seed), part]))

    return World(
        body=_draw_body(stream(0)),
        colors=_draw_colors(stream(1)),
        timing=_draw_timing(stream(2)),
        camera=_draw_camera(stream(3)),
        scene=_draw_scene(stream(4)),
    )


def _between(rng, low, high):
    return float(low + (high - low) * rng.random())


def _pick(rng, options):
    return options[int(rng.random() * len(options))]


def _draw_body(rng):
    return Body(
        height=_between(rng, 1.52, 1.94),
        legs=_between(rng, 0.96, 1.04),
        arms=_between(rng, 0.96, 1.05),
        shoulders=_between(rng, 0.9, 1.1),
        girth=_between(rng, 0.88, 1.22),
    )


def _draw_timing(rng):
    return Timing(
        speed=_between(rng, 0.86, 1.2),
        amplitude=_between(rng, 0.88, 1.1),
        start=_between(rng, 0.0, 1.0),
        enters=bool(rng.random() < 0.5),
        mirrored=bool(rng.random() < 0.5),
        sway=tuple((rng.random(4) * 2.0 * np.pi).tolist()),
    )


def _draw_camera(rng):
    distance = _between(rng, 4.2, 7.5)
    return Camera(
        view=_between(rng, -1.0, 1.0),
        crosses=bool(rng.random() < 0.6),
        distance=distance,
        height=_between(rng, 0.9, 2.1),
        # The figure of 1.75 m fills 54 to 69 hundredths of the shorter side.
        zoom=distance * _between(rng, 0.54, 0.69) / 1.75,
        aim=(_between(rng, -0.12, 0.12), _between(rng, -0.03, 0.01)),
        shake=_between(rng, 0.0, 0.008),
        pan=_between(rng, 0.0, 0.07),
        phases=tuple((rng.random(8) * 2.0 * np.pi).tolist()),
    )


def _draw_scene(rng):
    outdoors = bool(rng.random() < 0.3)
    light = np.array([_between(rng, -0.8, 0.8), _between(rng, 0.4, 0.9), _between(rng, 0.4, 0.9)])
    return Scene(
        outdoors=outdoors,
        wall_distance=60.0 if outdoors else _between(rng, 1.9, 4.5),
        wall_pattern="plain" if outdoors else _pick(rng, ("plain", "stripes", "tiles", "boards")),
        floor_pattern=_pick(rng, ("plain", "plain", "tiles", "boards")),
        chair=bool(rng.random() < 0.5),
        backrest=bool(rng.random() < 0.6),
        boxes=int(rng.random() * 4),
        light=tuple((light / np.linalg.norm(light)).tolist()),
        texture_seed=int(rng.random() * 2**31),
    )


def _draw_colors(rng):
    """Skin first, a scene that contrasts with it, then clothes that contrast with the scene."""
    skin = np.array(_pick(rng, _SKIN), dtype=float)
    wall = _distinct(rng, [skin], low=40, high=230, vivid=0.35)
    floor = _distinct(rng, [skin], low=50, high=200, vivid=0.3)
    shirt = _distinct(rng, [wall, floor, skin], low=15, high=250, vivid=1.0)
    trousers = _distinct(rng, [wall, floor, skin, shirt], low=10, high=240, vivid=0.8)
    bare_arms, bare_legs = rng.random() < 0.6, rng.random() < 0.3
    named = {
        "skin": skin,
        "wall": wall,
        "floor": floor,
        "shirt": shirt,
        "trousers": trousers,
        "hair": np.array(_pick(rng, _HAIR), dtype=float),
        "shoes": _distinct(rng, [floor], low=10, high=245, vivid=0.6),
        "chair": _distinct(rng, [wall, floor, trousers, skin], low=20, high=230, vivid=0.6),
        "boxes": wall * _between(rng, 0.55, 0.8),
        "eyes": np.array([28.0, 24.0, 22.0]),
        "forearm": skin if bare_arms else shirt,
        "shank": skin if bare_legs else trousers,
    }
    return {name: tuple(float(value) for value in color) for name, color in named.items()}


def _distinct(rng, others, *, low, high, vivid):
    """The first of 64 colors at least `CONTRAST` from all the others, or else the farthest."""
    gray = low + (high - low) * rng.random((64, 1))
    colors = gray + vivid * 130.0 * (rng.random((64, 3)) - 0.5)
    colors = np.clip(colors, low, high)
    distance = np.linalg.norm(colors[:, None] - np.stack(others), axis=2).min(axis=1)
    enough = np.flatnonzero(distance > CONTRAST)
    return colors[enough[0] if len(enough) else distance.argmax()]


_MIDDLE = 0.98  # meters above the floor at which the camera aims
_FOLLOW = 0.25  # how far a walker gets from the middle before the camera follows, approximately


def project(points, camera):
    """Projects points (..., 3) of the room, meters: x right, y away, z up.

    Returns (projected, scale): `projected` (..., 2), right and down from the optical axis in
    shorter sides, and `scale` (...), shorter sides per meter at that depth.
    """
    points = np.asarray(points, dtype=float)
    scale = camera.zoom / (points[..., 1] + camera.distance)
    down = (camera.height - points[..., 2]) * scale
    return np.stack([points[..., 0] * scale, down], axis=-1), scale


def offsets(camera, times, walked=0.0):
    """Where the optical axis meets the picture at times in seconds: (times, 2), right and down.

    In shorter sides from the center of the picture. `walked` is how far right of the optical axis a
    walker is seen, (times,), or 0 for someone who stays.
    """
    times = np.asarray(times, dtype=float)
    scale = camera.zoom / camera.distance
    away = np.broadcast_to(np.asarray(walked, dtype=float), times.shape)
    follow = away - _FOLLOW * np.tanh(away / _FOLLOW)
    right = camera.aim[0] + camera.pan * np.sin(0.7 * times + camera.phases[0]) - follow
    down = -camera.aim[1] - (camera.height - _MIDDLE) * scale
    # Two incommensurate swings per direction look like a hand, not like a pendulum.
    right = right + camera.shake * (
        np.sin(6.1 * times + camera.phases[1]) + 0.6 * np.sin(13.7 * times + camera.phases[2])
    )
    down = down + camera.shake * (
        np.sin(5.3 * times + camera.phases[3]) + 0.6 * np.sin(15.1 * times + camera.phases[4])
    )
    return np.stack([right, down], axis=-1)
