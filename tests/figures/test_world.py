"""Worlds follow their seed; the camera moves place and figure alike."""

import numpy as np

from kinetics_i3d.figures import render_figure
from kinetics_i3d.figures.performance import perform
from kinetics_i3d.figures.skeleton import JOINT
from kinetics_i3d.figures.world import CONTRAST, draw_world, offsets, project


def test_worlds_are_drawn_by_seed_alone_and_differ():
    assert draw_world(11) == draw_world(11)
    worlds = [draw_world(seed) for seed in range(60)]
    assert len({w.body.height for w in worlds}) == 60
    for chosen in (
        {w.timing.mirrored for w in worlds},
        {w.camera.crosses for w in worlds},
        {w.scene.chair for w in worlds},
        {w.scene.outdoors for w in worlds},
    ):
        assert chosen == {False, True}
    assert {w.scene.wall_pattern for w in worlds} == {"plain", "stripes", "tiles", "boards"}


def test_colors_of_people_contrast_with_their_place():
    for seed in range(100):
        named = {k: np.array(v) for k, v in draw_world(seed).colors.items()}
        for part in ("skin", "shirt", "trousers"):
            for place in ("wall", "floor"):
                gap = np.linalg.norm(named[part] - named[place])
                assert gap >= 0.75 * CONTRAST, f"seed {seed}: {part} on {place}"


def test_the_place_moves_with_the_camera():
    # Boards on the wall, and somebody who runs past them with the camera following.
    seed = next(
        s
        for s in range(200)
        if (w := draw_world(s)).scene.wall_pattern == "boards" and w.camera.crosses
    )
    world, times, side = draw_world(seed), np.arange(20) / 100.0, 120
    clip = render_figure("run", seed=seed, frames=20, fps=100, size=(side, 160)).astype(float)
    pelvis = project(perform("run", world, times)[:, JOINT["pelvis"]], world.camera)[0][:, 0]
    moved = np.diff(offsets(world.camera, times, pelvis)[:, 0]) * side
    profiles = clip[:, :12].mean(axis=(1, 3))
    still = moving = 0.0
    for before, after, shift in zip(profiles[:-1], profiles[1:], moved, strict=True):
        there = np.arange(160)[12:-12]
        still += np.abs(after - before)[there].mean()
        moving += np.abs(after[there] - np.interp(there - shift, np.arange(160), before)).mean()
    assert moving < 0.4 * still and np.abs(moved).max() > 1.0


def test_the_camera_trembles():
    world = next(
        w
        for s in range(99)
        if (w := draw_world(s)).camera.shake > 0.006 and w.scene.wall_pattern == "boards"
    )
    at = offsets(world.camera, np.arange(0.0, 2.56, 0.04)) * 120
    assert 1.0 < np.abs(at - at.mean(axis=0)).max() < 15.0
    seed = next(s for s in range(99) if draw_world(s) == world)
    clip = render_figure("wave", seed=seed, frames=64, size=(120, 160)).astype(int)
    # Above the head there is nothing but the wall, and no frame of it is like the first.
    assert np.abs(clip[8::8, :8] - clip[0, :8]).max(axis=(1, 2, 3)).min() >= 2
