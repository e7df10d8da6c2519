"""Runs on Ray on this machine: complete, each row once, equal to one process, also when killed."""

import dataclasses
import importlib.util
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.inference.feature_options import FeatureOptions
from kinetics_i3d.scale import run as module
from kinetics_i3d.scale.cluster import Cluster
from kinetics_i3d.scale.flow_work import FlowWork
from kinetics_i3d.scale.results import claimed
from kinetics_i3d.scale.run import run
from kinetics_i3d.scale.storage import open_storage
from kinetics_i3d.scale.works import FeatureWork
from kinetics_i3d.video.writer import write_video

pytestmark = [
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("ray", "pyarrow"))),
        reason="the extra `scale` is not installed; `make scale` installs it and runs this",
    ),
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
WINDOWS = {"window": 16, "stride": 8}


@pytest.fixture(scope="module")
def ray():
    """A Ray of two processors, which all tests share: it takes seconds to start."""
    with Cluster().connected() as ray:
        yield ray


@pytest.fixture(scope="module")
def work():
    return FeatureWork.create("rgb_figures", FeatureOptions(**WINDOWS))


def rows_of(output):
    """{video: {column: values}} of all rows."""
    import pyarrow.dataset

    table = pyarrow.dataset.dataset(f"{output}/results", partitioning="hive").to_table()
    rows: dict = {}
    for row in table.to_pylist():
        for column, value in row.items():
            rows.setdefault(row["video"], {}).setdefault(column, []).append(value)
    return rows


def table_of(path):
    import pyarrow.parquet

    return pyarrow.parquet.read_table(path).to_pylist()


def test_a_run_equals_one_process_and_a_repeated_one_makes_what_is_missing(
    ray, work, videos, tmp_path
):
    output = tmp_path / "out"
    report = run(work, videos, output)
    assert (report.made, report.kept, list(report.failures)) == (2, 0, ["broken.mp4"])
    rows = rows_of(output)
    assert sorted(rows) == ["b.mp4", "inside/a.mp4"]
    for video, columns in rows.items():
        expected = ki3d.extract_features(videos / video, "rgb_figures", **WINDOWS)
        np.testing.assert_allclose(columns["features"], expected.features, atol=1e-5)
        assert columns["start"] == expected.start.tolist()
        assert {*columns["key"]} == {expected.metadata["key"]}
    keys = {row["video"]: row["key"] for row in table_of(output / "videos.parquet")}
    assert keys == {video: columns["key"][0] for video, columns in rows.items()}
    ((video, error),) = [(*row.values(),) for row in table_of(output / "failures.parquet")]
    assert video == "broken.mp4" and "not a video in a supported format" in error

    assert run(work, videos, output).made == 0
    (removed,) = output.glob(f"results/*/{keys['b.mp4']}.parquet")
    others = {path: path.stat().st_mtime_ns for path in output.glob("results/*/*")}
    removed.unlink()
    again = run(work, videos, output)
    assert (again.made, again.kept) == (1, 1) and rows_of(output) == rows
    del others[removed]
    assert all(path.stat().st_mtime_ns == written for path, written in others.items())


def test_videos_and_output_behind_an_address(ray, work, videos, remote, tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    stores = {"store://in": remote(videos), "store://out": remote(tmp_path / "out")}
    monkeypatch.setattr(module, "open_storage", stores.__getitem__)
    names = ["b.mp4", "broken.mp4"]
    monkeypatch.setattr(module, "find_inputs", lambda source: (stores[source], names))
    report = run(work, "store://in", "store://out")
    assert (report.made, list(report.failures)) == (1, ["broken.mp4"])
    columns = rows_of(tmp_path / "out")["b.mp4"]
    expected = ki3d.extract_features(videos / "b.mp4", "rgb_figures", **WINDOWS)
    np.testing.assert_allclose(columns["features"], expected.features, atol=1e-5)
    assert run(work, "store://in", "store://out").made == 0


def test_flow_files_lie_as_those_of_the_verb(ray, videos, tmp_path):
    work = FlowWork(ki3d.load_model("rgb_figures").clip_spec, FlowSettings("farneback"))
    report = run(work, videos, tmp_path / "out")
    assert (report.made, len(report.failures)) == (2, 1)
    for name in ("b.mp4", "inside/a.mp4"):
        write_flow_file(videos / name, tmp_path / "one.npz", spec=work.spec, settings=work.flow)
        made = tmp_path / "out" / f"{name}.flow.npz"
        assert made.read_bytes() == (tmp_path / "one.npz").read_bytes()
    (tmp_path / "out" / "b.mp4.flow.npz").unlink()
    assert run(work, videos, tmp_path / "out").made == 1


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
def test_records_equal_those_of_prepare(ray, videos, tmp_path, several):
    from kinetics_i3d.data.records.prepare import PrepareConfig, prepare, verify_records
    from kinetics_i3d.scale.prepare import prepare_on_cluster

    folder = tmp_path / "classes"
    for name, label in (("b.mp4", "sit"), ("inside/a.mp4", "stand"), ("broken.mp4", "sit")):
        path = folder / label / pathlib.Path(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((videos / name).read_bytes())
    config = PrepareConfig(streams=("rgb",), shard_size=1, validation=0)
    dataset = ki3d.open_dataset(folder)
    if several:
        labeled = [dataclasses.replace(each, labels=dataset.labels) for each in dataset.videos]
        dataset = dataclasses.replace(dataset, videos=tuple(labeled))
    expected = prepare(dataset, tmp_path / "one", config, workers=1)
    records = prepare_on_cluster(dataset, tmp_path / "many", config)
    assert not verify_records(tmp_path / "many")
    split = records.splits[0]
    assert records.failures(split) == expected.failures(split) and records.count(split) == 2
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "many" / path.name).read_bytes() == path.read_bytes()


def test_a_killed_network_loses_nothing_and_doubles_nothing(ray, work, tmp_path):
    folder, output = tmp_path / "videos", tmp_path / "out"
    random = np.random.default_rng(0)
    for number in range(8):
        pixels = random.integers(0, 256, (16, 48, 64, 3), np.uint8)
        write_video(folder / f"{number}.mp4", pixels, fps=25)
    killed = []

    def kill():
        while not killed:
            if list(output.glob("results/*/*.parquet")):
                for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                    if b"_Network" in path.read_bytes():
                        os.kill(int(path.parent.name), signal.SIGKILL)
                        killed.append(path)
            time.sleep(0.05)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    report = run(work, folder, output)
    killed.append("too late")
    killer.join()
    assert len(killed) > 1, "no network was killed"
    assert not report.failures and report.made == 8
    assert {video: len(row["key"]) for video, row in rows_of(output).items()} == {
        f"{number}.mp4": 1 for number in range(8)
    }


def test_an_output_that_cannot_be_written_is_one_line(ray, work, videos, tmp_path):
    output = tmp_path / "out"
    with claimed(open_storage(output), work.name, work.settings):
        (output / "results").mkdir()
    for number in range(256):
        (output / "results" / f"shard={number:02x}").write_text("a file in the way")
    with pytest.raises(UserError, match="cannot be written") as caught:
        run(work, videos, output)
    assert "\n" not in str(caught.value)
    assert not (output / "videos.parquet").exists()
