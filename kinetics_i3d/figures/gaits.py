"""Movements made of steps: walking, running and turning on the spot.

The eight poses of a gait's cycle follow R. Williams, "The Animator's Survival Kit"; their angles
follow gait analysis (D. Winter, see `skeleton`).
"""

import numpy as np

from kinetics_i3d.figures.keyframes import Action
from kinetics_i3d.figures.skeleton import SIDES, STAND, pose


def gait(leg, arm, elbow, **trunk):
    """Keys of a cycle in eight poses: the left side does what the right did half a cycle before.

    Args:
        leg: Eight rows of (thigh, knee, foot), from the heel's contact to the end of the swing.
        arm: Eight angles of the arm on the same side, which swings against the leg.
        elbow: Eight bends of that elbow.
        **trunk: Eight values for any channel of the trunk, or one that holds throughout.

    Returns:
        The keys of a cyclic `Action`.
    """
    keys = []
    for step in range(8):
        angles = {name: np.broadcast_to(row, 8)[step] for name, row in trunk.items()}
        for side, shift in zip(SIDES, (4, 0), strict=True):
            at = (step + shift) % 8
            angles |= dict(
                zip((f"thigh_{side}", f"knee_{side}", f"foot_{side}"), leg[at], strict=True)
            )
            angles |= {f"arm_{side}": arm[at], f"elbow_{side}": elbow[at]}
        keys.append((step / 8.0, pose(STAND, spread=1, **angles)))
    return tuple(keys)


def turning(steps=6):
    """Keys of one turn on the spot: `steps` small steps, the left and the right foot in turn.

    Args:
        steps: How many steps the whole turn takes.

    Returns:
        The keys of a single act.
    """
    keys = []
    for half in range(2 * steps + 1):
        raised = {}
        if half % 2:
            side = SIDES[half // 2 % 2]
            raised = {f"thigh_{side}": 30, f"knee_{side}": 56, f"foot_{side}": -20}
        ahead = 14.0 if 0 < half < 2 * steps else 0.0  # the head looks where the turn goes
        turned = pose(STAND, yaw=180.0 * half / steps, look=ahead, twist=ahead, out=16, **raised)
        keys.append((half / (2.0 * steps), turned))
    return tuple(keys)


WALK = Action(
    keys=gait(
        leg=(
            (26, 4, 18),  # the heel touches the floor
            (21, 17, 1),  # the weight comes on
            (5, 8, 0),  # the other leg passes
            (-9, 5, -3),
            (-19, 14, -20),  # the other heel touches
            (-9, 44, -46),  # the toes leave the floor
            (17, 60, -28),  # this leg passes
            (30, 26, 6),
        ),
        arm=(-24, -18, -3, 14, 24, 18, 3, -14),
        elbow=(10, 10, 14, 24, 32, 28, 18, 12),
        twist=(-7, -5, 0, 5, 7, 5, 0, -5),
        lean=3,
    ),
    seconds=1.06,
    cyclic=True,
    planted=None,
)

RUN = Action(
    keys=gait(
        leg=(
            (32, 22, 6),  # the foot touches down
            (12, 40, 0),  # it carries
            (-14, 24, -18),
            (-30, 18, -52),  # it pushes off
            (-14, 82, -80),  # in the air
            (24, 112, -62),
            (54, 92, -22),  # the knee is up
            (50, 46, 2),  # it reaches forward
        ),
        arm=(-48, -36, -6, 30, 46, 34, 4, -30),
        elbow=(96, 92, 86, 92, 104, 102, 94, 94),
        twist=(-12, -8, 0, 8, 12, 8, 0, -8),
        lift=(0.018, 0, 0, 0.018, 0.018, 0, 0, 0.018),
        lean=12,
    ),
    seconds=0.68,
    cyclic=True,
    planted=None,
)
