"""The place behind the figure: its colors, and the chair under the seat."""

import numpy as np

from kinetics_i3d.figures import render_figure
from kinetics_i3d.figures.performance import seat
from kinetics_i3d.figures.scenery import paint_scenery
from kinetics_i3d.figures.world import draw_world, project


def test_wall_and_floor_have_their_colors():
    for seed in range(8):
        world = draw_world(seed)
        clip = render_figure("clap", seed=seed, frames=1, size=(96, 128))[0]
        for rows, place in ((clip[:6], "wall"), (clip[-6:], "floor")):
            seen = np.median(rows.reshape(-1, 3), axis=0)
            assert np.abs(seen - world.colors[place]).max() < 45.0, f"seed {seed}: {place}"


def test_a_chair_stands_under_the_seat_and_only_there():
    world = draw_world(16)
    place, scale = project(np.array(seat("clap", world)[0]), world.camera)
    empty = paint_scenery(world, None, (-80, -60, 160, 180), 120)
    changed = (
        np.abs(paint_scenery(world, seat("clap", world), (-80, -60, 160, 180), 120) - empty) > 25.0
    )
    rows, columns = np.nonzero(changed.any(axis=2))
    assert abs(columns.mean() - 80 - place[0] * 120) < 0.2 * scale * 120
    assert abs(np.median(rows) - 60 - place[1] * 120) < 0.5 * scale * 120
    assert 40 < len(rows) < scale**2 * 120**2
    column, row = np.floor(place * 120 + (80, 60)).astype(int)
    seen, painted = empty[row, column], world.colors["chair"]
    with_chair = paint_scenery(world, seat("clap", world), (-80, -60, 160, 180), 120)[row, column]
    np.testing.assert_allclose(
        with_chair / with_chair.max(), np.divide(painted, max(painted)), atol=0.05
    )
    assert np.abs(seen - with_chair).max() > 25.0
