"""Poses and joints: bones keep their length, joints bend the human way, feet stand on the floor."""

import numpy as np
import pytest

from kinetics_i3d.figures import ACTIONS
from kinetics_i3d.figures.actions import TABLE, poses_at
from kinetics_i3d.figures.skeleton import (
    CHANNELS,
    JOINT,
    SOLE,
    Body,
    joint_positions,
    mirrored,
    pose,
)

ENDS = [JOINT[f"{end}_{side}"] for side in "lr" for end in ("heel", "toe")]

# Pairs of joints whose distance no pose can change.
MIDDLE_BONES = ("pelvis spine", "spine chest", "chest neck", "neck head", "head nose")
SIDE_BONES = (
    *("chest shoulder_{0}", "shoulder_{0} elbow_{0}", "elbow_{0} wrist_{0}", "wrist_{0} hand_{0}"),
    *("pelvis hip_{0}", "hip_{0} knee_{0}", "knee_{0} ankle_{0}"),
    *("ankle_{0} heel_{0}", "ankle_{0} toe_{0}"),
)
BONES = [bone.format(side).split() for side in "lr" for bone in (*MIDDLE_BONES, *SIDE_BONES)]

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
def test_joint_positions_match_the_golden_values(action, phase, joint):
    at = joints_of(action, [phase])[0, JOINT[joint]]
    np.testing.assert_allclose(at, GOLDEN[action, phase, joint], atol=0.002)


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


def test_unknown_channels_of_a_pose_are_named():
    with pytest.raises(ValueError, match=r"Received: kneee=3"):
        pose(kneee=3)
