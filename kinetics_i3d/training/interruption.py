"""`asked_to_stop`: SIGTERM as a question, so that a run can save itself before it ends."""

import contextlib
import signal
import threading


class Question:
    """Whether a run was asked to stop."""

    def __init__(self):
        self.asked = False

    def ask(self, *_):
        """Asks; what a signal calls."""
        self.asked = True


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
