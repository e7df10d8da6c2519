"""What ends a run early: `TrainingError` for what the user can put right, `TrainingStopped`."""

from kinetics_i3d.core.errors import UserError


class TrainingError(UserError):
    """A run cannot begin, or cannot go on."""


class TrainingStopped(Exception):  # noqa: N818 - nothing went wrong
    """A run was asked to end, has saved its state, and goes on when it is started again."""
