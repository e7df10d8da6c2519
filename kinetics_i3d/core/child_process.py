"""`stream_in_child`, `call_in_child`: functions in a child process with limited time and memory.

A call that hangs, exhausts memory or crashes costs one result, not this process. A child serves
calls one after the other, and is replaced when it dies. Messages are JSON and raw arrays: nothing
that a child sends is executed.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

from kinetics_i3d.core import errors, file_warnings
from kinetics_i3d.core.child_worker import AHEAD
from kinetics_i3d.core.messages import MessageError, encode, read_message

_START_SECONDS = 120  # for Python to start, even on a busy machine
_STOP_SECONDS = 2  # for a child to finish an item after a stop; starting a new child is faster
_MAX_IDLE = 8  # children that are kept for later calls
_CHECK_SECONDS = 0.1  # interval between checks of the deadline
# Other threads' arenas and stacks would count as memory that the work has used.
_CHILD_VARIABLES = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class ChildError(errors.UserError):
    """A call in a child process has exceeded a limit, or has ended the process.

    The message completes a sentence: "took more than 60 seconds".
    """


def call_in_child(function, *arguments, seconds, memory, variables=None, imports=()):
    """Calls a function in a child process.

    Args:
        function: `"module:name"`, which the child imports.
        *arguments: Plain values: None, booleans, numbers, fractions, strings, lists, tuples, and
            dictionaries with string keys.
        seconds: Maximum duration of the call.
        memory: Maximum number of bytes in addition to those of an idle child. Linux only.
        variables: {environment variable: text, or None} that are set for the call.
        imports: Names of modules that are imported first, without limits.

    Returns:
        The result of the function: plain values and arrays.

    Raises:
        ChildError: If it exceeds a limit, or crashes.
        UserError: If the function raises it, or a subclass in `core.errors`; also `ValueError`.

    Example:

    >>> call_in_child("math:factorial", 5, seconds=60, memory=2**30)
    120
    """
    stream = _stream(function, arguments, seconds, memory, variables, imports, is_call=True)
    with contextlib.closing(stream):
        return next(stream)


def stream_in_child(function, *arguments, seconds, memory, variables=None, imports=(), items=100):
    """Yields the items of a generator function that runs ahead in a child process.

    Args:
        function: As for `call_in_child`.
        *arguments: As for `call_in_child`.
        seconds: Maximum time to wait for the first item, and for every `items` items.
        memory: As for `call_in_child`.
        variables: As for `call_in_child`.
        imports: As for `call_in_child`.
        items: The number of items that `seconds` applies to.

    Yields:
        Plain values and arrays; arrays own their memory.

    Raises:
        ChildError: As for `call_in_child`.
        UserError: As for `call_in_child`.
    """
    return _stream(function, arguments, seconds, memory, variables, imports, items=items)


def _stream(function, arguments, seconds, memory, variables, imports, *, items=1, is_call=False):
    try:
        directory = os.getcwd()
    except OSError:  # it was removed
        directory = None
    job = {
        "function": function,
        "arguments": encode(arguments, None),
        "memory": memory,
        "variables": variables or {},
        "imports": imports,
        "directory": directory,
        "is_call": is_call,
    }
    child = _begin(job, seconds)
    is_usable = False
    try:
        yield from child.items(seconds, memory, items)
        is_usable = True
    except GeneratorExit:
        is_usable = child.stop()
        raise
    except (errors.UserError, ValueError) as error:
        is_usable = not isinstance(error, ChildError)
        raise
    finally:
        child.pause()
        if is_usable and len(_idle) < _MAX_IDLE:
            _idle.append(child)
        else:
            child.kill()


_idle: list = []  # children that wait for a call; appending and popping is atomic
_children: set = set()


def _begin(job, seconds):
    """A child that has started a job; an idle child may have died in the meantime."""
    while True:
        try:
            child, is_new = _idle.pop(), False
        except IndexError:
            child, is_new = _Child(), True
        try:
            child.begin(job, seconds)
        except ChildError:
            child.kill()
            if is_new:
                raise
        except BaseException:
            child.kill()
            raise
        else:
            return child


def kill_children():
    """Ends all child processes, including idle ones."""
    _idle.clear()
    for child in tuple(_children):
        child.kill()


def _forget_children():
    _idle.clear()
    _children.clear()


atexit.register(kill_children)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_children)  # they belong to the parent process


class _Child:
    """A child process, seen from the one that started it."""

    def __init__(self):
        if not sys.executable:
            raise ChildError("cannot be started in a program that embeds Python")
        # Its stderr is what libraries print before they abort.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "kinetics_i3d.core.child_worker"],
            env={
                **os.environ,
                **_CHILD_VARIABLES,
                "PYTHONPATH": os.pathsep.join(folder or os.getcwd() for folder in sys.path),
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._deadline = None  # while this process waits for the child
        self._is_late = self._is_gone = False
        self._is_busy = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()
        _children.add(self)

    def begin(self, job, seconds):
        """Sends a job, and waits until the child has read it."""
        self._limit = _START_SECONDS
        self._is_busy.set()
        self._deadline = time.monotonic() + _START_SECONDS
        self._send(job)
        kind, value = self._receive(0)
        if kind != "begun":
            raise _error_of(value, job["memory"])
        self._limit = seconds
        self._deadline = time.monotonic() + seconds

    def items(self, seconds, memory, every):
        """Yields the items of the job; the time that the caller takes does not count."""
        left: float = seconds
        count = 0
        while True:
            self._deadline = time.monotonic() + left
            kind, value = self._receive(memory)
            if kind == "item":
                count += 1
                left = seconds if count % every == 0 else self._deadline - time.monotonic()
                self._deadline = None
                if count % (AHEAD // 2) == 0:
                    self._send({"more": AHEAD // 2})
                yield value
            elif kind == "warning":
                file_warnings.warn_about(value[0], "%s", value[1])
            elif kind == "end":
                return
            else:
                raise _error_of(value, memory)

    def stop(self):
        """Ends the job early; returns whether the child can take another one."""
        try:
            self._deadline = time.monotonic() + _STOP_SECONDS
            self._send({"more": None})
            kind = "item"
            while kind in ("item", "warning"):
                kind, _ = self._receive(2**40)
        except ChildError:
            return False
        return kind == "end"

    def pause(self):
        """Stops the clock."""
        self._deadline = None
        self._is_busy.clear()

    def kill(self):
        """Ends the process."""
        _children.discard(self)
        self._is_gone = True
        self._is_busy.set()  # ends the thread
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # buffered data can no longer be sent
                pipe.close()

    def _watch(self):
        while self._is_busy.wait() and not self._is_gone:
            deadline = self._deadline
            if deadline is not None and time.monotonic() > deadline:
                self._is_late = True
                self._process.kill()
                return
            time.sleep(_CHECK_SECONDS)

    def _send(self, message):
        try:
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise self._death() from None

    def _receive(self, limit):
        """(kind, value) of the next message, whose arrays have up to `limit` bytes."""
        try:
            return read_message(self._process.stdout, limit=limit)
        except EOFError:
            raise self._death() from None
        except MessageError as error:
            raise ChildError(f"sent an invalid message ({error})") from None

    def _death(self):
        """The `ChildError` of a process that has closed its pipe."""
        self._deadline = None
        self._process.kill()
        code = self._process.wait()
        if self._is_late:
            return ChildError(f"took more than {self._limit:g} seconds")
        if code >= 0:
            return ChildError(f"ended its process with exit code {code}")
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return ChildError(f"crashed ({name})")


def _error_of(value, memory):
    """The error that a child has reported."""
    name, text = value
    if name == MemoryError.__name__:
        return ChildError(f"needs more than {memory / 2**20:.0f} MiB of memory")
    if name == ValueError.__name__:
        return ValueError(text)
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, errors.UserError):
        return kind(text)
    return RuntimeError(f"an error in a child process:\n{text}")
