"""Performances: where figures sit, walk and stand in the room."""

import numpy as np
import pytest

from kinetics_i3d.figures import ACTIONS
from kinetics_i3d.figures.actions import TABLE
from kinetics_i3d.figures.performance import perform, seat
from kinetics_i3d.figures.skeleton import (
    JOINT,
    SOLE,
)
from kinetics_i3d.figures.world import draw_world, offsets, project

TIMES = np.arange(64) / 25.0

ENDS = [JOINT[f"{end}_{side}"] for side in "lr" for end in ("heel", "toe")]


def test_sitting_down_ends_on_the_seat_and_standing_up_begins_there():
    world = draw_world(5)
    (x, y, z), _ = seat("sit_down", world)
    hip = 0.058 * world.body.girth * world.body.height
    for action, frame in (("sit_down", -1), ("stand_up", 0)):
        pelvis = perform(action, world, TIMES)[frame, JOINT["pelvis"]]
        np.testing.assert_allclose(pelvis, [x, y, z + hip], atol=0.01)
    assert 0.3 < z < 0.6


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("action", ["walk", "walk_backwards", "run"])
def test_walkers_move_in_their_direction(action, seed):
    world = draw_world(seed)
    joints = perform(action, world, TIMES)
    moved = joints[-1, JOINT["pelvis"], :2] - joints[0, JOINT["pelvis"], :2]
    ahead = joints[:, JOINT["nose"], :2] - joints[:, JOINT["head"], :2]
    ahead = ahead.mean(axis=0) / np.linalg.norm(ahead.mean(axis=0))
    if not world.camera.crosses:
        assert np.linalg.norm(moved) < 0.1
    elif action == "walk_backwards":
        assert moved @ ahead < -2.0
    else:
        assert moved @ ahead > (4.5 if action == "run" else 2.0)


def test_feet_on_the_floor_do_not_slide():
    seed = next(seed for seed in range(9) if draw_world(seed).camera.crosses)
    times = np.arange(0, 2.5, 0.01)
    ends = perform("walk", draw_world(seed), times)[:, ENDS]
    still = (ends[1:, :, 2] < SOLE * 1.75 + 0.004) & (ends[:-1, :, 2] < SOLE * 1.75 + 0.004)
    speed = np.linalg.norm(np.diff(ends[..., :2], axis=0), axis=-1) / 0.01
    assert still.sum() > 100 and np.median(speed[still]) < 0.12


@pytest.mark.parametrize("action", ACTIONS)
def test_the_figure_is_inside_the_frame(action):
    inside = []
    for seed in range(30):
        world = draw_world(seed)
        joints = perform(action, world, TIMES)
        place = project(joints, world.camera)[0]
        walked = place[:, JOINT["pelvis"], 0] if TABLE[action].planted is None else 0.0
        place = place + offsets(world.camera, TIMES, walked)[:, None]
        inside.append((np.abs(place) <= [0.667, 0.5]).all(axis=-1).mean())
    assert min(inside) > 0.9 and np.mean(inside) > 0.98


def test_a_long_walk_stays_between_the_camera_and_the_wall():
    for seed in range(10):
        pelvis = perform("run", draw_world(seed), np.arange(0.0, 20.0, 0.1))[:, JOINT["pelvis"]]
        assert pelvis[:, 1].min() > -1.21 and pelvis[:, 1].max() < 1.61
