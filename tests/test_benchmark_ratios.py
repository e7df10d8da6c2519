"""The rule by which `make bench` says what moved, on made-up records."""

import importlib
import json
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def ratios():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("ratios")
        sys.modules.pop("ratios", None)


def record(**benchmarks):
    wall = {"ratios": [2.0, 2.5, 3.0]}  # has not moved
    return {
        name: {"reference": "fixed", "processor": {"ratios": values}, "wall": wall}
        for name, values in benchmarks.items()
    }


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ([1.0, 1.1, 1.2], [1.0, 1.1, 1.2], False),
        ([1.0, 1.1, 1.2], [1.3, 1.4, 1.5], True),
        ([1.0, 1.1, 1.2], [0.7, 0.8, 0.9], True),
        ([1.0, 1.1, 1.2], [1.15, 1.3, 1.4], True),  # ranges overlap, medians are outside of them
        ([1.0, 1.1, 1.2], [1.05, 1.3, 1.4], False),  # the old median is within the new range
        ([1.0, 1.1, 1.35], [1.2, 1.3, 1.4], False),  # the new median is within the old range
        ([1.0], [1.0], False),
        ([1.0], [1.001], True),
    ],
)
def test_moved_is_what_lies_outside_both_ranges(ratios, before, after, moved):
    assert ratios.has_moved(before, after) is moved
    assert ratios.has_moved(after, before) is moved


def test_each_benchmark_gets_a_result(ratios):
    before = record(same=[1, 2, 3], up=[1, 2, 3], down=[10, 20, 30], other=[1, 2, 3], gone=[4, 5])
    after = record(same=[1, 2, 3], up=[7, 8, 9], down=[4, 5, 6], other=[7, 8, 9], new=[1.5])
    after["other"]["reference"] = "another one"
    both = ratios.compare(before, after)
    rows, wall = ({row["benchmark"]: row for row in both[index::2]} for index in (0, 1))
    assert {name: (row["result"], row["change"]) for name, row in rows.items()} == {
        "same": ("within the noise", "+0%"),
        "up": ("slower", "+300%"),
        "down": ("faster", "-75%"),
        "other": ("another reference", "–"),
        "new": ("no record", "–"),
        "gone": ("did not run", "–"),
    }
    assert rows["up"] == {
        "benchmark": "up",
        "time": "processor",
        "ratio": "8",
        "range": "7 to 9",
        "record": "2",
        "its range": "1 to 3",
        "change": "+300%",
        "result": "slower",
    }
    assert (wall["up"]["time"], wall["up"]["result"]) == ("wall", "within the noise")
    assert rows["gone"]["ratio"] == rows["gone"]["range"] == "–" and rows["gone"]["record"] == "4.5"


def test_without_a_record_nothing_is_compared(ratios):
    rows = ratios.compare({}, record(first=[1.0, 2.0]))
    assert [row["result"] for row in rows] == 2 * ["no record"]


def test_the_wall_clock_is_compared_by_itself(ratios):
    before, after = record(first=[1.0, 1.1]), record(first=[1.0, 1.1])
    after["first"]["wall"] = {"ratios": [4.0, 5.0]}
    results = [row["result"] for row in ratios.compare(before, after)]
    assert results == ["within the noise", "slower"]


