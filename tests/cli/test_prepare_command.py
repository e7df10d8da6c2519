"""`kinetics-i3d prepare`: records on disk, exit codes, and one line for what is wrong."""

import json
import shutil

import pytest

from kinetics_i3d.cli import prepare
from kinetics_i3d.data.datasets import open_dataset

QUICK = ("--method", "farneback", "--workers", "2")


@pytest.fixture
def table(videos, tmp_path):
    """(*names of the videos) -> path of a table; the first is for the test, others to train."""

    def write(*names):
        folder = tmp_path / "in"
        folder.mkdir()
        lines = ["path,label,split"]
        for number, name in enumerate(names):
            if videos[name].is_file():
                shutil.copy(videos[name], folder / f"{name}.mp4")
            split = "train" if number else "test"
            lines.append(f"{name}.mp4,{('sit', 'stand')[number % 2]},{split}")
        (folder / "videos.csv").write_text("\n".join(lines) + "\n")
        return folder / "videos.csv"

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "splits"),
    [((), ("train", "val")), (("--validation", "0"), ("all",)), (("--split", "all"), ("all",))],
)
def test_a_dataset_without_splits_is_divided_unless_it_is_kept(
    command, videos, tmp_path, words, splits
):
    folder = tmp_path / "in"
    for label in ("sit", "stand"):
        for number in range(2):
            (folder / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(videos["one"], folder / label / f"{label}_{number}.mp4")
    words = ("--streams", "rgb", *words)
    code, _, err = command("prepare", folder, "--output", tmp_path / "out", *words)
    assert code == 0, err
    assert open_dataset(tmp_path / "out").splits == splits


@pytest.mark.slow
def test_records_are_written_and_their_folder_printed(command, table, tmp_path):
    out = tmp_path / "out"
    code, printed, err = command("prepare", table("one", "two", "three"), "--output", out, *QUICK)
    assert (code, printed, err) == (0, f"{out}\n", "")
    records = open_dataset(out)
    assert records.streams == ("rgb", "flow") and records.clip_spec.name == "deepmind"
    assert records.flow["method"] == "farneback" and records.flow["bound"] == 20.0
    assert (records.count("train"), records.count("test")) == (2, 1)
    message = "test: 1 record in 1 shard, all intact\ntrain: 2 records in 1 shard, all intact\n"
    assert command("prepare", "--check", out) == (0, message, "")
    code, printed, _ = command("prepare", "--json", "--check", out)
    shards = {"test": 1, "train": 1}
    expected = {"folder": str(out), "records": {"test": 1, "train": 2}, "shards": shards}
    assert (code, json.loads(printed)) == (0, expected | {"damaged": []})
    code, _, err = command("datasets", out, "--output", tmp_path / "records.csv")
    assert (code, err.count("\n")) == (2, 1) and "a table lists videos, but" in err
    shard = out / "train-00000-of-00001.tfrecord"
    shard.write_bytes(shard.read_bytes()[:-1])
    code, printed, err = command("prepare", "--check", out)
    assert (code, printed, err.count("\n")) == (1, "", 1)
    code, printed, _ = command("prepare", "--check", out, "--json")
    assert code == 1 and json.loads(printed)["damaged"][0]["path"] == str(shard)
    assert f"{shard}: " in err and "delete it and repeat the command" in err


@pytest.mark.slow
def test_every_option_arrives(command, table, tmp_path):
    words = ("--streams", "flow,rgb", "--split", "train", "--spec", "mediapipe", "--shard-size", 1)
    more = ("--quality", 60, "--flow-quality", 70, "--seed", 3, "--bound", 8)
    last = ("--rounding", "truncate", "--backend", "opencv", *QUICK)
    code, _, _ = command(
        "prepare", table("one", "two", "three"), "--output", tmp_path / "out", *words, *more, *last
    )
    assert code == 0
    settings = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]
    assert settings["streams"] == ["rgb", "flow"] and [*settings["videos"]] == ["train"]
    assert settings["spec"]["name"] == "mediapipe" and settings["shard_size"] == 1
    assert (settings["quality"], settings["flow_quality"], settings["seed"]) == (60, 70, 3)
    flow = settings["flow"]
    assert (flow["bound"], flow["rounding"], flow["backend"]) == (8.0, "truncate", "opencv")
    assert len(list((tmp_path / "out").glob("*.tfrecord"))) == 2


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--short-side", 24), ("custom", 25.0, 24, 24)),
        (("--fps", 5, "--short-side", 300), ("custom", 5.0, 300, 224)),
        (("--spec", "fvd", "--short-side", 300), ("custom", 25.0, 300, 300)),
        ((), ("deepmind", 25.0, 256, 224)),
    ],
)
def test_rate_and_size_may_differ_from_the_spec(command, table, tmp_path, words, expected):
    code, _, _ = command(
        "prepare", table("one"), "--output", tmp_path / "out", "--streams", "rgb", *words
    )
    assert code == 0
    spec = json.loads((tmp_path / "out" / "manifest.json").read_text())["settings"]["spec"]
    assert (spec["name"], spec["fps"], spec["short_side"], spec["size"]) == expected


