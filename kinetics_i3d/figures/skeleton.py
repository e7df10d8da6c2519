"""A human skeleton: maps the angles of a pose to the positions of its joints.

Proportions follow D. Winter, "Biomechanics and Motor Control of Human Movement" (segment lengths
as fractions of the height). Angles are in degrees and measured against the vertical rather than
against the neighboring bone: `lean=60` is a torso 60 degrees off upright and `thigh=90` is a
level thigh, regardless of the rest of the body. A pose can therefore be read off a picture,
arms hang down by themselves when the figure bows, and soles stay flat when it squats.
"""

import dataclasses

import numpy as np

SIDES = ("l", "r")
TRUNK = ("lift", "yaw", "lean", "side", "twist", "nod", "look")
LIMBS = ("arm", "out", "roll", "elbow", "thigh", "spread", "knee", "foot")

CHANNELS = TRUNK + tuple(f"{name}_{side}" for side in SIDES for name in LIMBS)
"""The numbers of a pose. `lift` is a height above the floor as a fraction of the body's height,
all others are degrees: `lean` forward, `side` to the left, `yaw` and `twist` (of the chest on the
pelvis) and `look` (of the head on the chest) to the left, `nod` of the head forward; for each
side `arm` forward, `out` sideways, `roll` of the upper arm inwards, `elbow` bent, `thigh` forward,
`spread` sideways, `knee` bent, `foot` with the toes up."""

_SIDED = ("shoulder", "elbow", "wrist", "hand", "hip", "knee", "ankle", "heel", "toe", "eye")
JOINTS = ("pelvis", "spine", "chest", "neck", "chin", "head", "nose", "hair") + tuple(
    f"{name}_{side}" for side in SIDES for name in _SIDED
)
JOINT = {name: index for index, name in enumerate(JOINTS)}

SOLE = 0.012  # from the heel's and the toe's joint down to the floor, in heights


@dataclasses.dataclass(frozen=True)
class Body:
    """The build of one person.

    Args:
        height: Standing height in meters.
        legs: Length of the legs relative to the average; the torso makes up the difference.
        arms: Length of the arms relative to the average.
        shoulders: Width of the shoulders relative to the average.
        girth: Thickness of torso and limbs relative to the average.
    """

    height: float = 1.75
    legs: float = 1.0
    arms: float = 1.0
    shoulders: float = 1.0
    girth: float = 1.0


def pose(base=None, **angles):
    """A pose (channels,), from `base` or zeros; a limb's name without a side sets both."""
    values = np.zeros(len(CHANNELS)) if base is None else np.array(base, dtype=float)
    for name, value in angles.items():
        names = [f"{name}_{side}" for side in SIDES] if name in LIMBS else [name]
        if names[0] not in CHANNELS:
            raise ValueError(
                f"A pose's angles must be among {TRUNK + LIMBS}, limbs also with '_l' or '_r'. "
                f"Received: {name}={value!r}"
            )
        for channel in names:
            values[CHANNELS.index(channel)] = value
    return values


STAND = pose(arm=3, out=7, roll=15, elbow=14, spread=3, knee=3, thigh=1)
"""A relaxed standing pose, from which most poses start."""


def mirrored(angles):
    """Exchanges left and right in poses (..., channels)."""
    half = len(LIMBS)
    limbs = len(TRUNK) + np.r_[half : 2 * half, 0:half]
    swapped = np.asarray(angles)[..., np.r_[0 : len(TRUNK), limbs]].copy()
    swapped[..., [TRUNK.index(name) for name in ("yaw", "side", "twist", "look")]] *= -1.0
    return swapped


def _turn(axis, degrees):
    """Rotations about one axis (0: x forward, 1: y left, 2: z up), of shape (times, 3, 3)."""
    radians = np.deg2rad(degrees)
    matrices = np.zeros(np.shape(radians) + (3, 3))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    matrices[..., axis, axis] = 1.0
    matrices[..., i, i] = matrices[..., j, j] = np.cos(radians)
    matrices[..., j, i] = np.sin(radians)
    matrices[..., i, j] = -matrices[..., j, i]
    return matrices


