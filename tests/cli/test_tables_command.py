"""`kinetics-i3d tables`: what it plans, what it hands to the library, and its exit codes."""

import csv
import sys
import types

import pytest

from kinetics_i3d.training.errors import TrainingStopped


@pytest.fixture
def dataset(tmp_path, videos):
    """A table of two videos to train and one to test."""
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for name, label, split in (
            ("one", "sit", "train"),
            ("two", "stand", "train"),
            ("three", "sit", "test"),
        ):
            (tmp_path / f"{name}.mp4").write_bytes(videos[name].read_bytes())
            writer.writerow((f"{name}.mp4", label, split))
    return table


@pytest.fixture
def library(monkeypatch):
    """A fake of the library: `calls` are those it got, the rest is what it returns or raises."""
    state = types.SimpleNamespace(calls=[], failed={}, cells=[{}], error=None)

    def make_tables(dataset, output, plan, **options):
        print("a line of the library")
        state.calls.append((dataset, output, plan, options))
        if state.error:
            raise state.error
        return {"failed": state.failed, "cells": state.cells}

    stand_in = types.SimpleNamespace(make_tables=make_tables)
    monkeypatch.setitem(sys.modules, "kinetics_i3d.experiments.runner", stand_in)
    return state


def test_dry_run_prints_runs_and_costs_and_writes_nothing(command, dataset, library, tmp_path):
    words = ("tables", "--data", dataset, "--output", tmp_path / "out", "--dry-run")
    code, out, _ = command(*words, "--runs", "C3D.*", "--seeds", "2")
    assert code == 0 and library.calls == [] and not (tmp_path / "out").exists()
    head, *rows = (line.split() for line in out.splitlines())
    assert head[0] == "run"
    # 160 steps of 16 clips, forward and twice that backward, of 0.43 G each.
    assert rows[0][0] == "C3D.rgb.scratch.original.0" and 3.0 < float(rows[0][1]) < 3.6
    assert rows[2][:2] == ["2", "runs"]
    assert float(rows[2][2]) == pytest.approx(2 * float(rows[0][1]), abs=0.11)  # rounded
    assert rows[3][:4] == ["left", "out:", "ImageNet", "first:"]
    _, out, _ = command(*words, "--runs", "C3D.*", "--seeds", "2", "--steps", "320")
    assert float(out.splitlines()[3].split()[2]) == pytest.approx(2 * float(rows[2][2]), abs=0.11)


def test_options_reach_the_library_and_stdout_is_the_page(command, dataset, library, tmp_path):
    words = ("tables", "--data", dataset, "--output", tmp_path / "out", "--save-every", "7")
    code, out, err = command(*words, "--runs", "*.rgb.scratch.*", "--seeds", "3")
    assert (code, out) == (0, f"{tmp_path / 'out'}/tables.md\n") and "a line of" in err
    ((videos, output, plan, options),) = library.calls
    assert len(videos) == 3 and str(output) == str(tmp_path / "out")
    assert len(plan.jobs) == 9 and plan.scale.name == "mini"
    assert options["save_every"] == 7 and plan.split == "test" and options["kind"] == "table"


def test_cells_is_the_former_spelling_of_runs(command, dataset, library, tmp_path):
    words = ("tables", "--data", dataset, "--output", tmp_path / "out")
    code, _, err = command(*words, "--cells", "C3D.*", "--seeds", "1")
    assert code == 0 and "--cells" in err and "--runs" in err
    assert [job.run.name for job in library.calls[0][2].jobs] == ["C3D.rgb.scratch.original.0"]


def test_exit_codes(command, dataset, library, tmp_path):
    words = ("tables", "--data", dataset, "--output", tmp_path / "out")
    library.failed = {"a.cell": "its weights are damaged"}
    code, out, err = command(*words)
    assert code == 1 and out.endswith("tables.md\n")
    assert err.splitlines()[-1] == "kinetics-i3d: error: a.cell: its weights are damaged"
    library.cells = []
    assert command(*words)[0] == 2
    library.error = TrainingStopped("run: stopped after step 5")
    code, out, err = command(*words)
    assert (code, out) == (75, "") and err.splitlines()[-1] == "run: stopped after step 5"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "dev"), "no videos in split 'dev'"),
        (("--split", "train"), "must not be 'train'"),
        (("--runs", "I3D*"), "no possible run matches 'I3D*'"),
        (("--seeds", "0"), "must be 1 or more"),
        (("--imagenet", "/none.h5"), "/none.h5: no such weights file"),
        (("--imagenet", "rgb_figures"), "clip weights of inception_v1_quarter; scale mini"),
        (("--weights", "/none.h5"), "/none.h5: no such weights file"),
    ],
)
def test_invalid_options_are_reported_before_anything_runs(
    command, dataset, tmp_path, words, message
):
    code, out, err = command("tables", "--data", dataset, "--output", tmp_path / "out", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err and not (tmp_path / "out").exists()
