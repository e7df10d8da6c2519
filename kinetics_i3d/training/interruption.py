"""`asked_to_stop`: SIGTERM as a question, so that a run can save itself before it ends."""

import contextlib
import itertools
import signal
import threading

from kinetics_i3d.training.errors import TrainingStopped


class Question:
    """Whether a run was asked to stop."""

    def __init__(self):
        self.asked = False

    def ask(self, *_):
        """Asks; what a signal calls."""
        self.asked = True


def heeded(batches, question, output, doing):
    """Passes batches on until the run is asked to stop.

    Args:
        batches: An iterable.
        question: A `Question`, or None if nobody can ask.
        output: The run's folder, for the message.
        doing: What is done with the batches, for the message.

    Yields:
        The batches.

    Raises:
        TrainingStopped: Behind a batch, if the run was asked to stop.
    """
    for batch in itertools.chain([None], batches):  # asked before each, and behind the last one
        if batch is not None:
            yield batch
        if question is not None and question.asked:
            raise TrainingStopped(f"{output}: stopped while {doing}; goes on with that")


@contextlib.contextmanager
def asked_to_stop():
    """Gives a `Question` that SIGTERM asks; outside the main thread nobody can.

    Example:

    >>> with asked_to_stop() as question:
    ...     signal.raise_signal(signal.SIGTERM)
    ...     question.asked
    True
    """
    question = Question()
    if threading.current_thread() is not threading.main_thread():
        yield question
        return
    before = signal.signal(signal.SIGTERM, question.ask)
    try:
        yield question
    finally:
        signal.signal(signal.SIGTERM, before)
