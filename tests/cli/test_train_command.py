"""`kinetics-i3d train`: what it hands to the library, and what it says of mistakes."""

import argparse
import csv
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import types

import pytest

from kinetics_i3d.cli import config_options, train
from kinetics_i3d.cli.main import make_parser
from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.data.records.prepare import PrepareConfig, prepare
from kinetics_i3d.training.config import TrainConfig
from kinetics_i3d.training.errors import TrainingStopped
from kinetics_i3d.training.recipes import RECIPES
from kinetics_i3d.weights.read import read_weights

HEAD = ("train", "InceptionI3D", "--data", "data", "--output", "out")


@pytest.fixture
def dataset(tmp_path, videos):
    """A table of three videos to train."""
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for name, label in (("one", "sit"), ("two", "stand"), ("three", "wave")):
            (tmp_path / f"{name}.mp4").write_bytes(videos[name].read_bytes())
            writer.writerow((f"{name}.mp4", label, "train"))
    return table


@pytest.fixture
def library(monkeypatch):
    """Stands in for the library; a list of the calls that it had."""
    calls = []

    def called(videos, config, output, **options):
        print("epoch 1")
        calls.append((videos, config, output, options))

    stand_in = types.SimpleNamespace(train=called)
    monkeypatch.setitem(sys.modules, "kinetics_i3d.training.train", stand_in)
    return calls


def test_every_field_of_the_config_is_an_option_of_one_topic():
    options = make_parser().parse_args(HEAD)
    assert config_options.read_fields(options, TrainConfig) == {"system": "InceptionI3D"}
    named = [field.name for field in config_options.FIELDS]
    assert len({*named}) == len(named)
    assert {field.name for field in dataclasses.fields(TrainConfig)} - {"system"} == {*named}


def test_the_help_groups_options_by_topic_and_tells_every_default(capsys):
    with pytest.raises(SystemExit):
        make_parser().parse_args(["train", "--help"])
    text = capsys.readouterr().out
    titles = re.findall(r"^([a-z ]+):$", text, re.MULTILINE)
    topics = [train.DATA, train.START, train.CLIPS, train.OPTIMIZATION, train.DEVICES]
    assert titles == ["positional arguments", *topics, train.CHECKPOINTS, "options"]
    first = [re.search(rf"^{topic}:\n  (--[a-z-]+)", text, re.MULTILINE)[1] for topic in topics]
    assert first == ["--data", "--recipe", "--frames", "--epochs", "--precision"]
    entries = re.split(r"\n  (?=--)", text)[1:]
    for entry in entries:
        flag = entry.split()[0].rstrip(",")
        if flag not in ("--data", "--output", "--labels", "--tensorboard", "--json"):
            assert "(default:" in " ".join(entry.split()), entry
    (flip,) = (entry for entry in entries if entry.startswith("--flip"))
    assert "mirror" in flip and "brightness" not in flip


def test_options_keep_their_types():
    words = "--learning-rate 1e-3 --epochs 3 --no-flip --area 0.5 0.9 --freeze Conv3d_1a Mixed_3b"
    words += " --streams flow --validation 0.1 --global-clipnorm 2 --synchronize-batch-norm"
    options = make_parser().parse_args([*HEAD, *words.split(), "--inflate", "x"])
    config = TrainConfig(**config_options.read_fields(options, TrainConfig))
    assert config == TrainConfig(
        learning_rate=1e-3,
        epochs=3,
        flip=False,
        area=(0.5, 0.9),
        freeze=("Conv3d_1a", "Mixed_3b"),
        inflate="x",
        streams=("flow",),
        validation="0.1",
        global_clipnorm=2.0,
        synchronize_batch_norm=True,
    )


def test_options_are_made_of_any_dataclass():
    @dataclasses.dataclass(frozen=True)
    class Later:
        some: int | None = None
        more: bool = True
        hidden: str = ""

    parser = argparse.ArgumentParser()
    fields = (
        config_options.Field("some", "topic", "N", "100% of it"),
        config_options.Field("more", "topic", "", "x"),
    )
    config_options.add_fields(parser, {"topic": parser}, Later, fields)
    assert "100% of it" in parser.format_help() and "x (default: yes)" in parser.format_help()
    assert "hidden" not in parser.format_help()
    options = parser.parse_args(["--some", "4", "--no-more"])
    assert config_options.read_fields(options, Later) == {"some": 4, "more": False}
    wrong = dataclasses.make_dataclass("Wrong", [("field", dict, None)])
    with pytest.raises(TypeError, match="field"):
        config_options.add_fields(
            parser, {"topic": parser}, wrong, (config_options.Field("field", "topic", "", "x"),)
        )


def test_all_is_handed_to_the_library_and_logs_go_to_stderr(command, dataset, library, tmp_path):
    words = ("train", "ConvNetLSTM", "--data", dataset, "--output", tmp_path / "run")
    more = ("--epochs", "2", "--spec-name", "mine", "--distribute", "auto", "--save-every", "7")
    code, out, err = command(*words, *more, "--tensorboard")
    assert (code, out) == (0, f"{tmp_path / 'run' / 'weights.h5'}\n")
    assert "epoch 1" in err
    ((videos, config, output, options),) = library
    assert len(videos) == 3 and config == TrainConfig(system="ConvNetLSTM", epochs=2)
    assert output == str(tmp_path / "run") and options["spec_name"] == "mine"
    assert options["about"]["command"].startswith("kinetics-i3d train ConvNetLSTM --data ")
    assert options["distribute"] == "auto" and options["save_every"] == 7
    assert options["tensorboard"]


