"""`benchmark input`: what is printed of videos and of records, and what is refused."""

import csv
import dataclasses
import json
import time

import pytest

from kinetics_i3d.cli import benchmark
from kinetics_i3d.core.clip_spec import DEEPMIND, FVD, ClipSpec
from kinetics_i3d.data import pipeline
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.pipeline import InputBenchmark
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare

QUICK = ("--frames", "4", "--size", "56", "--batch-size", "2", "--seconds", "0.2")


@pytest.fixture
def table(tmp_path, videos):
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        writer.writerows((videos[name], "sit", "train") for name in ("one", "two"))
        writer.writerow((videos["text"], "stand", "test"))
    return path


@pytest.mark.slow
def test_videos_in_text(command, table):
    code, out, err = command("benchmark", "input", table, *QUICK)
    assert code == 0 and "Traceback" not in err
    lines = {line[:18].strip(): line[18:] for line in out.splitlines()}
    assert lines["source"] == "2 videos"
    assert float(lines["frames per second"]) == pytest.approx(
        4 * float(lines["clips per second"]), 0.2
    )
    shares = [int(lines[name].split()[0]) for name in ("read and decode", "augment and batch")]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert lines["limited by"] in benchmark.LIMITS.values()


@pytest.mark.slow
def test_records_in_json(command, table, tmp_path):
    spec = ClipSpec("small", fps=10, short_side=64, size=56)
    config = PrepareConfig(streams=("rgb",), spec=spec)
    dataset = open_dataset(table).split("train")
    folder = prepare(dataset, tmp_path / "records", config).folder
    code, out, _ = command("benchmark", "input", folder, *QUICK, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["kind"] == "records" and found["clip"] == [4, 56, 56]
    assert found["frames"] == pytest.approx(4 * found["clips"])
    assert found["limit"] in benchmark.LIMITS and found["peak_mb"] > 100

    words = ("--frames", "4", "--batch-size", "2", "--seconds", "0.2", "--json")
    code, out, _ = command("benchmark", "input", folder, *words)
    assert code == 0 and json.loads(out)["clip"] == [4, 56, 56]  # 256 is to 224 as 64 to 56

    spec = dataclasses.replace(spec, short_side=56, resize="stretch")
    stretched = prepare(dataset, tmp_path / "stretched", dataclasses.replace(config, spec=spec))
    code, out, _ = command("benchmark", "input", stretched.folder, *words)
    assert code == 0 and json.loads(out)["clip"] == [4, 56, 56]

    code, _, err = command("benchmark", "input", folder, *QUICK, "--streams", "flow")
    assert code == 2 and err.count("\n") == 1 and "not flow" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "required: WHAT"),
        (("output",), "invalid choice: 'output'"),
        (("input", "none.csv"), "none.csv"),
        (("input", "TABLE", "--split", "dev"), "no videos in split 'dev'"),
        (("input", "TABLE", "--streams", "depth"), "must be rgb, flow or rgb,flow"),
        (("input", "TABLE", "--frames", "0"), "must be 1 or more"),
        (("input", "TABLE", "--seconds", "0"), "--seconds must be above 0"),
    ],
)
def test_mistakes_are_one_line(command, table, words, message):
    words = [table if word == "TABLE" else word for word in words]
    code, out, err = command("benchmark", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_the_picture_keeps_its_proportion_to_the_crop():
    assert benchmark.of_size(DEEPMIND, 112).short_side == 128
    assert benchmark.of_size(DEEPMIND, 224).short_side == 256
    assert benchmark.of_size(FVD, 112).short_side == 112


@pytest.mark.parametrize(
    ("processors", "decode", "limit"),
    [(2.0, 0.8, "decoding"), (1.9, 0.3, "augmentation"), (0.8, 0.8, "waiting")],
)
def test_what_limits(processors, decode, limit):
    speed = InputBenchmark(1.0, 4.0, decode, processors, 2, 100.0, 1.0)
    assert speed.limit == limit and benchmark.LIMITS[limit] in benchmark.as_text(speed, "videos", 3)


@pytest.mark.slow
def test_speed_and_shares_are_those_of_the_pipeline(monkeypatch):
    """Stand-ins that take known times: 10 ms of work to decode a clip, 30 ms with the rest."""

    def work(seconds, clips):
        while True:
            end = time.thread_time() + seconds * clips
            while time.thread_time() < end:
                pass
            yield clips

    class Decoded:
        def batch(self, size):
            return work(0.01, size)

    monkeypatch.setattr(pipeline, "decoded_clips", lambda *_, **__: Decoded())
    monkeypatch.setattr(
        pipeline, "training_clips", lambda *_, batch_size, **__: work(0.03, batch_size)
    )
    speed = pipeline.measure_input(None, spec=DEEPMIND, frames=6, batch_size=2, seconds=1.2)
    assert speed.decode == pytest.approx(1 / 3, abs=0.05)
    assert speed.clips <= 34 and speed.frames == pytest.approx(6 * speed.clips)
    assert speed.clips == pytest.approx(speed.processors / 0.03, rel=0.1)
    assert 0.6 <= speed.seconds < 2
