"""`python -m fuzz`: reads damaged and hostile inputs by every door of the package.

What fails is kept in OUTPUT/failures/DOOR and is read again by `python -m fuzz --replay FOLDER`.
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import time

from fuzz.doors import DOORS
from fuzz.runner import ROOT, Tally, run_door

GOOD = ("accepted", "refused")
BAD = ("traceback", "crash", "hang", "memory", "wrong")


def main():
    """Runs the doors by the command line; exits with 1 where an input failed."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("doors", nargs="*", metavar="DOOR", help=f"of {', '.join(DOORS)}")
    parser.add_argument("--minutes", type=float, help="time for all doors together")
    parser.add_argument("--inputs", type=int, help="inputs of each door, those of earlier runs too")
    parser.add_argument("--seed", default="0", help="of the mutations (default: 0)")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "fuzz-output")
    parser.add_argument("--replay", type=pathlib.Path, metavar="FOLDER", help="a kept failure")
    options = parser.parse_args()
    if unknown := [name for name in options.doors if name not in DOORS]:
        parser.error(f"no doors: {', '.join(unknown)}")
    options.output = options.output.resolve()
    if options.replay is not None:
        sys.exit(replay(options.replay.resolve(), options.output))
    if options.minutes is None and options.inputs is None:
        options.minutes = 5.0
    names = options.doors or [*DOORS]
    tallies = {}
    total = sum(DOORS[name].weight for name in names)
    for name in names:
        tally = tallies[name] = read_tally(options.output, name, options.seed)
        seconds = None
        if options.minutes is not None:
            seconds = 60 * options.minutes * DOORS[name].weight / total
        begun, before = time.monotonic(), tally.next
        limits = {"seconds": seconds, "inputs": options.inputs}
        try:
            run_door(name, options.output, tally, seed=options.seed, **limits)
        finally:  # also after Ctrl-C
            write_tally(options.output, name, options.seed, tally)
        took = time.monotonic() - begun
        print(f"{line_of(name, tally)}  ({tally.next - before} in {took:.0f} s)", flush=True)
        for kind, count in tally.kinds.most_common(20):
            print(f"    {count} x {kind}", flush=True)
    failed = sum(tally.outcomes[kind] for tally in tallies.values() for kind in BAD)
    if failed:
        print(f"{failed} inputs failed; they lie in {options.output / 'failures'}.")
    sys.exit(bool(failed))


def line_of(name, tally):
    """The counts of a door in one line."""
    counts = " ".join(f"{kind} {tally.outcomes[kind]}" for kind in (*GOOD, *BAD))
    largest = tally.largest / 2**20
    return (
        f"{name}: {tally.next} inputs: {counts}; {tally.slowest:.1f} s, {largest:.0f} MiB at most"
    )


def read_tally(output, name, seed):
    """The `Tally` of earlier runs of a door with a seed, from where this one goes on."""
    try:
        fields = json.loads(tally_path(output, name, seed).read_text())
    except FileNotFoundError:
        return Tally()
    for counts in ("outcomes", "kinds"):
        fields[counts] = collections.Counter(fields[counts])
    return Tally(**fields)


def write_tally(output, name, seed, tally):
    """Keeps the `Tally` of a door."""
    path = tally_path(output, name, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(vars(tally), indent=1) + "\n")


def tally_path(output, name, seed):
    """Where the `Tally` of a door is kept."""
    return output / "counts" / f"{name}-{seed}.json"


def replay(folder, output):
    """Reads a kept input once more in a child process, and returns its exit code."""
    door = folder.parents[1].name
    work = output / "work" / door / "replay"
    work.parent.mkdir(parents=True, exist_ok=True)
    arguments = [door, output / "seeds" / door, work, folder.parents[1], "--replay", folder]
    return subprocess.run([sys.executable, "-m", "fuzz.worker", *map(str, arguments)]).returncode


if __name__ == "__main__":
    main()
