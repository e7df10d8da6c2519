"""Clips: every action moves, and the same seed gives the same bytes."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from kinetics_i3d.figures import ACTIONS, render_figure
from kinetics_i3d.figures.performance import perform
from kinetics_i3d.figures.skeleton import JOINT
from kinetics_i3d.figures.world import draw_world, offsets, project

SIZE = (48, 64)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_renders_and_moves(action):
    clip = render_figure(action, seed=2, frames=8, fps=3.125, size=SIZE)
    assert clip.shape == (8, *SIZE, 3) and clip.dtype == np.uint8
    assert clip.std() > 10.0
    # Somebody moves in front of the place: some pixels change much, most hardly at all.
    change = np.abs(clip.astype(int) - clip[:1]).max(axis=(0, 3))
    assert 0.004 < (change > 60).mean() < 0.5


def test_pixels_show_the_figures_clothes():
    world = draw_world(8)
    clip = render_figure("wave", seed=8, frames=1, size=(120, 160))
    joints = perform("wave", world, np.zeros(1))
    place = project(joints, world.camera)[0] + offsets(world.camera, np.zeros(1))[:, None]
    chest = (place[0, JOINT["spine"]] * 120 + (80, 60)).astype(int)
    seen = clip[0, chest[1], chest[0]] / 255.0
    worn = np.array(world.colors["shirt"]) / 255.0
    np.testing.assert_allclose(seen / seen.max(), worn / worn.max(), atol=0.06)


def test_a_seed_gives_the_same_bytes_in_every_process():
    clip = render_figure("punch", seed=21, frames=3, size=SIZE)
    np.testing.assert_array_equal(clip, render_figure("punch", seed=21, frames=3, size=SIZE))
    assert (clip != render_figure("punch", seed=22, frames=3, size=SIZE)).mean() > 0.5
    code = (
        "import hashlib; from kinetics_i3d.figures import render_figure as r;"
        f"print(hashlib.sha256(r('punch', seed=21, frames=3, size={SIZE}).tobytes()).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hashlib.sha256(clip.tobytes()).hexdigest()


@pytest.mark.parametrize("action", ["run", "sit_down"])
def test_another_rate_films_the_same_performance(action):
    fast = render_figure(action, seed=0, frames=32, fps=25.0, size=SIZE)
    slow = render_figure(action, seed=0, frames=16, fps=12.5, size=SIZE)
    short = render_figure(action, seed=0, frames=5, fps=25.0, size=SIZE)
    assert np.abs(fast[::2].astype(int) - slow).max() <= 1
    assert np.abs(fast[:5].astype(int) - short).max() <= 1


@pytest.mark.parametrize("action", ["walk", "sit_down", "jump"])
def test_long_clips_repeat_or_hold(action):
    world = draw_world(1)
    joints = perform(action, world, np.arange(0, 20, 0.04))
    assert np.isfinite(joints).all()
    late = joints[-200:, JOINT["pelvis"], 2]
    assert np.ptp(late) < 0.01 if action == "sit_down" else np.ptp(late) > 0.01


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "`seed` must be an integer of at least 0"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"frames": 0}, "frames=0"),
        ({"frames": True}, "frames=True"),
        ({"fps": 0}, "fps=0"),
        ({"fps": float("nan")}, "fps=nan"),
        ({"size": 64}, "size=64"),
        ({"size": (8, 64)}, r"size=\(8, 64\)"),
    ],
)
def test_wrong_arguments_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        render_figure("walk", **{"seed": 0, "frames": 1} | wrong)
