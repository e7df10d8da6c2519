"""One figure performs one action in one world: maps times to joint positions in the room.

The axes of the room are x to the right, y away from the camera and z up, in meters; the figure
stands above the origin. Everything is a function of time alone, so frames may have any rate.
"""

import numpy as np

from kinetics_i3d.figures.actions import TABLE, find_action, poses_at
from kinetics_i3d.figures.skeleton import (
    CHANNELS,
    JOINT,
    SOLE,
    STAND,
    joint_positions,
    mirrored,
)

_ORDINARY_SECONDS = 2.56  # 64 frames at 25 per second; a single act is over by then
_ENTRY_SECONDS = 0.4
_NEAREST, _FARTHEST = -1.2, 1.6  # how far someone on foot leaves the origin in depth, meters


def perform(name, world, times):
    """Joints (times, joints, 3) in the room, meters, as `skeleton.JOINTS`, at times in seconds."""
    action = find_action(name)
    times = np.asarray(times, dtype=float)
    phase, weight = _phase_at(action, world.timing, times)
    poses = _styled(poses_at(action, phase), world.timing, weight)
    poses = poses + _sway(times, world.timing)
    joints = joint_positions(_handed(poses, world), world.body, planted=_planted(action, world))
    if action.planted is None and world.camera.crosses:
        joints[..., 0] += _travel(action, world, phase)[:, None]
        # Halfway through an ordinary clip the figure is in the middle of the picture.
        middle, _ = _phase_at(action, world.timing, np.array([_ORDINARY_SECONDS / 2.0]))
        joints[..., 0] -= _travel(action, world, middle)
        return _within_depth(_in_room(joints, heading(name, world)))
    return _in_room(joints, heading(name, world))


def heading(name, world):
    """Where the figure faces, in degrees: -90 is toward the camera, 0 to the right."""
    view = world.camera.view
    action = find_action(name)
    if action.planted is None and world.camera.crosses:
        # A figure that crosses the picture is shown from the side; otherwise it would soon leave
        # it.
        return -90.0 + np.copysign(62.0 + 40.0 * abs(view), view)
    return -90.0 + action.view * view


def seat(name, world):
    """((x, y, z), heading) of the seat of a figure that faces as in this action."""
    seated = _styled(poses_at(TABLE["sit_down"], np.array([1.0])), world.timing, np.ones(1))
    joints = joint_positions(_handed(seated, world), world.body)
    direction = heading(name, world)
    x, y, z = _in_room(joints, direction)[0, JOINT["pelvis"]]
    return (x, y, z - 0.058 * world.body.girth * world.body.height), direction


def _phase_at(action, timing, times):
    """Phase of the action, and its weight (0: still standing, 1: fully in action)."""
    seconds = action.seconds / timing.speed
    if action.cyclic:
        begin = 0.15 + 0.5 * timing.start if action.entry and timing.enters else -1e3
        weight = np.clip((times - begin) / _ENTRY_SECONDS, 0.0, 1.0)
        return times / seconds + timing.start, weight * weight * (3.0 - 2.0 * weight)
    begin = 0.08 + timing.start * (_ORDINARY_SECONDS - 0.16 - seconds)
    phase = (times - begin) / seconds
    if action.rest is not None:
        phase = np.where(phase > 0.0, phase % (1.0 + action.rest / seconds), phase)
    return np.clip(phase, 0.0, 1.0), np.ones_like(times)


def _styled(poses, timing, weight):
    """Amplifies or reduces the movement about the standing pose; a turn stays a whole turn."""
    scale = np.full(len(CHANNELS), timing.amplitude)
    scale[CHANNELS.index("yaw")] = 1.0
    # Legs that fold are left alone: their angles only fit each other as they are.
    scale[[i for i, channel in enumerate(CHANNELS) if channel[:5] in ("thigh", "knee_")]] = (
        0.5 + 0.5 * timing.amplitude
    )
    return STAND + (poses - STAND) * scale * weight[:, None]


def _sway(times, timing):
    """The sway of a standing body: a degree or two, slowly, at frequencies that do not repeat."""
    swing = {"lean": (0.9, 0.31), "side": (1.2, 0.23), "look": (6.0, 0.17), "twist": (1.5, 0.27)}
    poses = np.zeros((len(times), len(CHANNELS)))
    for (channel, (degrees, hertz)), phase in zip(swing.items(), timing.sway, strict=True):
        wave = np.sin(2.0 * np.pi * hertz * times + phase)
        poses[:, CHANNELS.index(channel)] = degrees * wave
    return poses


def _handed(poses, world):
    return mirrored(poses) if world.timing.mirrored else poses


def _planted(action, world):
    if action.planted is None:
        return None
    return action.planted[::-1] if world.timing.mirrored else action.planted


def _travel(action, world, phase, samples=97):
    """Meters (times,) that a gait has moved the body; the foot on the floor does not slide."""
    cycle = np.linspace(0.0, 1.0, samples)
    poses = _styled(poses_at(action, cycle), world.timing, np.ones(samples))
    joints = joint_positions(_handed(poses, world), world.body, planted=None)
    ends = joints[:, [JOINT[f"{end}_{side}"] for side in "lr" for end in ("heel", "toe")]]
    height = ends[..., 2] - SOLE * world.body.height
    bearing = np.exp(-np.maximum(height, 0.0) / 0.006) + 1e-9
    bearing = 0.5 * (bearing[:-1] + bearing[1:])
    step = -(np.diff(ends[..., 0], axis=0) * bearing).sum(axis=1) / bearing.sum(axis=1)
    # In the air no foot bears weight; there the body keeps its mean speed.
    grounded = height.min(axis=1)[:-1] < 0.01
    step = np.where(grounded, step, step[grounded].mean())
    distance = np.concatenate([[0.0], np.cumsum(step)])
    return np.floor(phase) * distance[-1] + np.interp(phase % 1.0, cycle, distance)


def _in_room(joints, direction):
    """Turns the figure's own axes (forward, left, up) into the room's."""
    angle = np.deg2rad(direction)
    x = joints[..., 0] * np.cos(angle) - joints[..., 1] * np.sin(angle)
    y = joints[..., 0] * np.sin(angle) + joints[..., 1] * np.cos(angle)
    return np.stack([x, y, joints[..., 2]], axis=-1)


def _within_depth(joints):
    """Limits the depth, so that a long slanting walk does not end in the camera or the wall."""
    pelvis = joints[:, JOINT["pelvis"], 1]
    limit = np.where(pelvis < 0.0, -_NEAREST, _FARTHEST)
    joints[..., 1] += (limit * np.tanh(pelvis / limit) - pelvis)[:, None]
    return joints
