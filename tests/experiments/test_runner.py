"""Runs: finished ones are only read, a failure stops no other, sums add what is stored."""

import dataclasses
import json

import pytest

from kinetics_i3d.core.errors import WeightsError
from kinetics_i3d.experiments.plan import make_plan
from kinetics_i3d.experiments.runner import do_runs, flow_spec
from kinetics_i3d.experiments.runs import run_folder
from kinetics_i3d.training.errors import TrainingStopped

RGB, FLOW, SUM = (f"TwoStreamI3D.{stream}.scratch.original.0" for stream in ("rgb", "flow", "both"))
LSTM = "ConvNetLSTM.rgb.scratch.original.0"


@pytest.fixture
def plan(mini):
    """The LSTM and the three runs of I3D."""
    plan = make_plan(mini, seeds=1)
    jobs = tuple(job for job in plan.jobs if job.run.name in (LSTM, RGB, FLOW, SUM))
    return dataclasses.replace(plan, jobs=jobs)


def test_each_run_is_trained_tested_and_written_once(videos, plan, library, tmp_path):
    library.right = {RGB: 2, FLOW: 4}
    seen = []
    done, failed = do_runs(videos, plan, tmp_path, progress=seen.append)
    assert failed == {} and seen == [1, 2, 3, 4]
    assert library.trained == [LSTM, RGB, FLOW]
    # The sum is that of both streams' networks; none is trained for it.
    assert library.tested[-1] == [f"{RGB} 0", f"{FLOW} 0"]
    assert {name: result["top1"] for name, result in done.items()} == {
        LSTM: 0.75,
        RGB: 0.5,
        FLOW: 1.0,
        # Where they disagree the logits are equal and the first class wins, which is right for two.
        SUM: 0.75,
    }
    for job in plan.jobs:
        folder = run_folder(tmp_path, job.run)
        assert json.loads((folder / "cell.json").read_text()) == done[job.run.name]
        report = json.loads((folder / "evaluation.json").read_text())
        assert report["top1"] == done[job.run.name]["top1"] and report["split"] == "test"
    assert done[FLOW]["config"]["streams"] == ["flow"] and done[SUM]["config"] is None
    again = do_runs(videos, plan, tmp_path)
    assert again == (done, {}) and len(library.trained) == 3 and len(library.tested) == 4


