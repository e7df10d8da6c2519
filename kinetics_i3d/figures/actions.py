"""The actions as tables of key poses, and the interpolation between the poses.

A new action is a new row of `TABLE`: contact, passing, push-off and so on, with the phase at which
each pose is reached, as animators write it. Angles are read off a picture, see `skeleton.CHANNELS`.
The poses of gaits follow R. Williams, "The Animator's Survival Kit"; their angles follow gait
analysis (D. Winter, see `skeleton`).

The interpolation is the monotone cubic of F. Fritsch and J. Butland, "A Method for Constructing
Local Monotone Piecewise Cubic Interpolants" (1984). It never overshoots its keys, so that no knee
bends the wrong way between two of them, and it is the same forward and backward.
"""

import dataclasses
import difflib

import numpy as np

from kinetics_i3d.figures.skeleton import SIDES, STAND, pose


@dataclasses.dataclass(frozen=True)
class Action:
    """One action: its key poses and how they are played.

    Args:
        keys: Pairs of phase and pose. Phases rise from 0; those of a cycle stay below 1 and wrap
            around, those of a single act end at 1.
        seconds: Duration of one pass at normal speed.
        cyclic: Whether the pass repeats seamlessly.
        rest: Seconds of stillness before a single act is repeated; None holds the last pose.
        planted: Which feet stay in place (weights left, right); None for a gait.
        view: How far the figure may face away from the camera, degrees. Hands that move in front of
            the body cannot be seen from the side.
        entry: Whether a cycle may start from standing instead of being under way already.
    """

    keys: tuple
    seconds: float
    cyclic: bool = False
    rest: float | None = None
    planted: tuple | None = (0.5, 0.5)
    view: float = 105.0
    entry: bool = False


def backwards(action):
    """The same action played in reverse."""
    keys = tuple(((-phase) % 1.0 if action.cyclic else 1.0 - phase, p) for phase, p in action.keys)
    return dataclasses.replace(action, keys=tuple(sorted(keys, key=lambda key: key[0])))


def poses_at(action, phase):
    """The poses (times, channels), degrees, of an action at phases (times,).

    One pass runs from 0 to 1. Outside, a cycle continues and a single act keeps its first or last
    pose.
    """
    knots = np.array([key for key, _ in action.keys])
    values = np.stack([angles for _, angles in action.keys])
    phase = np.asarray(phase, dtype=float)
    if action.cyclic:
        knots = np.concatenate([knots - 1.0, knots, knots + 1.0])
        values = np.tile(values, (3, 1))
        phase = phase % 1.0
    return _monotone_cubic(knots, values, np.clip(phase, knots[0], knots[-1]))


def _monotone_cubic(knots, values, at):
    """Fritsch and Butland's interpolation of `values` (keys, channels), flat at both ends."""
    step = np.diff(knots)[:, None]
    slope = np.diff(values, axis=0) / step
    before, after = step[:-1], step[1:]
    rising = slope[:-1] * slope[1:] > 0.0
    # Harmonic mean of the neighboring slopes; zero at a turning point keeps the curve monotone.
    safe = np.where(rising, slope[:-1] * slope[1:], 1.0)
    weighted = (2 * after + before) * slope[1:] + (after + 2 * before) * slope[:-1]
    inner = np.where(rising, 3.0 * (before + after) * safe / np.where(rising, weighted, 1.0), 0.0)
    tangent = np.pad(inner, ((1, 1), (0, 0)))
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    s = (at[:, None] - knots[i, None]) / step[i]
    rise = values[i + 1] - values[i]
    # Hermite's cubic, arranged so that equal neighboring keys give exactly their value.
    return (
        values[i]
        + s * s * (3.0 - 2.0 * s) * rise
        + s * (1.0 - s) * step[i] * ((1.0 - s) * tangent[i] - s * tangent[i + 1])
    )


def gait(leg, arm, elbow, **torso):
    """Keys of a cycle of eight poses: the left side does what the right did half a cycle before.

    Args:
        leg: Eight rows of (thigh, knee, foot), from the heel's contact to the end of the swing.
        arm: Eight angles of the arm on the same side, which swings against the leg.
        elbow: Eight bends of that elbow.
        **torso: Eight values for any channel of the torso, or one for all.
    """
    keys = []
    for step in range(8):
        angles = {name: np.broadcast_to(row, 8)[step] for name, row in torso.items()}
        for side, shift in zip(SIDES, (4, 0), strict=True):
            at = (step + shift) % 8
            angles |= dict(
                zip((f"thigh_{side}", f"knee_{side}", f"foot_{side}"), leg[at], strict=True)
            )
            angles |= {f"arm_{side}": arm[at], f"elbow_{side}": elbow[at]}
        keys.append((step / 8.0, pose(STAND, spread=1, **angles)))
    return tuple(keys)


def turning(steps=6):
    """Keys of one turn in place, by small steps of the left and the right foot alternately."""
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


_SEATED = pose(STAND, lean=3, thigh=86, spread=6, knee=86, arm=28, out=10, roll=24, elbow=48)
_FALLING_BACK = pose(STAND, lean=38, thigh=66, spread=6, knee=88, arm=48, out=12, elbow=28, nod=-14)
_CROUCH = pose(STAND, lean=38, thigh=48, knee=82, arm=-48, out=10, elbow=12, nod=-20)
_STANCE = pose(STAND, spread=7, nod=2, thigh_r=-12, knee_r=18, roll=12)  # a boxer's, right leg back
_CLAP = pose(STAND, arm=46, elbow=82, nod=3)
WAVE = pose(STAND, out_r=82, arm_r=30, roll_r=-74, side=4, look=-6)

_SIT = Action(
    keys=(
        (0.0, STAND),
        (0.35, pose(STAND, lean=26, thigh=26, knee=42, arm=22, elbow=24, nod=8)),
        (0.62, _FALLING_BACK),
        (0.82, pose(_SEATED, lean=26, arm=40, elbow=40)),
        (1.0, _SEATED),
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
            pose(_STANCE, twist=twist, lean=lean, knee_l=knee, thigh_l=0.8 * knee, foot_r=heel),
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
        keys=((0.0, pose(_CLAP, out=24, roll=12)), (0.5, pose(_CLAP, out=9, roll=47))),
        seconds=0.46,
        cyclic=True,
        view=65.0,
        entry=True,
    ),
    "jump": Action(
        keys=(
            (0.0, STAND),
            (0.28, _CROUCH),
            (0.36, pose(_CROUCH, arm=-10)),
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
    """Looks an action up; `ValueError` with the nearest names for an unknown one."""
    if name not in TABLE:
        near = difflib.get_close_matches(str(name), ACTIONS, n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise ValueError(f"`action` must be one of {ACTIONS}. Received: action={name!r}.{hint}")
    return TABLE[name]