def joint_positions(angles, body, *, planted=(0.5, 0.5)):
    """Forward kinematics: positions (times, joints, 3), meters, x forward, y left, z up.

    The lowest heel or toe touches the floor (z = 0), raised by the channel `lift`.

    Args:
        angles: Poses of shape (times, channels), degrees.
        body: The `Body`.
        planted: Weights of the left and the right foot in the point that stays above the origin, or
            None to keep the pelvis there (for gaits, whose feet move under the body).
    """
    angles = np.atleast_2d(angles)
    channel = {name: angles[:, index] for index, name in enumerate(CHANNELS)}
    legs = 0.245 * body.legs
    torso = 0.288 - 2.0 * (legs - 0.245)
    width = 0.108 * body.shoulders
    at = {"pelvis": np.zeros((len(angles), 3))}

    def add_joint(name, parent, frame, x, y, z):
        at[name] = at[parent] + frame @ np.array([x, y, z])

    hips = _turn(2, channel["yaw"])
    chest_yaw = _turn(2, channel["yaw"] + channel["twist"])
    # The back bends: its lower half leans less than the upper, and turns only half of the twist.
    low = _turn(2, channel["yaw"] + 0.5 * channel["twist"])
    low = low @ _turn(0, -0.6 * channel["side"]) @ _turn(1, 0.8 * channel["lean"])
    high = chest_yaw @ _turn(0, -channel["side"]) @ _turn(1, 1.15 * channel["lean"])
    face = _turn(2, channel["yaw"] + channel["twist"] + channel["look"])
    face = face @ _turn(0, -0.5 * channel["side"])
    face = face @ _turn(1, 0.7 * channel["lean"] + channel["nod"])
    add_joint("spine", "pelvis", low, 0.0, 0.0, 0.45 * torso)
    add_joint("chest", "spine", high, 0.0, 0.0, 0.55 * torso)
    add_joint("neck", "chest", high, 0.006, 0.0, 0.03)
    add_joint("chin", "neck", face, 0.014, 0.0, 0.055)
    add_joint("head", "neck", face, 0.006, 0.0, 0.095)
    add_joint("nose", "head", face, 0.056, 0.0, -0.014)
    add_joint("hair", "head", face, -0.019, 0.0, 0.017)
    for side, sign in zip(SIDES, (1.0, -1.0), strict=True):
        limb = {name: channel[f"{name}_{side}"] for name in LIMBS}
        add_joint(f"shoulder_{side}", "chest", high, 0.0, sign * width, -0.022)
        add_joint(f"eye_{side}", "head", face, 0.042, sign * 0.020, 0.004)
        upper = chest_yaw @ _turn(1, -limb["arm"]) @ _turn(0, sign * limb["out"])
        upper = upper @ _turn(2, -sign * limb["roll"])
        fore = upper @ _turn(1, -limb["elbow"])
        add_joint(f"elbow_{side}", f"shoulder_{side}", upper, 0.0, 0.0, -0.172 * body.arms)
        add_joint(f"wrist_{side}", f"elbow_{side}", fore, 0.0, 0.0, -0.148 * body.arms)
        add_joint(f"hand_{side}", f"wrist_{side}", fore, 0.0, 0.0, -0.050)
        thigh = hips @ _turn(1, -limb["thigh"]) @ _turn(0, sign * limb["spread"])
        sole = hips @ _turn(2, sign * (6.0 + 0.7 * limb["spread"])) @ _turn(1, -limb["foot"])
        add_joint(f"hip_{side}", "pelvis", hips, 0.0, sign * 0.052, 0.0)
        add_joint(f"knee_{side}", f"hip_{side}", thigh, 0.0, 0.0, -legs)
        shank = thigh @ _turn(1, limb["knee"])
        add_joint(f"ankle_{side}", f"knee_{side}", shank, 0.0, 0.0, -legs)
        add_joint(f"heel_{side}", f"ankle_{side}", sole, -0.022, 0.0, -0.026)
        add_joint(f"toe_{side}", f"ankle_{side}", sole, 0.100, 0.0, -0.029)

    joints = np.stack([at[name] for name in JOINTS], axis=1)
    ends = [JOINT[f"{name}_{side}"] for side in SIDES for name in ("heel", "toe")]
    # A soft minimum: with a hard one the body would jerk whenever the weight changes foot.
    soles = joints[:, ends, 2] - SOLE
    floor = -0.003 * np.log(np.exp(-soles / 0.003).sum(axis=1))
    joints[..., 2] += (channel["lift"] - floor)[:, None]
    if planted is not None:
        feet = joints[:, [JOINT["ankle_l"], JOINT["ankle_r"]], :2]
        joints[..., :2] -= np.einsum("tfc,f->tc", feet, np.asarray(planted))[:, None]
    return joints * body.height
