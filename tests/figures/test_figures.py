"""The figures: bodies keep their bones, the pairs differ in motion alone, clips follow the seed."""

import csv
import hashlib
import subprocess
import sys

import numpy as np
import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.figures import ACTIONS, generate, render_figure, world_seed, write_figures
from kinetics_i3d.figures.actions import TABLE, Action, poses_at
from kinetics_i3d.figures.performance import perform, seat
from kinetics_i3d.figures.scenery import paint_scenery
from kinetics_i3d.figures.skeleton import (
    BONES,
    CHANNELS,
    JOINT,
    SOLE,
    Body,
    joint_positions,
    mirrored,
    pose,
)
from kinetics_i3d.figures.world import CONTRAST, draw_world, offsets, project

SIZE = (48, 64)
TIMES = np.arange(64) / 25.0
REVERSED = (("sit_down", "stand_up"), ("walk", "walk_backwards"))
ENDS = [JOINT[f"{end}_{side}"] for side in "lr" for end in ("heel", "toe")]

# Where joints of a body of 1 m are, (forward, left, up). Again with:
#   joint_positions(poses_at(TABLE[action], [phase]), Body(height=1.0))[0, JOINT[joint]].round(3)
GOLDEN = {
    ("bow", 0.45, "head"): (0.416, 0.0, 0.711),
    ("clap", 0.5, "hand_l"): (0.255, -0.002, 0.743),
    ("jump", 0.59, "pelvis"): (0.016, 0.0, 0.688),
    ("kick", 0.52, "toe_r"): (0.577, -0.167, 0.531),
    ("punch", 0.22, "hand_l"): (0.483, -0.059, 0.786),
    ("run", 0.5, "knee_l"): (0.13, 0.056, 0.3),
    ("sit_down", 1.0, "pelvis"): (-0.243, 0.0, 0.306),
    ("turn", 0.25, "nose"): (-0.028, 0.055, 0.93),
    ("walk", 0.0, "heel_r"): (0.186, -0.059, 0.032),
    ("wave", 0.25, "hand_r"): (-0.03, -0.296, 0.976),
}


METRE = Body(height=1.0)


def joints_of(action, phases, body=METRE):
    return joint_positions(poses_at(TABLE[action], phases), body, planted=TABLE[action].planted)


def test_there_are_twelve_actions_in_alphabetical_order():
    assert len(ACTIONS) == 12 and list(ACTIONS) == sorted(TABLE)


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_keep_their_length(action):
    body = Body(height=1.8, legs=1.03, arms=0.97, shoulders=1.1)
    joints = joints_of(action, np.linspace(0.0, 1.0, 41), body)
    for a, b in BONES:
        length = np.linalg.norm(joints[:, JOINT[a]] - joints[:, JOINT[b]], axis=1)
        assert length.min() > 0.01
        np.testing.assert_allclose(length, length[0], rtol=1e-9, err_msg=f"{action}: {a}-{b}")


@pytest.mark.parametrize("action", ACTIONS)
def test_elbows_and_knees_bend_the_human_way_only(action):
    poses = poses_at(TABLE[action], np.linspace(0.0, 1.0, 101))
    for name, most in (("elbow", 150.0), ("knee", 150.0)):
        for side in "lr":
            bend = poses[:, CHANNELS.index(f"{name}_{side}")]
            assert bend.min() >= 0.0 and bend.max() <= most


@pytest.mark.parametrize("action", ACTIONS)
def test_the_lowest_foot_stands_on_the_floor(action):
    phases = np.linspace(0.0, 1.0, 61)
    lowest = joints_of(action, phases)[:, ENDS, 2].min(axis=1) - SOLE
    lift = poses_at(TABLE[action], phases)[:, CHANNELS.index("lift")]
    np.testing.assert_allclose(lowest, lift, atol=0.006)
    assert (lift.max() > 0.01) == (action in ("jump", "run"))


