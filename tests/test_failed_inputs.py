"""Inputs that once failed, one folder each in `cases` of the shared data, by the command line.

The README of each folder says what was wrong and what is right. Tests of the modules concerned
stand beside this one and need no shared data; these hold the very files.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.cli.main import main

pytestmark = pytest.mark.long  # each reads files or runs the example's network

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
FIGURES = ("--weights", "rgb_figures")


@pytest.fixture(scope="session")
def cases(shared):
    """The folder of the failed inputs."""
    return shared / "cases"


@pytest.fixture
def command(capsys):
    """(*words) -> (exit code, stdout, stderr) of the command, run in this process."""

    def call(*words):
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


def copy(source, target):
    """A copy of a file or folder that may be written to."""
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return target


# Videos


def test_latin1_metadata(cases, command):
    titles = [cases / f"latin1_metadata/latin1_title.{suffix}" for suffix in ("avi", "mp4", "mkv")]
    code, out, err = command("classify", *FIGURES, "--json", *titles, EXAMPLES / "wave.mp4")
    *found, last = json.loads(out)
    assert code == 0, err
    assert [len(each["predictions"]) for each in found] == [5, 5, 5]
    assert last["predictions"][0]["label"] == "wave"


@pytest.mark.parametrize("verb", ["classify", "flow", "doctor"])
def test_videos_out_of_bounds(cases, command, tmp_path, verb):
    sentences = {
        "extreme_aspect/wide16000x2.mp4": "16000 x 2",
        "huge_pictures/huge8192_x264_20frames.mp4": "8192 x 8192",
        "time_bomb/tenhours_2frames.mp4": "frames would be made",
        "time_bomb/fps_slow.mp4": "frames would be made",
        "time_bomb/gaps3599_10frames.mkv": "frames would be made",
    }
    videos = [
        *(cases / name for name in sentences),
        copy(EXAMPLES / "wave.mp4", tmp_path / "wave.mp4"),
    ]
    words = {
        "classify": ("classify", *FIGURES),
        "flow": ("flow", "--method", "farneback", "--output", tmp_path / "flow"),
        "doctor": ("doctor", "--spec", "deepmind"),
    }[verb]
    code, out, err = command(*words, *videos)
    assert code == 1
    for name, sentence in sentences.items():
        lines = [line for line in (out + err).splitlines() if sentence in line]
        assert any(pathlib.Path(name).name in line for line in lines) or verb == "doctor", err
        assert lines, name
    assert "wave" in out + err  # the other one is done


def test_damaged_arrays(cases, command):
    names = ("damaged.npz", "damaged.npy", "clip.npz")
    code, out, err = command(
        "doctor", "--spec", "deepmind", *(cases / "doctor_npz" / name for name in names),
        EXAMPLES / "wave.mp4",
    )  # fmt: skip
    assert code == 1
    assert (out + err).count("damaged.np") >= 2
    assert "wave.mp4" in out


def test_names_and_folders_that_cannot_be_read(command):
    name = "x" * 300 + ".mp4"
    code, out, err = command("classify", *FIGURES, name, EXAMPLES / "wave.mp4")
    assert code == 1
    assert "wave" in out
    assert "name too long" in err


# Datasets


def test_labels_with_a_header(cases):
    videos = ki3d.open_dataset(cases / "labels_header").videos
    assert {video.path.name: video.label for video in videos} == {
        "x.mp4": "abseiling",
        "y.mp4": "air drumming",
    }


@pytest.mark.parametrize(
    ("name", "videos"),
    [
        ("cvdf_k400", 4),
        ("k700_json", 2),
        ("keras_example", 1),
        ("mmaction_rawframes", 2),
        ("semicolon/t.csv", 1),
        ("semicolon/t2.csv", 1),
        ("slowfast_classids", 2),
    ],
)
def test_layouts(cases, name, videos):
    dataset = ki3d.open_dataset(cases / name)
    assert len({video.path for video in dataset.videos}) == videos, dataset.videos


def test_the_replacement_of_a_cut_video_and_an_empty_one(cases):
    paths = {video.path for video in ki3d.open_dataset(cases / "cvdf_k400").videos}
    assert not any(path.stat().st_size == 0 for path in paths)
    assert any("replacement" in str(path) for path in paths)


def test_a_span_of_a_whole_upload(cases):
    (video,) = ki3d.open_dataset(cases / "kinetics_untrimmed_id").videos
    assert (video.span.start, video.span.end) == (5, 15)
    assert ki3d.video_info(cases / "kinetics_untrimmed_id/AbCdEfGhIjK.mp4").duration > 50


def test_class_folders_with_underscores(cases, command, kinetics_file):
    words = ("--split", "val", "--weights", "rgb_kinetics400", "--json")
    code, out, err = command("evaluate", cases / "eval_folders", *words)
    assert code == 0, err
    assert (json.loads(out)["videos"], json.loads(out)["top1"]) == (2, 1)


# Flow and weights


def test_flow_stored_under_another_spec(cases, command, tmp_path, caplog):
    folder = copy(cases / "flow_then_classify", tmp_path / "case")
    weights = ("--weights", "flow_kinetics_jhmdb")
    code, out, err = command("classify", folder / "kick.mp4", *weights)
    assert code == 0 and "%" in out, err
    assert "the stored flow was computed from frames at 25fps_256px" in caplog.text
    code, out, err = command("evaluate", folder / "t.csv", *weights, "--json")
    assert code == 0 and json.loads(out)["videos"] == 1, err


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        # HDF5 crashes its process or notices the flip itself, depending on what is in memory.
        ("bitflip_own_h5/rgb_figures_byte1480895_bit7.h5", "damaged|not a complete hdf5 file"),
        ("own_h5_trusted/attr_int_json.h5", ""),
        ("own_h5_trusted/d_nan.h5", "nan"),
        ("torchscript_weights/i3d_torchscript.pt", "state_dict"),
        ("torchscript_weights/wholemodel.pt", "state_dict"),
    ],
)
def test_weights_that_are_refused(cases, command, name, sentence):
    code, out, err = command("classify", "--weights", cases / name, EXAMPLES / "wave.mp4")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert pathlib.Path(name).name in err and re.search(sentence, err.lower())


def test_a_bit_of_the_spec_or_of_a_label(command, tmp_path):
    good = (EXAMPLES.parent / "checkpoints/rgb_figures.h5").read_bytes()
    at = good.index(b"12.5")
    for place, bit in ((at, 0x04), (good.index(b"walk"), 0x01)):
        path = tmp_path / "flipped.h5"
        path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
        code, out, err = command("classify", "--weights", path, EXAMPLES / "wave.mp4")
        assert (code, out) == (2, "") and "damaged" in err


def test_a_clip_without_its_batch_into_a_saved_model(cases, command, tmp_path):
    code, _, err = command("export", "rgb_figures", tmp_path / "x", "--to", "savedmodel")
    assert code == 0, err
    program = cases / "savedmodel_unbatched/run.py"
    done = subprocess.run(
        [sys.executable, program, tmp_path / "x"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "rgb_must_be_batch_frames_height_width_3" in done.stderr


def test_channels_first_in_the_configuration_of_keras(cases):
    words = ("classify", EXAMPLES / "wave.mp4", *FIGURES)
    done = subprocess.run(
        [sys.executable, "-m", "kinetics_i3d", *words],
        env={**os.environ, "KERAS_HOME": str(cases / "channels_first")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "wave" in done.stdout.splitlines()[1]