def test_interrupted_runs_are_resumed(videos, plan, library, tmp_path):
    whole, _ = do_runs(videos, plan, tmp_path / "whole")
    library.trained.clear()
    library.errors = {FLOW: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        do_runs(videos, plan, tmp_path / "parts")
    assert library.trained == [LSTM, RGB, FLOW]
    library.errors = {FLOW: TrainingStopped("later")}
    with pytest.raises(TrainingStopped):
        do_runs(videos, plan, tmp_path / "parts")
    library.errors.clear()
    parts, failed = do_runs(videos, plan, tmp_path / "parts")
    assert library.trained == [LSTM, RGB, FLOW, FLOW, FLOW] and failed == {}
    for result in (*whole.values(), *parts.values()):
        del result["processor_seconds"]
    assert parts == whole


@pytest.mark.parametrize(
    "error",
    [
        WeightsError("net.h5: damaged\nfar"),
        ValueError("net.h5: damaged"),
        OSError(28, "net.h5: damaged"),
    ],
)
def test_failed_run_is_reported_and_stops_no_other(videos, plan, library, tmp_path, error):
    library.errors = {RGB: error}
    done, failed = do_runs(videos, plan, tmp_path)
    assert list(done) == [LSTM, FLOW] and list(failed) == [RGB, SUM]
    assert "net.h5: damaged" in failed[RGB] and "\n" not in failed[RGB]
    assert failed[SUM] == f"the logits of {RGB} cannot be added: that run is not finished"
    library.errors.clear()
    done, failed = do_runs(videos, plan, tmp_path)
    assert list(done) == [LSTM, RGB, FLOW, SUM] and failed == {}


def test_runs_made_with_other_settings_are_refused(videos, plan, library, tmp_path):
    do_runs(videos, plan, tmp_path)
    job = plan.jobs[0]
    other = dataclasses.replace(job, config=dataclasses.replace(job.config, steps=7))
    _, failed = do_runs(videos, dataclasses.replace(plan, jobs=(other,)), tmp_path)
    assert (
        f"{LSTM}/cell.json: made with other settings: steps is 160, requested is 7" in failed[LSTM]
    )
    fewer = dataclasses.replace(videos, videos=videos.videos[1:])
    done, failed = do_runs(fewer, plan, tmp_path)
    assert done == {} and all(
        "made with other settings: dataset is" in why for why in failed.values()
    )
    (run_folder(tmp_path, job.run) / "cell.json").write_text("{}")
    done, failed = do_runs(videos, plan, tmp_path)
    assert list(done) == [RGB, FLOW, SUM] and "not a result of `tables`" in failed[LSTM]
    assert len(library.trained) == 3


def test_sum_of_other_weights_is_computed_again(videos, plan, library, tmp_path):
    before, _ = do_runs(videos, plan, tmp_path)
    path = run_folder(tmp_path, plan.jobs[2].run) / "cell.json"
    path.write_text(json.dumps({**before[FLOW], "weights": {"flow": "other"}}))
    library.right = {FLOW: 1}
    after, failed = do_runs(videos, plan, tmp_path)
    assert failed == {} and before[SUM]["top1"] == 0.75 and after[SUM]["top1"] == 0.5
    assert len(library.trained) == 3 and after[LSTM] == before[LSTM]


def test_results_with_the_config_fields_of_an_earlier_version_are_read(
    videos, plan, library, tmp_path
):
    do_runs(videos, plan, tmp_path)
    trained = list(library.trained)
    for job in plan.jobs:
        path = run_folder(tmp_path, job.run) / "cell.json"
        result = json.loads(path.read_text())
        if result["config"]:
            assert result["config"]["loss"] == "softmax"
            for field in ("loss", "class_weight"):
                del result["config"][field]
            result["config"]["batch"] = result["config"].pop("batch_size")
            path.write_text(json.dumps(result))
    done, failed = do_runs(videos, plan, tmp_path)
    assert len(done) == 4 and failed == {} and library.trained == trained


@pytest.mark.parametrize("content", [b"garbage", b"[1]", b'"caf\xe9"', b"[" * 100_000])
def test_damaged_result_fails_its_run_and_those_that_add_it(
    videos, plan, library, tmp_path, content
):
    do_runs(videos, plan, tmp_path)
    (tmp_path / "cells" / RGB / "cell.json").write_bytes(content)
    done, failed = do_runs(videos, plan, tmp_path)
    assert {*done} == {LSTM, FLOW} and {*failed} == {RGB, SUM}
    assert all("cell.json: not a result of `tables`" in reason for reason in failed.values())


@pytest.mark.parametrize(
    "change",
    [
        {"top1": "0.5"},
        {"top1": 1.5},
        {"top1": float("nan")},
        {"top5": None},
        {"videos": 0},
        {"videos": 1.5},
        {"config": True},
    ],
)
def test_result_that_says_something_else_fails_its_run(videos, plan, library, tmp_path, change):
    do_runs(videos, plan, tmp_path)
    path = tmp_path / "cells" / RGB / "cell.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    done, failed = do_runs(videos, plan, tmp_path)
    assert {*done} == {LSTM, FLOW, SUM} and {*failed} == {RGB}
    assert "cell.json: not a result of `tables`" in failed[RGB]


def test_flow_spec_is_that_of_the_runs_that_read_flow(mini):
    assert flow_spec(make_plan(mini, pattern="*.rgb.*")) is None
    spec = flow_spec(make_plan(mini, pattern="TwoStream.*"))
    assert (spec.stream, spec.fps, spec.short_side) == ("flow", 12.5, 72)