@pytest.mark.parametrize(("action", "phase", "joint"), GOLDEN)
def test_joints_stand_where_they_stood(action, phase, joint):
    at = joints_of(action, [phase])[0, JOINT[joint]]
    np.testing.assert_allclose(at, GOLDEN[action, phase, joint], atol=0.002)


def test_between_keys_the_curve_is_fritsch_and_butlands():
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


def test_an_arm_and_a_leg_by_hand():
    # Arm level to the front with the forearm straight up; thigh level with the shank hanging.
    taken = pose(arm_r=90, elbow_r=90, thigh_r=90, knee_r=90)
    joints = joint_positions(taken[None], Body(height=1.0))[0]
    at = {name: joints[index] for name, index in JOINT.items()}
    np.testing.assert_allclose(at["elbow_r"] - at["shoulder_r"], [0.172, 0, 0], atol=1e-9)
    np.testing.assert_allclose(at["wrist_r"] - at["elbow_r"], [0, 0, 0.148], atol=1e-9)
    np.testing.assert_allclose(at["knee_r"] - at["hip_r"], [0.245, 0, 0], atol=1e-9)
    np.testing.assert_allclose(at["ankle_r"] - at["knee_r"], [0, 0, -0.245], atol=1e-9)
    assert at["shoulder_l"][1] > 0 > at["shoulder_r"][1]


def test_standing_height_is_the_bodys_height():
    head = joint_positions(pose()[None], Body(height=1.8))[0, JOINT["head"], 2]
    assert head + 0.050 * 1.8 == pytest.approx(1.8, abs=0.03)


def test_mirroring_mirrors_the_joints():
    poses = poses_at(TABLE["kick"], np.linspace(0, 1, 9))
    body = Body()
    there = joint_positions(poses, body)
    back = joint_positions(mirrored(poses), body)
    swapped = [
        JOINT[n[:-2] + {"_l": "_r", "_r": "_l"}[n[-2:]]] if n[-2:] in ("_l", "_r") else i
        for n, i in JOINT.items()
    ]
    np.testing.assert_allclose(back[:, swapped] * [1, -1, 1], there, atol=1e-9)
    np.testing.assert_array_equal(mirrored(mirrored(poses)), poses)


def test_a_pose_names_what_it_does_not_know():
    with pytest.raises(ValueError, match=r"Received: kneee=3"):
        pose(kneee=3)


@pytest.mark.parametrize(("forth", "back"), REVERSED)
def test_a_pair_is_the_same_movement_in_reverse(forth, back):
    phases = np.linspace(0.0, 1.0, 50)
    there = joints_of(forth, phases)
    np.testing.assert_allclose(joints_of(back, 1.0 - phases), there, atol=1e-9)
    assert np.abs(there[0] - there[10]).max() > 0.05


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
def test_whoever_walks_moves_where_he_should(action, seed):
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


def test_people_stand_off_from_their_place():
    for seed in range(100):
        named = {k: np.array(v) for k, v in draw_world(seed).colours.items()}
        for part in ("skin", "shirt", "trousers"):
            for place in ("wall", "floor"):
                gap = np.linalg.norm(named[part] - named[place])
                assert gap >= 0.75 * CONTRAST, f"seed {seed}: {part} on {place}"


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
    worn = np.array(world.colours["shirt"]) / 255.0
    np.testing.assert_allclose(seen / seen.max(), worn / worn.max(), atol=0.06)


def test_wall_and_floor_have_their_colours():
    for seed in range(8):
        world = draw_world(seed)
        clip = render_figure("clap", seed=seed, frames=1, size=(96, 128))[0]
        for rows, place in ((clip[:6], "wall"), (clip[-6:], "floor")):
            seen = np.median(rows.reshape(-1, 3), axis=0)
            assert np.abs(seen - world.colours[place]).max() < 45.0, f"seed {seed}: {place}"


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


