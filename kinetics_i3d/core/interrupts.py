"""`check_interrupt`: handles a Ctrl-C or a SIGTERM that a library has swallowed or wrapped.

Python runs the handler of a signal between two arbitrary instructions. TensorFlow calls Python from
C++ in places that do not expect an exception: raised there, it crashes the process or becomes a
SystemError. So the exception is raised when a library returns to this package, or where the library
is after `PATIENCE` seconds.

A callback or a destructor can still drop it, and the program would continue as if there had been no
signal; or a library reports it as an error of its own.
"""

import _thread
import signal
import sys
import threading
import time

PATIENCE = 2.0  # seconds

_PACKAGE = __name__.partition(".")[0]
_pending: list = []
_waiting: list = []  # a token of the signal that waits until a library returns


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
    error = unraisable.exc_value
    while _pending and error is not None:
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            return
        error = error.__cause__ or error.__context__
    sys.__unraisablehook__(unraisable)


def _interrupt(number, frame):
    _pending.append(number)
    if _waiting:  # an impatient user, or `_insist`
        _stop_waiting()
        _raise(number)
    # A debugger and coverage have a trace function of their own.
    frames = [] if sys.gettrace() else _frames_to_wait_for(frame)
    if not frames:
        _raise(number)

    # Any event in a frame with such a function calls it, as in a debugger.
    def raise_there(*_event):
        _stop_waiting()
        _raise(number)

    for own in frames:
        own.f_trace = raise_there
    sys.settrace(lambda *_event: None)  # no function for new frames
    _waiting.append(token := object())
    _thread.start_new_thread(_insist, (number, token))  # threading.Thread would take a lock


def _stop_waiting():
    sys.settrace(None)
    _waiting.clear()


def _insist(number, token):
    """Sends a signal again if the first one still waits."""
    time.sleep(PATIENCE)
    if token in _waiting:
        if hasattr(signal, "pthread_kill"):  # ends a system call too; not on Windows
            signal.pthread_kill(threading.main_thread().ident, number)
        else:
            _thread.interrupt_main(number)


def _frames_to_wait_for(frame):
    """The frames of this package that have called another, which runs; [] if none runs."""
    frames, is_library = [], False
    while frame is not None:
        name = frame.f_globals.get("__name__", "").partition(".")[0]
        if name == _PACKAGE:
            frames.append(frame)
        elif not frames:
            is_library |= name not in sys.stdlib_module_names
        frame = frame.f_back
    return frames if is_library else []


def _raise(number):
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