def test_each_ratio_is_taken_against_the_reference_before_and_after(ratios):
    calls = []

    def program(values):
        times = iter(values)

        def run():
            calls.append(values[0])
            seconds = next(times)
            return seconds, 10 * seconds - 1

        return run

    measured = ratios.measure_ratios(program([70, 6, 9]), program([80, 1, 2, 4]), rounds=2)
    assert measured == {
        "processor": {"ratios": [6 / 1.5, 9 / 3], "seconds": 7.5, "reference_seconds": 2},
        "wall": {"ratios": [59 / 14, 89 / 29], "seconds": 74, "reference_seconds": 19},
    }
    assert calls == [70, 80, 80, 70, 80, 70, 80]  # the first of each is not counted


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """The module, whose `run(*words, ratios=[...])` is a run of one benchmark with these ratios."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = importlib.import_module("bench")
    monkeypatch.setattr(module, "RECORD", tmp_path / "bench.json")
    monkeypatch.setattr(sys.modules["report"], "RESULTS", tmp_path)
    monkeypatch.setattr(module, "BENCHMARKS", {"first": module.Benchmark(None, "fixed")})

    def run(*words, ratios):
        times = {"ratios": ratios, "seconds": 2.0, "reference_seconds": 1.0}
        result = {"reference": "fixed", "processor": times, "wall": times}
        monkeypatch.setattr(module, "measure", lambda names, rounds: ({"first": result}, []))
        monkeypatch.setattr(sys, "argv", ["bench.py", *words])
        assert module.main() == 0  # it is not a gate
        return capsys.readouterr().out

    module.run = run
    yield module
    for name in ("bench", "report", "ratios"):
        sys.modules.pop(name, None)


def test_a_record_is_written_and_compared_with_the_next_run(bench, tmp_path):
    text = bench.run("--record", ratios=[1.0, 1.1, 1.2])
    assert "| first | processor | 1.1 | 1 to 1.2 | – | – | – | no record |" in text
    data = json.loads((tmp_path / "bench.json").read_text())
    assert data["benchmarks"]["first"]["wall"]["ratios"] == [1.0, 1.1, 1.2]
    assert data["machine"]["cores"] and data["machine"]["tensorflow"]
    page = (tmp_path / "bench.md").read_text()
    assert "| first | fixed | 1.1 | 1 to 1.2 | 2 | 1 | 1.1 | 1 to 1.2 |" in page
    text = bench.run(ratios=[1.5, 1.6, 1.7])
    assert "slower: first, wall time +45%" in text and "other conditions" not in text
    assert json.loads((tmp_path / "bench.json").read_text()) == data
    assert "Nothing has moved beyond the noise." in bench.run(ratios=[1.0, 1.1, 1.3])


def test_a_record_of_another_machine_is_named(bench, tmp_path):
    bench.run("--record", ratios=[1.0])
    data = json.loads((tmp_path / "bench.json").read_text())
    data["machine"]["cores"] = 4096
    (tmp_path / "bench.json").write_text(json.dumps(data))
    assert "made with other conditions: cores 4096 (now " in bench.run(ratios=[1.0])


def test_a_busy_machine_is_named(bench, monkeypatch):
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (0.5, 0.0, 0.0))
    bench.run("--record", ratios=[1.0])
    assert "load average" not in bench.run(ratios=[1.0])
    monkeypatch.setattr(bench.os, "getloadavg", lambda: (4096.0, 0.0, 0.0))
    assert "was 4096.0 before this run and 0.5 before the record" in bench.run(ratios=[1.0])


def test_a_benchmark_that_cannot_run_is_the_only_failure(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.py", "--record"])
    assert bench.main() == 1  # the process of a benchmark that does not exist
    assert capsys.readouterr().err.endswith("failed: first\n")
    assert not (tmp_path / "bench.json").exists()


def test_a_benchmark_without_its_packages_is_left_out(bench, monkeypatch, capsys):
    needs = bench.Benchmark(None, "fixed", ("no_such_module",))
    monkeypatch.setitem(bench.BENCHMARKS, "first", needs)
    assert bench.measure(["first"], 1) == ({}, [])
    assert capsys.readouterr().out == "first: left out, as it needs no_such_module\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--record", "--only", "first"], "a record has all benchmarks"),
        (["--only", "second"], "no benchmark's name contains 'second'"),
    ],
)
def test_what_cannot_be_measured_is_one_line(bench, monkeypatch, capsys, words, reason):
    monkeypatch.setattr(sys, "argv", ["bench.py", *words])
    with pytest.raises(SystemExit, match="2"):
        bench.main()
    assert reason in capsys.readouterr().err
