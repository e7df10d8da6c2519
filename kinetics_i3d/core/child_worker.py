"""The program of the child processes of `child_process`, which run one job after the other."""

import contextlib
import importlib
import json
import os
import queue
import signal
import sys
import threading
import traceback
import typing

from absl import logging

from kinetics_i3d.core import errors, file_warnings
from kinetics_i3d.core.messages import decode, write_message

AHEAD = 8  # items that are computed in advance


class _Job:
    """A call in the child, and the number of items that are still requested."""

    def __init__(self, message):
        self.message = message
        self.wanted = threading.Semaphore(AHEAD)
        self.is_stopped = False

    def want(self, count):
        """Requests more items; None stops the job."""
        if count is None:
            self.is_stopped = True
            count = 1
        self.wanted.release(count)


def serve():
    """The main function of a child: runs jobs until its parent ends or closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries must not print into the messages
    # If the machine runs out of memory, this process is killed first.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    jobs: queue.Queue = queue.Queue()
    threading.Thread(target=_read_messages, args=(jobs,), daemon=True).start()
    file_warnings.forward_warnings(lambda *warning: write_message(output, "warning", warning))
    logging.set_verbosity(logging.FATAL)
    while True:
        _do(jobs.get(), output)


def _read_messages(jobs):
    """Reads jobs and requests for items; ends the process when its parent ends."""
    job: typing.Any = None
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "more" in message:
            job.want(message["more"])
        else:
            job = _Job(message)
            jobs.put(job)
    os._exit(0)


def _do(job, output):
    message = job.message
    for name, text in message["variables"].items():
        if text is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = text
    try:
        if message["directory"] is not None:
            with contextlib.suppress(OSError):
                os.chdir(message["directory"])
        module, _, name = message["function"].partition(":")
        function = getattr(importlib.import_module(module), name)
        for other in message["imports"]:
            importlib.import_module(other)
        write_message(output, "begun", None)
        arguments = decode(message["arguments"], [])
        with _limited_memory(message["memory"]):
            result = function(*arguments)
            for item in [result] if message["is_call"] else result:
                job.wanted.acquire()
                if job.is_stopped:
                    break
                write_message(output, "item", item)
            if not message["is_call"]:
                result.close()
    except MemoryError:
        write_message(output, "error", (MemoryError.__name__, ""))
    except (errors.UserError, ValueError) as error:
        name = ValueError.__name__
        for kind in type(error).__mro__:
            if getattr(errors, kind.__name__, None) is kind:
                name = kind.__name__
                break
        write_message(output, "error", (name, str(error)))
    except Exception:  # noqa: BLE001 - raised in the parent
        write_message(output, "error", ("Exception", traceback.format_exc()))
    else:
        write_message(output, "end", None)


_short_of_memory: list = []  # the size of the process from which on memory counts as short


def memory_is_short():
    """Whether this is a child process that has used half of its memory limit.

    Not all libraries report a failed allocation as such.
    """
    return bool(_short_of_memory) and _address_space() > _short_of_memory[0]


def _address_space():
    """The size of this process in bytes, or None if Linux does not report it."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


@contextlib.contextmanager
def _limited_memory(extra):
    """Limits the memory of this process to `extra` more bytes than it has now; on Linux."""
    size = _address_space()
    if size is None:
        yield
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = size + extra
    if before[1] != resource.RLIM_INFINITY:
        limit = min(limit, before[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    _short_of_memory.append(size + extra // 2)
    try:
        yield
    finally:
        _short_of_memory.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)


if __name__ == "__main__":
    # By its name, since other modules import `memory_is_short` from that copy of this module.
    from kinetics_i3d.core import child_worker

    child_worker.serve()
