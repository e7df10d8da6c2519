"""What ends a run early: `TrainingError` for what the user can put right, `TrainingStopped`."""

import contextlib

from kinetics_i3d.core.errors import UserError, first_line


class TrainingError(UserError):
    """A run cannot begin, or cannot go on."""


class TrainingStopped(Exception):  # noqa: N818 - nothing went wrong
    """A run was asked to end, has saved its state, and goes on when it is started again."""


@contextlib.contextmanager
def writing(path, kept="the last state is kept"):
    """Turns a failure to write, such as a full disk, into a `TrainingError` of one line.

    Args:
        path: What is written.
        kept: What there is in spite of it.
    """
    try:
        yield
    except OSError as error:
        why = error.strerror or first_line(error)
        raise TrainingError(
            f"{path}: cannot be written ({why}); {kept}: make room, and start again to go on"
        ) from error


@contextlib.contextmanager
def among(processes, output):
    """Turns the end of another process of a run into a `TrainingError` of one line.

    Args:
        processes: How many there are.
        output: The run's folder.
    """
    import tensorflow as tf

    try:
        yield
    except (tf.errors.AbortedError, tf.errors.UnavailableError) as error:
        if processes == 1:
            raise
        raise TrainingError(
            f"{output}: another of the {processes} processes ended; start all of them again to go "
            "on from the last state"
        ) from error
