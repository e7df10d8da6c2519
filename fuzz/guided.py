"""`python -m fuzz.guided DOOR`: coverage-guided inputs for readers that are written in Python.

Needs Atheris, https://github.com/google/atheris. Options of libFuzzer follow the door, such as
`-max_total_time=60`. An input that fails stops it, and lies in the folder of the next argument.
"""

import logging
import pathlib
import shutil
import sys
import tempfile
import warnings

import atheris

from fuzz.mutations import fresh_copy

# Of the doors in which one file is read, by Python code alone.
GUIDED = ("labels", "weights-flax", "weights-frozen", "weights-information", "weights-torch")


def main():
    """Feeds the inputs that Atheris makes to a door, in files named as the first seed."""
    if len(sys.argv) < 2 or sys.argv[1] not in GUIDED:
        raise SystemExit(
            f"usage: python -m fuzz.guided {'|'.join(GUIDED)} [option of libFuzzer ...]"
        )
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    folder = pathlib.Path(tempfile.mkdtemp())
    seeds, work, corpus = folder / "seeds", folder / "input", folder / "corpus"
    seeds.mkdir()
    corpus.mkdir()
    with atheris.instrument_imports(include=["kinetics_i3d"]):
        from fuzz.doors import DOORS

        door = DOORS[sys.argv.pop(1)]
        door.plant(seeds)
        for seed in seeds.iterdir():  # also what readers import when they read
            fresh_copy(seed, work)
            door.read(work)
    files = sorted(path for path in seeds.rglob("*") if path.is_file())
    for number, path in enumerate(files):
        (corpus / str(number)).write_bytes(path.read_bytes())
    shutil.rmtree(work)
    work.mkdir()
    names = sorted({path.name for path in files})

    def read(data):
        # The name of a label file says nothing about its format, those of weights say little.
        (work / names[0]).write_bytes(data)
        try:
            problem = door.problem(None, door.read(work), True)
        except door.errors:
            return
        assert problem is None, problem

    atheris.Setup([*sys.argv, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