def test_the_hand_that_holds_the_camera_trembles():
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
    seen, painted = empty[row, column], world.colours["chair"]
    with_chair = paint_scenery(world, seat("clap", world), (-80, -60, 160, 180), 120)[row, column]
    np.testing.assert_allclose(
        with_chair / with_chair.max(), np.divide(painted, max(painted)), atol=0.05
    )
    assert np.abs(seen - with_chair).max() > 25.0


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


def test_a_long_walk_stays_between_the_camera_and_the_wall():
    for seed in range(10):
        pelvis = perform("run", draw_world(seed), np.arange(0.0, 20.0, 0.1))[:, JOINT["pelvis"]]
        assert pelvis[:, 1].min() > -1.21 and pelvis[:, 1].max() < 1.61


@pytest.mark.parametrize("action", ["walk", "sit_down", "jump"])
def test_long_clips_repeat_or_hold(action):
    world = draw_world(1)
    joints = perform(action, world, np.arange(0, 20, 0.04))
    assert np.isfinite(joints).all()
    late = joints[-200:, JOINT["pelvis"], 2]
    assert np.ptp(late) < 0.01 if action == "sit_down" else np.ptp(late) > 0.01


def test_an_unknown_action_names_the_nearest():
    with pytest.raises(ValueError, match=r"action='sit_dwn'.*Did you mean 'sit_down'"):
        render_figure("sit_dwn", seed=0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "`seed` must be an integer from 0"),
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


def test_worlds_of_the_splits_never_meet():
    train = {world_seed("train", i, seed=s) for i in range(50) for s in range(3)}
    test = {world_seed("test", i, seed=s) for i in range(50) for s in range(3)}
    assert len(train) == len(test) == 150 and not train & test
    with pytest.raises(ValueError, match="split='val'"):
        world_seed("val", 0)


SMALL = {"frames": 3, "size": (32, 32)}


def test_a_dataset_is_a_table_of_videos(tmp_path):
    import av

    table = write_figures(tmp_path, train_per_action=1, test_per_action=1, **SMALL)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["path", "label", "split"]
    assert [row["label"] for row in rows] == [a for a in ACTIONS for _ in range(2)]
    assert [row["split"] for row in rows] == ["train", "test"] * 12
    assert len({row["path"] for row in rows}) == 24
    assert all((table.parent / row["path"]).stat().st_size > 300 for row in rows)
    with av.open(str(tmp_path / rows[-1]["path"])) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    wanted = render_figure("wave", seed=1, **SMALL)
    assert np.shape(frames) == (3, 32, 32, 3)
    assert np.abs(np.mean(frames, axis=(0, 1, 2)) - wanted.mean(axis=(0, 1, 2))).max() < 8.0


def test_a_dataset_is_continued_and_grown(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        generate,
        "write_video",
        lambda path, clip, fps: (
            path.parent.mkdir(exist_ok=True),
            path.write_bytes(b"x"),
            made.append(path),
        ),
    )
    write_figures(tmp_path, train_per_action=1, test_per_action=0, **SMALL)
    assert len(made) == 12
    made[3].unlink()
    table = write_figures(tmp_path, train_per_action=2, test_per_action=0, **SMALL)
    assert made[12:].count(made[3]) == 1 and len(made) == 12 + 1 + 12
    assert len(table.read_text().splitlines()) == 25
    with pytest.raises(DatasetError, match="made with"):
        write_figures(tmp_path, train_per_action=2, test_per_action=0, seed=1, **SMALL)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train_per_action": -1}, "train_per_action=-1"),
        ({"test_per_action": 1.0}, "test_per_action=1.0"),
        ({"seed": "a"}, "seed='a'"),
        ({"frames": 0}, "frames=0"),
        ({"fps": -1}, "fps=-1"),
        ({"size": (33, 32)}, "both even"),
        ({"workers": 0}, "workers=0"),
    ],
)
def test_a_wrong_dataset_is_refused_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        write_figures(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
