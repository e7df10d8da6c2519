"""`check_interrupt`: handles a Ctrl-C that a library has swallowed.

Python raises KeyboardInterrupt at an arbitrary point. If that is a callback of a library or a
destructor, the exception is dropped, and the program would continue as if Ctrl-C had not been
pressed.
"""

import signal
import sys

_pending: list = []


def remember_interrupts():
    """Makes SIGINT raise KeyboardInterrupt, as before, and remembers it.

    Python no longer prints a traceback if a KeyboardInterrupt is dropped.
    """
    # If it is ignored, as in a background job without job control, it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
        sys.unraisablehook = _report_others


def forget_interrupt():
    """Marks the last interrupt as handled."""
    _pending.clear()


def check_interrupt():
    """Raises KeyboardInterrupt if an earlier one was swallowed."""
    # While it propagates, `finally` blocks may finish their work.
    if _pending and sys.exc_info()[0] is None:
        raise KeyboardInterrupt


def _report_others(unraisable):
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)


def _interrupt(number, frame):
    _pending.append(number)
    signal.default_int_handler(number, frame)
