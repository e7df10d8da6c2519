"""The fuzzers: a few inputs for the readers without TensorFlow, and the reports of failures."""

import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # `fuzz` is no part of the package

from fuzz import runner, worker  # noqa: E402
from fuzz.doors import DOORS, failing  # noqa: E402
from fuzz.mutations import fresh_copy, mutate, random_of  # noqa: E402

INPUTS = 60
CHEAP = (
    *("answers", "configs", "flow", "labels", "lists", "logits", "pictures", "states", "videos"),
    *("weights-flax", "weights-information", "weights-safetensors", "weights-torch"),
)


def read_seeds(door, corpus, work):
    """Plants the undamaged inputs of a door; returns {name of an input: what the door read}."""
    corpus.mkdir()
    door.plant(corpus)
    seeds = {}
    for folder in sorted(corpus.iterdir()):
        fresh_copy(folder, work)
        seeds[folder.name] = door.read(work)
    return seeds


@pytest.mark.slow
@pytest.mark.parametrize("name", DOORS)
def test_a_door_reads_its_undamaged_inputs(name, tmp_path):
    assert read_seeds(DOORS[name], tmp_path / "seeds", tmp_path / "input")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHEAP)
def test_hostile_inputs_are_read_or_refused(name, tmp_path):
    door, corpus, work = DOORS[name], tmp_path / "seeds", tmp_path / "input"
    seeds = read_seeds(door, corpus, work)
    outcomes = []
    for number in range(INPUTS):
        rng = random_of("tests", name, number)
        seed = rng.choice(sorted(seeds))
        fresh_copy(corpus / seed, work)
        forged = mutate(work, rng)
        report = worker.judge(door, work, seeds[seed], forged, limit=2**40)
        assert report["outcome"] in ("accepted", "refused"), (number, seed, report)
        outcomes.append(report["outcome"])
    assert "accepted" in outcomes  # or else nothing but the first check was tried


def test_an_input_is_the_same_each_time(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.json").write_text(json.dumps({"a": [1, 2, {"b": "c"}]}))
        (tmp_path / name / "b.bin").write_bytes(bytes(range(256)) * 20)
    for number in range(100):
        for name in ("first", "second"):
            fresh_copy(tmp_path / name, tmp_path / f"{name}-input")
            mutate(tmp_path / f"{name}-input", random_of("0", "door", number))
        first, second = (
            {
                path.name: path.is_file() and path.read_bytes()
                for path in (tmp_path / f"{name}-input").iterdir()
            }
            for name in ("first", "second")
        )
        assert first == second


@pytest.mark.long
@pytest.mark.slow
def test_every_way_to_fail_is_reported_and_can_be_repeated(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "TIME_LIMIT", 2.0)
    monkeypatch.setattr(runner, "MEMORY_LIMIT", 2**28)
    tally = runner.Tally()
    runner.run_door("failing", tmp_path, tally, seed="0", seconds=None, inputs=40)
    assert tally.next == 40 and sum(tally.outcomes.values()) == 40
    assert {*tally.outcomes} == {*failing.WAYS}
    kinds = {path.name for path in (tmp_path / "failures" / "failing").iterdir()}
    assert any(kind.startswith("crash-") for kind in kinds)
    assert "traceback-ZeroDivisionError_at_" in kinds
    for kind in ("traceback-ZeroDivisionError_at_", "wrong-changed"):
        folder = next((tmp_path / "failures" / "failing" / kind).iterdir())
        report = json.loads((folder / "report.json").read_text())
        command = [sys.executable, "-m", "fuzz.worker", "failing", tmp_path / "seeds" / "failing"]
        command += [tmp_path / "again", folder.parent, "--replay", folder]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 1
        assert json.loads(done.stderr[: done.stderr.index("}") + 1])["outcome"] == report["outcome"]
