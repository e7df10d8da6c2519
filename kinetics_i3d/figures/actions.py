"""The actions as tables: each is a row of key poses, written as an animator writes them.

A new action is a new row of `TABLE`: contact, passing, push-off and so on, with the phase at which
each pose is reached. Angles are read off a picture, see `skeleton.CHANNELS`.
"""

import difflib

from kinetics_i3d.figures.gaits import RUN, WALK, turning
from kinetics_i3d.figures.keyframes import Action, backwards
from kinetics_i3d.figures.skeleton import STAND, pose

SEATED = pose(STAND, lean=3, thigh=86, spread=6, knee=86, arm=28, out=10, roll=24, elbow=48)
FALLING_BACK = pose(STAND, lean=38, thigh=66, spread=6, knee=88, arm=48, out=12, elbow=28, nod=-14)
CROUCH = pose(STAND, lean=38, thigh=48, knee=82, arm=-48, out=10, elbow=12, nod=-20)
STANCE = pose(STAND, spread=7, nod=2, thigh_r=-12, knee_r=18, roll=12)  # a boxer's, right leg back
CLAP = pose(STAND, arm=46, elbow=82, nod=3)
WAVE = pose(STAND, out_r=82, arm_r=30, roll_r=-74, side=4, look=-6)

_SIT = Action(
    keys=(
        (0.0, STAND),
        (0.35, pose(STAND, lean=26, thigh=26, knee=42, arm=22, elbow=24, nod=8)),
        (0.62, FALLING_BACK),
        (0.82, pose(SEATED, lean=26, arm=40, elbow=40)),
        (1.0, SEATED),
    ),
    seconds=1.35,
)

# Of the kicking leg: thigh, knee, foot; the other leg only gives a little.
_KICK = tuple(
    (
        phase,
        pose(
            pose(STAND, lean=lean, twist=twist, nod=-lean, arm_r=arm_r, arm_l=arm_l, out=out),
            thigh_r=thigh,
            knee_r=knee,
            foot_r=foot,
            thigh_l=4,
            knee_l=10,
        ),
    )
    for phase, thigh, knee, foot, lean, twist, arm_r, arm_l, out in (
        (0.26, -26, 66, -60, 12, -10, 26, -22, 26),  # the leg is drawn back
        (0.40, 48, 84, -30, 0, 0, -10, 16, 34),  # the knee leads
        (0.52, 86, 6, 52, -13, 14, -34, 40, 38),  # the foot hits
        (0.68, 50, 72, -16, -2, 0, -8, 16, 26),
    )
)

# Of the left and of the right arm: forward, elbow, out. The front knee takes the weight.
_PUNCH = tuple(
    (
        phase,
        pose(
            pose(STANCE, twist=twist, lean=lean, knee_l=knee, thigh_l=0.8 * knee, foot_r=heel),
            **dict(zip(("arm_l", "elbow_l", "out_l"), left, strict=True)),
            **dict(zip(("arm_r", "elbow_r", "out_r"), right, strict=True)),
        ),
    )
    for phase, left, right, twist, lean, knee, heel in (
        (0.00, (38, 118, 14), (38, 118, 14), 0, 7, 26, -6),  # the guard
        (0.08, (30, 118, 14), (38, 118, 14), 14, 7, 26, -6),
        (0.22, (92, 4, 2), (38, 118, 14), -24, 13, 36, -6),  # the left hits
        (0.28, (90, 10, 2), (38, 118, 14), -22, 12, 34, -6),
        (0.48, (38, 118, 14), (38, 118, 14), 0, 7, 26, -6),
        (0.58, (38, 118, 14), (26, 118, 14), -14, 7, 26, -6),
        (0.72, (38, 118, 14), (92, 4, 0), 38, 16, 40, -24),  # the right hits
        (0.78, (38, 118, 14), (90, 10, 0), 36, 15, 38, -22),
    )
)

TABLE = {
    "bow": Action(
        keys=(
            (0.0, pose(STAND, arm=0, spread=2)),
            (0.36, pose(STAND, lean=62, thigh=-5, knee=2, arm=8, nod=12, spread=2)),
            (0.56, pose(STAND, lean=64, thigh=-5, knee=2, arm=8, nod=12, spread=2)),
            (1.0, pose(STAND, arm=0, spread=2)),
        ),
        seconds=1.8,
        rest=0.9,
    ),
    "clap": Action(
        keys=((0.0, pose(CLAP, out=24, roll=12)), (0.5, pose(CLAP, out=9, roll=47))),
        seconds=0.46,
        cyclic=True,
        view=65.0,
        entry=True,
    ),
    "jump": Action(
        keys=(
            (0.0, STAND),
            (0.28, CROUCH),
            (0.36, pose(CROUCH, arm=-10)),
            (0.46, pose(STAND, lean=4, thigh=-3, knee=4, foot=-48, arm=128, out=14, elbow=24)),
            (0.52, pose(STAND, thigh=8, knee=24, foot=-36, arm=150, out=16, lift=0.105)),
            (0.59, pose(STAND, thigh=20, knee=44, foot=-34, arm=150, out=20, lift=0.140)),
            (0.66, pose(STAND, lean=6, thigh=14, knee=22, foot=-26, arm=110, out=24, lift=0.105)),
            (0.72, pose(STAND, lean=14, thigh=18, knee=24, foot=-16, arm=70, out=22)),
            (0.82, pose(STAND, lean=32, thigh=40, knee=66, arm=24, out=16, nod=-16)),
            (1.0, STAND),
        ),
        seconds=1.35,
        rest=0.12,
    ),
    "kick": Action(
        keys=((0.0, STAND), *_KICK, (1.0, STAND)), seconds=1.25, rest=0.12, planted=(1.0, 0.0)
    ),
    "punch": Action(keys=_PUNCH, seconds=1.3, cyclic=True, entry=True),
    "run": RUN,
    "sit_down": _SIT,
    "stand_up": backwards(_SIT),
    "turn": Action(keys=turning(), seconds=2.1, rest=0.25),
    "walk": WALK,
    "walk_backwards": backwards(WALK),
    "wave": Action(
        keys=((0.0, pose(WAVE, elbow_r=56)), (0.5, pose(WAVE, elbow_r=118, side=6))),
        seconds=0.72,
        cyclic=True,
        view=65.0,
        entry=True,
    ),
}

ACTIONS = tuple(sorted(TABLE))
"""The names in the order of their labels, 0 to 11."""


def find_action(name):
    """Looks an action up.

    Raises:
        ValueError: For an unknown name; the message lists the nearest ones.
    """
    if name not in TABLE:
        near = difflib.get_close_matches(str(name), ACTIONS, n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"`action` must be one of {ACTIONS}. Received: action={name!r}.{hint}")
    return TABLE[name]
