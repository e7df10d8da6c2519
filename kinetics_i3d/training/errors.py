"""How a run ends early: its errors, including failed writes, and SIGTERM as a request to stop."""

import contextlib
import itertools
import signal
import threading

from kinetics_i3d.core.errors import UserError, first_line


class TrainingError(UserError):
    """A run cannot start or continue."""


class TrainingStopped(Exception):  # noqa: N818 - nothing went wrong
    """A run was asked to stop and has saved its state; the same call resumes it."""


class StopRequest:
    """Whether a run was asked to stop."""

    def __init__(self):
        self.stop_requested = False

    def request_stop(self, *_):
        """Requests the stop; a signal handler."""
        self.stop_requested = True


@contextlib.contextmanager
def stop_on_sigterm():
    """Yields a `StopRequest` that SIGTERM sets.

    Outside the main thread, where Python allows no signal handlers, nothing sets it.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = signal.signal(signal.SIGTERM, request.request_stop)
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, previous)


def until_stopped(batches, request, output, activity):
    """Passes batches on, and raises `TrainingStopped` once a stop is requested.

    Args:
        batches: An iterable.
        request: A `StopRequest`, or `None`.
        output: Folder of the run, for the message.
        activity: What the batches are used for, for the message, such as `"computing features"`.
    """
    # `None` stands for the check before the first batch; the others come after each batch.
    for batch in itertools.chain([None], batches):
        if batch is not None:
            yield batch
        if request is not None and request.stop_requested:
            raise TrainingStopped(
                f"{output}: stopped while {activity}; run the same command to resume"
            )


@contextlib.contextmanager
def reporting_write_errors(path, consequence="the last state is kept"):
    """Turns a failed write, such as a full disk, into a `TrainingError` of one line.

    Args:
        path: The file or folder that is written.
        consequence: What remains in spite of the failure.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise TrainingError(
            f"{path}: cannot be written ({reason}); {consequence}: free some space and run the "
            "same command to resume"
        ) from error
