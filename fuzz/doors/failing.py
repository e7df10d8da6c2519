"""A door that fails in every way, by which the fuzzers are tested themselves."""

import os
import time

from fuzz.door import Door
from kinetics_i3d.core.errors import UserError

WAYS = ("accepted", "crash", "hang", "memory", "refused", "traceback", "wrong")
_LARGE = 2**28


def _plant(folder):
    for way in WAYS:
        (folder / way).mkdir()
        (folder / way / "seed").write_bytes(way.encode())


def _read(folder):
    (path,) = folder.iterdir()
    data = path.read_bytes() if path.is_file() else b""
    if any(data == way.encode() for way in WAYS):
        return data  # a seed must not fail
    ways = {"crash": os.abort, "hang": lambda: time.sleep(3600), "memory": lambda: b"x" * _LARGE}
    for way, act in ways.items():
        if data.startswith(way[:1].encode()):
            return act()
    if data.startswith(b"r"):
        raise UserError("refused")
    if data.startswith(b"t"):
        raise ZeroDivisionError("a mistake")
    return data


def _problem(seed, result, forged):
    return "changed" if result != seed and seed == b"wrong" else None


FAILING = Door("failing", _plant, _read, _problem)
