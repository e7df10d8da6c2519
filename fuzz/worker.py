"""The child process that reads inputs one after the other; started by `fuzz.runner`.

Each input is written to the work folder before it is read, so that the parent finds there what
killed this process. For each, one line of JSON goes to stdout.
"""

import argparse
import contextlib
import gc
import json
import logging
import os
import pathlib
import resource
import shutil
import sys
import time
import traceback
import warnings

from fuzz.doors import DOORS
from fuzz.doors.failing import FAILING
from fuzz.mutations import fresh_copy, mutate, random_of

GIB = 2**30
MEMORY_LIMIT = 1.5 * GIB
_KEPT = 5  # inputs of one kind of failure
_CODE = [pathlib.Path(__file__).parents[1] / name for name in ("kinetics_i3d", "examples")]


def main():
    """Reads inputs by the arguments of the command line until they end, or this process does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("door")
    parser.add_argument("corpus", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("failures", type=pathlib.Path)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--stop", type=int, default=0)
    parser.add_argument("--memory", type=float, default=MEMORY_LIMIT)
    parser.add_argument("--replay", type=pathlib.Path)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    reports = os.fdopen(os.dup(1), "w", buffering=1)  # libraries print to stdout, too
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    door = {**DOORS, FAILING.name: FAILING}[options.door]
    if not options.corpus.exists():
        partial = options.corpus.with_name(f"{options.corpus.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        door.plant(partial)
        partial.rename(options.corpus)
    seeds = {}
    for folder in sorted(options.corpus.iterdir()):
        fresh_copy(folder, options.work)
        seeds[folder.name] = door.read(options.work)  # a seed that is refused is a mistake here
    if options.replay is not None:
        _replay(door, options, seeds)
        return
    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": len(seeds)}), file=reports)
    for number in range(options.start, options.stop):
        rng = random_of(options.seed, door.name, number)
        name = rng.choice(sorted(seeds))
        fresh_copy(options.corpus / name, options.work)
        forged = mutate(options.work, rng)
        report = {"number": number, "seed_file": name, "forged": forged}
        report |= judge(door, options.work, seeds[name], forged, options.memory)
        print(json.dumps(report), file=reports)
        if report["outcome"] not in ("accepted", "refused"):
            keep(options.failures, options.work, report, options.seed)


def judge(door, folder, seed, forged, limit=MEMORY_LIMIT):
    """Reads one input.

    Args:
        door: A `Door`.
        folder: The folder of the input.
        seed: What the door reads from the seed.
        forged: Whether checksums in the input are right.
        limit: The most bytes that this process may have.

    Returns:
        A dictionary: `outcome`, `detail`, `seconds` and `memory`, the peak of this process.
    """
    reset_peak()
    begun = time.monotonic()
    try:
        result = door.read(folder)
        problem = door.problem(seed, result, forged)
        outcome, detail = ("wrong", problem) if problem else ("accepted", "")
        del result
    except door.errors as error:
        # The command line prints any message as one line.
        outcome, detail = ("refused", str(error)) if str(error) else ("wrong", "an empty message")
    except BaseException as error:  # noqa: BLE001 - which is what is looked for
        outcome, detail = "traceback", place_of(error)
    seconds, memory = time.monotonic() - begun, peak_memory()
    if outcome != "traceback" and memory > limit:
        outcome, detail = "memory", f"{memory / GIB:.1f} GiB, {outcome}: {detail[:200]}"
    return {"outcome": outcome, "detail": detail, "seconds": seconds, "memory": memory}


def place_of(error):
    """The type of an error, where it left the package, and what it says."""
    frames = [
        f"{pathlib.Path(frame.filename).name}:{frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if any(pathlib.Path(frame.filename).is_relative_to(folder) for folder in _CODE)
    ]
    text = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__} at {' < '.join(frames[-2:][::-1])}: {text[:200]}"


def kind_of(report):
    """What failures of the same cause have in common."""
    detail = report["detail"]
    kind = detail.split(": ")[0] if report["outcome"] == "traceback" else detail[:24]
    return "".join(letter if letter.isalnum() else "_" for letter in kind)[:80]


def keep(failures, work, report, seed):
    """Copies an input to where failures are kept, unless there are enough of its kind."""
    kind = failures / f"{report['outcome']}-{kind_of(report)}"
    if kind.exists() and len(list(kind.iterdir())) >= _KEPT:
        return
    target = kind / f"{seed}-{report['number']}"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copytree(work, target / "input", symlinks=True)
    (target / "report.json").write_text(json.dumps(report, indent=1) + "\n")


def reset_peak():
    """Lets the kernel measure the peak of this process's memory from here on."""
    with contextlib.suppress(OSError):  # the peak is then that since the start
        pathlib.Path("/proc/self/clear_refs").write_text("5")


def peak_memory():
    """Bytes that this process had in memory at most since `reset_peak`."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _replay(door, options, seeds):
    """Reads one kept input again, and shows the whole traceback."""
    report = json.loads((options.replay / "report.json").read_text())
    logging.disable(logging.NOTSET)
    fresh_copy(options.replay / "input", options.work)
    seed = seeds[report["seed_file"]]
    outcome = judge(door, options.work, seed, report["forged"], options.memory)
    print(json.dumps(outcome, indent=1), file=sys.stderr)
    if outcome["outcome"] == "traceback":
        door.read(options.work)
    sys.exit(outcome["outcome"] not in ("accepted", "refused"))


if __name__ == "__main__":
    main()
