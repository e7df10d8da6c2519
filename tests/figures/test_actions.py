"""The table of actions, the curve between its keys, and the pairs that differ in motion alone."""

import numpy as np
import pytest

from kinetics_i3d.figures import ACTIONS, render_figure
from kinetics_i3d.figures.actions import TABLE, Action, poses_at
from kinetics_i3d.figures.skeleton import (
    CHANNELS,
    Body,
    joint_positions,
    pose,
)

REVERSED = (("sit_down", "stand_up"), ("walk", "walk_backwards"))

METRE = Body(height=1.0)


def joints_of(action, phases, body=METRE):
    return joint_positions(poses_at(TABLE[action], phases), body, planted=TABLE[action].planted)


def test_there_are_twelve_actions_in_alphabetical_order():
    assert len(ACTIONS) == 12 and list(ACTIONS) == sorted(TABLE)


def test_interpolation_is_that_of_fritsch_and_butland():
    # Plain numbers, one channel, uneven keys: slope 3(g+h) / ((2h+g)/d + (h+2g)/e) at the middle.
    at, level = (0.0, 0.2, 1.0), (0.0, 30.0, 40.0)
    action = Action(tuple((t, pose(lean=v)) for t, v in zip(at, level, strict=True)), seconds=1.0)
    g, h = at[1] - at[0], at[2] - at[1]
    d, e = (level[1] - level[0]) / g, (level[2] - level[1]) / h
    slope = 3.0 * (g + h) / ((2.0 * h + g) / d + (h + 2.0 * g) / e)
    u = 0.25
    wanted = (
        (1 + 2 * u) * (1 - u) ** 2 * level[1]
        + u * (1 - u) ** 2 * h * slope
        + u * u * (3 - 2 * u) * level[2]
    )  # flat at the end
    lean = poses_at(action, [-1.0, 0.2, at[1] + u * h, 2.0])[:, CHANNELS.index("lean")]
    np.testing.assert_allclose(lean, [0.0, 30.0, wanted, 40.0], atol=1e-9)


@pytest.mark.parametrize(("forth", "back"), REVERSED)
def test_a_pair_is_the_same_movement_in_reverse(forth, back):
    phases = np.linspace(0.0, 1.0, 50)
    there = joints_of(forth, phases)
    np.testing.assert_allclose(joints_of(back, 1.0 - phases), there, atol=1e-9)
    assert np.abs(there[0] - there[10]).max() > 0.05


def test_an_unknown_action_names_the_nearest():
    with pytest.raises(ValueError, match=r"action='sit_dwn'.*Did you mean 'sit_down'"):
        render_figure("sit_dwn", seed=0)
