"""`run_door`: gives inputs to a worker, and replaces a worker that dies, hangs or grows."""

import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time

from fuzz.worker import GIB, MEMORY_LIMIT, keep

TIME_LIMIT = 20.0  # seconds an input
START_LIMIT = 600.0  # to import TensorFlow on a busy machine, and to write the seeds
_POLL = 0.2
_PER_WORKER = 5000  # inputs, so that what a library leaks is given back
ROOT = pathlib.Path(__file__).resolve().parents[1]


@dataclasses.dataclass
class Tally:
    """What became of the inputs of one door."""

    next: int = 0
    outcomes: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    kinds: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    slowest: float = 0.0
    largest: int = 0

    def add(self, report):
        """Counts one report of a worker."""
        self.next = report["number"] + 1
        self.outcomes[report["outcome"]] += 1
        self.slowest = max(self.slowest, report["seconds"])
        self.largest = max(self.largest, report["memory"])
        if report["outcome"] not in ("accepted", "refused"):
            self.kinds[f"{report['outcome']}: {report['detail'][:160]}"] += 1


def run_door(door, output, tally, *, seed, seconds, inputs):
    """Reads inputs of a door until the time is over, or their number is reached.

    Args:
        door: Its name.
        output: The folder of seeds and failures.
        tally: The `Tally`, which says where to begin and is counted up.
        seed: Of the mutations.
        seconds: How long, without the time in which workers start; None is for ever.
        inputs: How many in total, or None.
    """
    stop = sys.maxsize if inputs is None else inputs
    left = float("inf") if seconds is None else seconds
    while tally.next < stop and left > 0:
        batch = min(stop, tally.next + _PER_WORKER)
        left -= _run_worker(door, output, tally, seed=seed, stop=batch, seconds=left)


def _run_worker(door, output, tally, *, seed, stop, seconds):
    """Gives inputs to one worker; returns the seconds in which it read them."""
    work, failures = output / "work" / door / "input", output / "failures" / door
    work.parent.mkdir(parents=True, exist_ok=True)
    arguments = [door, output / "seeds" / door, work, failures, "--seed", seed]
    arguments += ["--start", tally.next, "--stop", stop, "--memory", MEMORY_LIMIT]
    with _started(arguments, output / "work" / f"{door}.stderr") as process:
        report = _next_report(process, START_LIMIT)
        if not isinstance(report, dict):
            raise SystemExit(f"{door}: the worker did not start ({report})")
        begun = time.monotonic()
        while isinstance(report, dict) and time.monotonic() < begun + seconds:
            report = _next_report(process, TIME_LIMIT)
            if isinstance(report, str):
                outcome, _, detail = report.partition(": ")
                failed = {"number": tally.next, "outcome": outcome, "detail": detail}
                failed |= {"seconds": TIME_LIMIT if outcome == "hang" else 0.0, "memory": 0}
                failed |= {"seed_file": _seed_of(door, output, seed, tally.next), "forged": True}
                keep(failures, work, failed, seed)
                tally.add(failed)
            elif report is not None:
                tally.add(report)
        return time.monotonic() - begun


def _seed_of(door, output, seed, number):
    from fuzz.mutations import random_of

    names = sorted(path.name for path in (output / "seeds" / door).iterdir())
    return random_of(seed, door, number).choice(names)


class _started:  # noqa: N801 - used as a function
    """A worker in a process group of its own, which is killed at the end."""

    def __init__(self, arguments, errors):
        self.errors = errors
        with errors.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fuzz.worker", *map(str, arguments)],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
                    "TF_CPP_MIN_LOG_LEVEL": "3",
                    "CUDA_VISIBLE_DEVICES": "-1",
                    "PYTHONFAULTHANDLER": "1",
                },
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        # Also what the worker may have started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()


def _next_report(worker, limit):
    """A report; None at the end; or "hang: ..", "memory: .." or "crash: .." where there is none."""
    pipe, begun = worker.process.stdout, time.monotonic()
    while b"\n" not in worker.buffer:
        if select.select([pipe], [], [], _POLL)[0]:
            data = os.read(pipe.fileno(), 1 << 16)
            if not data:
                code = worker.process.wait()
                if code == 0:
                    return None
                if code > 0:  # Python ends so by a mistake of the fuzzer
                    raise SystemExit(worker.errors.read_text()[-2000:])
                return f"crash: exit code {code} {_signal_name(code)}"
            worker.buffer += data
        elif time.monotonic() - begun > limit:
            return f"hang: more than {limit:g} seconds"
        elif _resident(worker.process.pid) > 2 * MEMORY_LIMIT:
            return f"memory: more than {2 * MEMORY_LIMIT / GIB:g} GiB"
    line, worker.buffer = worker.buffer.split(b"\n", 1)
    return json.loads(line)


def _signal_name(code):
    return signal.Signals(-code).name if code < 0 else ""


def _resident(pid):
    try:
        pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
