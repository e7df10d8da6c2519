"""From the room to the picture: a pinhole camera that shifts its picture instead of turning.

A shift keeps walls upright and moves the place and the figure alike, so the tremor of the hand,
a slow pan and the following of a walker cost one offset per frame and no foot slides on the floor.
Lengths in the picture are in shorter sides, which makes them independent of its size.
"""

import numpy as np

MIDDLE = 0.98  # metres above the floor that are aimed at
_FOLLOW = 0.25  # a walker is let go about this far off the middle before the camera follows


def project(points, camera):
    """Projects points of the room.

    Args:
        points: Shape (..., 3), metres: x right, y away, z up.
        camera: The `world.Camera`.

    Returns:
        (place, scale): `place` of shape (..., 2), right and down from the optical axis in shorter
        sides, and `scale` of shape (...), shorter sides per metre at that depth.

    Example:

    >>> from kinetics_i3d.figures.world import draw_world
    >>> place, scale = project(np.array([0.0, 0.0, 0.0]), draw_world(0).camera)
    >>> place.shape, bool(scale > 0)
    ((2,), True)
    """
    points = np.asarray(points, dtype=float)
    scale = camera.zoom / (points[..., 1] + camera.distance)
    down = (camera.height - points[..., 2]) * scale
    return np.stack([points[..., 0] * scale, down], axis=-1), scale


def offsets(camera, times, walked=0.0):
    """Where the optical axis meets the picture, frame by frame.

    Args:
        camera: The `world.Camera`.
        times: Seconds, shape (times,).
        walked: How far right of the optical axis a walker is seen, in shorter sides, shape
            (times,), or 0 for somebody who stays.

    Returns:
        Shape (times, 2): right and down from the picture's centre, in shorter sides.
    """
    times = np.asarray(times, dtype=float)
    scale = camera.zoom / camera.distance
    away = np.broadcast_to(np.asarray(walked, dtype=float), times.shape)
    follow = away - _FOLLOW * np.tanh(away / _FOLLOW)
    right = camera.aim[0] + camera.pan * np.sin(0.7 * times + camera.phases[0]) - follow
    down = -camera.aim[1] - (camera.height - MIDDLE) * scale
    # Two incommensurate swings a direction look like a hand, not like a pendulum.
    right = right + camera.shake * (
        np.sin(6.1 * times + camera.phases[1]) + 0.6 * np.sin(13.7 * times + camera.phases[2])
    )
    down = down + camera.shake * (
        np.sin(5.3 * times + camera.phases[3]) + 0.6 * np.sin(15.1 * times + camera.phases[4])
    )
    return np.stack([right, down], axis=-1)