def test_videos_that_cannot_be_read_are_reported(command, table, tmp_path, monkeypatch):
    path = table("one", "text", "empty", "missing", "two")
    words = ("prepare", path, "--output", tmp_path / "out", "--streams", "rgb")
    code, printed, err = command(*words)
    assert (code, printed) == (1, f"{tmp_path / 'out'}\n")
    messages = [line for line in err.splitlines() if line.startswith("kinetics-i3d: error: ")]
    assert sorted(line.split()[2] for line in messages) == [
        "empty.mp4:",
        "missing.mp4:",
        "text.mp4:",
    ]
    assert open_dataset(tmp_path / "out").count("train") == 1
    monkeypatch.setattr(prepare, "SHOWN", 1)
    code, _, err = command(*words)  # they are remembered
    assert code == 1 and "error: 2 more videos could not be read; manifest.json lists all" in err


def test_nothing_but_broken_videos_is_a_mistake(command, table, tmp_path):
    code, printed, err = command(
        "prepare", table("text", "empty"), "--output", tmp_path / "out", "--streams", "rgb"
    )
    assert (code, printed) == (2, "")
    assert err.splitlines()[-1].endswith("out: none of 2 videos could be read")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--streams", "sound"), "must be rgb, flow or rgb,flow, not sound"),
        (("--streams", "rgb,rgb"), "must be rgb, flow or rgb,flow, not rgb,rgb"),
        (("--quality", "0"), "--quality must be a whole number above 0"),
        (("--spec", "deepmind_flow"), "invalid choice: 'deepmind_flow'"),
        (("--split", "dev"), "no videos in split 'dev'"),
        (("--method", "dis", "--backend", "numba"), "--backend must be"),
        (("--workers", "0"), "must be 1 or more"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_written(command, table, tmp_path, words, message):
    code, printed, err = command("prepare", table("one"), "--output", tmp_path / "out", *words)
    assert (code, printed, err.count("\n")) == (2, "", 1)
    assert message in err and not (tmp_path / "out").exists()


def test_other_settings_and_folders_without_records_are_one_line(command, table, tmp_path):
    words = ("prepare", table("one"), "--output", tmp_path / "out", "--streams", "rgb")
    assert command(*words)[0] == 0
    code, _, err = command(*words, "--quality", "80")
    assert (code, err.count("\n")) == (2, 1)
    assert "quality is 95, requested is 80" in err
    code, _, err = command("prepare", "--check", "")
    assert (code, err.count("\n")) == (2, 1) and "--check: must not be empty" in err
    code, _, err = command("prepare", "--check", tmp_path / "in")
    assert (code, err.count("\n")) == (2, 1) and "manifest.json: no such manifest" in err