def test_a_recipe_is_changed_by_options(command, dataset, library, tmp_path):
    words = ("train", "InceptionI3D", "--data", dataset, "--output", tmp_path / "run")
    assert command(*words, "--recipe", "figures", "--epochs", "1")[0] == 0
    assert library[0][1] == dataclasses.replace(RECIPES["figures"], epochs=1)
    code, _, err = command("train", "C3D", *words[2:], "--recipe", "figures")
    assert code == 2 and "--recipe must be one for C3D; 'figures' trains InceptionI3D" in err


def test_weights_prevail_over_a_recipe(command, dataset, library, tmp_path, caplog):
    words = ("train", "InceptionI3D", "--data", dataset, "--output", tmp_path / "run")
    with caplog.at_level("INFO", logger="absl"):
        code, _, err = command(*words, "--recipe", "jhmdb", "--weights", "rgb_figures")
    assert code == 0, err
    config = library[0][1]
    assert (config.architecture, config.transfer) == ("inception_v1_quarter", "full")
    assert any("architecture='googlenet'" in message for message in caplog.messages)
    more = ("--weights", "rgb_figures", "--transfer", "original")
    code, _, err = command(*words, "--recipe", "jhmdb", *more)
    assert code == 2 and "--transfer must be 'full' or 'fixed'" in err


def test_records_are_recognized(command, dataset, library, tmp_path):
    prepare(open_dataset(dataset), tmp_path / "records", PrepareConfig(streams=("rgb",)))
    words = ("train", "InceptionI3D", "--data", tmp_path / "records", "--output", tmp_path / "run")
    assert command(*words)[0] == 0
    assert library[0][0].count("train") == 3 and library[0][0].labels == ("sit", "stand", "wave")


def test_a_run_that_is_requested_to_stop_exits_with_try_again(
    command, dataset, monkeypatch, tmp_path
):
    def stopped(*_, **__):
        raise TrainingStopped("run: stopped after step 5")

    stand_in = types.SimpleNamespace(train=stopped)
    monkeypatch.setitem(sys.modules, "kinetics_i3d.training.train", stand_in)
    words = ("train", "InceptionI3D", "--data", dataset, "--output", tmp_path / "run")
    code, out, err = command(*words)
    assert (code, out) == (75, "") and err.splitlines()[-1].endswith("run: stopped after step 5")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--ema", "2"), "--ema must be in [0, 1)"),
        (("--schedule", "cosin"), "Did you mean 'cosine'"),
        (("--split", "dev"), "no videos in split 'dev'"),
        (("--validation", "dev"), "no videos in split 'dev'"),
        (("--inflate", "/none.h5"), "/none.h5: no such weights file"),
        (("--weights", "/none.h5", "--transfer", "full"), "/none.h5: no such weights file"),
        (("--weights", "rgb_figure", "--transfer", "full"), "did you mean rgb_figures"),
        (("--frames", "8"), "--frames must be at least 9 for the rgb stream"),
        (("--precision", "mixed_float16"), "on a CPU"),
    ],
)
def test_mistakes_are_found_before_a_run_is_begun(command, dataset, tmp_path, words, reason):
    head = ("train", "InceptionI3D", "--data", dataset, "--output", tmp_path / "run")
    code, out, err = command(*head, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err
    assert not (tmp_path / "run").exists()


@pytest.mark.long
@pytest.mark.slow
def test_sigterm_ends_the_command_with_its_code(dataset, tmp_path):
    small = "--architecture inception_v1_quarter --frames 9 --size 32 --test-size 32 --batch-size 1"
    words = ["train", "InceptionI3D", "--data", dataset, "--output", tmp_path / "run"]
    words += [*small.split(), "--test-short-side", "36", "--steps"]

    command = [sys.executable, "-m", "kinetics_i3d", *map(str, words), "9000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not (tmp_path / "run" / "state").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=400)
    assert (process.returncode, out) == (os.EX_TEMPFAIL, "")
    assert "stopped after step" in err.splitlines()[-1]
    (newest, *_) = sorted((tmp_path / "run" / "state").iterdir(), reverse=True)
    assert f"stopped after step {int(newest.stem.removeprefix('step-'))};" in err


@pytest.mark.slow
def test_a_run_from_the_command_line_ends_in_weights(command, dataset, short, tmp_path):
    small = f"--architecture {short} --frames 9 --size 32 --test-size 32 --steps 2"
    words = (
        "train",
        "InceptionI3D",
        "--data",
        dataset,
        "--output",
        tmp_path / "run",
        "--spec-name",
    )
    code, out, err = command(*words, "tiny", *small.split(), "--test-short-side", "36")
    assert code == 0, err
    info = read_weights(pathlib.Path(out.strip())).info
    assert info.labels == ("sit", "stand", "wave") and info.clip_spec.name == "tiny"
    assert info.about["command"].startswith("kinetics-i3d train InceptionI3D")
