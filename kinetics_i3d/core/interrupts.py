"""`check_interrupt`: handles a Ctrl-C or a SIGTERM that a library has swallowed or wrapped.

Python raises the exception of a signal at an arbitrary point. If that is a callback of a library or
a destructor, the exception is dropped, and the program would continue as if there had been no
signal; or the library reports it as an error of its own.
"""

import signal
import sys

_pending: list = []


def remember_interrupts():
    """Makes SIGINT raise KeyboardInterrupt, as before, and SIGTERM SystemExit; remembers both.

    SystemExit runs `finally` blocks, which remove unfinished files. Python no longer prints a
    traceback if one of the two is dropped.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    # If it is ignored, as in a background job without job control, it stays ignored.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _report_others


def forget_interrupt():
    """Marks the last interrupt as handled."""
    _pending.clear()


def check_interrupt():
    """Raises KeyboardInterrupt or SystemExit again if an earlier one was swallowed."""
    # While it propagates, `finally` blocks may finish their work.
    if _pending and sys.exc_info()[0] is None:
        _raise(_pending[-1])


def interrupted_code():
    """The exit code of a process that a signal has interrupted; None if there was no signal."""
    return 128 + _pending[-1] if _pending else None


def _report_others(unraisable):
    if not (_pending and issubclass(unraisable.exc_type, (KeyboardInterrupt, SystemExit))):
        sys.__unraisablehook__(unraisable)


def _interrupt(number, _frame):
    _pending.append(number)
    _raise(number)


def _raise(number):
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
