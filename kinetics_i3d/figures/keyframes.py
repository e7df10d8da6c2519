"""Key poses and what is between them: an action's poses at any phase.

The interpolation is the monotone cubic of F. Fritsch and J. Butland, "A Method for Constructing
Local Monotone Piecewise Cubic Interpolants" (1984). It never overshoots its keys, so that no knee
bends the wrong way between two of them, and it is the same forwards and backwards.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Action:
    """One action: its key poses and how they are played.

    Args:
        keys: Pairs of phase and pose. Phases rise from 0; those of a cycle stay below 1 and wrap
            around, those of a single act end at 1.
        seconds: How long one pass takes at the ordinary speed.
        cyclic: Whether the pass repeats without a seam.
        rest: Seconds of stillness before a single act is repeated; None holds the last pose.
        planted: Which feet stay where they are (weights left, right); None for a gait.
        view: How far the figure may face away from the camera, degrees. Hands that move across the
            body cannot be seen from the side.
        entry: Whether a cycle may begin out of standing instead of being under way already.
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
    """The poses of an action at some phases: a pure function of the phase.

    Args:
        action: An `Action`.
        phase: Array of shape (times,). One pass runs from 0 to 1; outside, a cycle goes on and a
            single act stays in its first or last pose.

    Returns:
        Poses of shape (times, channels), degrees.

    Example:

    >>> from kinetics_i3d.figures.actions import TABLE
    >>> sitting_down = poses_at(TABLE["sit_down"], [0.3])
    >>> bool(np.allclose(sitting_down, poses_at(TABLE["stand_up"], [0.7])))
    True
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
    # Harmonic mean of the neighbouring slopes; zero at a turning point keeps the curve monotone.
    safe = np.where(rising, slope[:-1] * slope[1:], 1.0)
    weighted = (2 * after + before) * slope[1:] + (after + 2 * before) * slope[:-1]
    inner = np.where(rising, 3.0 * (before + after) * safe / np.where(rising, weighted, 1.0), 0.0)
    tangent = np.pad(inner, ((1, 1), (0, 0)))
    i = np.clip(np.searchsorted(knots, at, side="right") - 1, 0, len(knots) - 2)
    s = (at[:, None] - knots[i, None]) / step[i]
    rise = values[i + 1] - values[i]
    # Hermite's cubic, arranged so that equal neighbouring keys give exactly their value.
    return (
        values[i]
        + s * s * (3.0 - 2.0 * s) * rise
        + s * (1.0 - s) * step[i] * ((1.0 - s) * tangent[i] - s * tangent[i + 1])
    )
