"""`kinetics-i3d classify`: what it prints, draws, and does about files that are no videos."""

import functools
import json
import os
import subprocess
import sys

import pytest

from kinetics_i3d.cli.classify import load_model, picture_paths
from kinetics_i3d.core.errors import UserError

pytestmark = pytest.mark.slow  # each trains or runs whole networks

LABELS = ("sit", "stand", "wave")  # of the fixture `weights`
KEPT = functools.cache(load_model)


@pytest.fixture
def kept(monkeypatch):
    """Has a model that was loaded once be taken again: only the videos are others."""
    monkeypatch.setattr("kinetics_i3d.cli.classify.load_model", KEPT)


def test_text_ranks_the_labels(command, videos, weights, kept):
    code, out, err = command("classify", videos["one"], "--weights", weights["good"], "--top", "2")
    path, *lines = out.splitlines()
    assert (code, path) == (0, str(videos["one"]))
    assert err == f"weights: {weights['good']}, 3 actions\n"
    shares = [float(line.split()[0]) for line in lines]
    assert [line.split()[1] for line in lines] == ["%", "%"]
    assert {line.split()[2] for line in lines} < set(LABELS)
    assert shares == sorted(shares, reverse=True)
    assert len({line.index("%") for line in lines}) == 1


def test_tables_and_folders_are_classified(command, videos, weights, kept, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.mp4").write_bytes(videos[name].read_bytes())
    (tmp_path / "t.csv").write_text(
        "path,label,split,start,end\ntwo.mp4,sit,test,0,1\ntwo.mp4,sit,test,0.9,\n"
    )
    words = ("--weights", weights["good"], "--json")
    code, out, _ = command("classify", tmp_path, tmp_path / "t.csv", *words)
    found = json.loads(out)
    names = ["one.mp4", "two.mp4", "two.mp4#t=0,1", "two.mp4#t=0.9"]
    assert code == 0 and [each["path"] for each in found] == [str(tmp_path / n) for n in names]
    shares = [each["predictions"][0]["probability"] for each in found[1:]]
    assert len(set(shares)) == 3  # each part is another video


def test_json_has_an_object_for_each_video(command, videos, weights, kept):
    names = ("missing", "one", "empty", "two")
    words = [videos[name] for name in names]
    code, out, err = command("classify", *words, "--weights", weights["good"], "--json")
    found = json.loads(out)
    assert code == 1
    assert [each["path"] for each in found] == [str(word) for word in words]
    assert [sorted(each) for each in found] == [
        ["error", "path"],
        ["clip_specs", "path", "predictions", "seconds", "weights"],
    ] * 2
    assert [each.get("weights") for each in found] == [None, str(weights["good"])] * 2
    assert str(videos["missing"]) in found[0]["error"]
    for each in found[1::2]:
        assert {one["label"] for one in each["predictions"]} == set(LABELS)
        assert sum(one["probability"] for one in each["predictions"]) == pytest.approx(1)
        assert each["seconds"] > 0
    # TensorFlow may add a line on how often it traced, after the other tests of this process.
    messages = [line for line in err.splitlines() if line.startswith("kinetics-i3d: ")]
    assert [line.split(": ")[2] for line in messages] == [str(words[0]), str(words[2])]


@pytest.mark.parametrize("bad", ["missing", "empty", "text"])
def test_no_video_at_all_is_one_line_without_loading_a_model(
    command, videos, weights, bad, monkeypatch
):
    monkeypatch.setattr("kinetics_i3d.cli.classify.load_model", None)
    code, out, err = command("classify", videos[bad], "--weights", weights["good"])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"kinetics-i3d: error: {videos[bad]}: ")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("damaged", "not a complete HDF5 file"),
        ("image", "holds a model of images"),
        ("nameless", "must name its 3 classes"),
    ],
)
def test_weights_that_do_not_fit_are_one_line(command, videos, weights, name, message, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.data.streams.read_frames", None)  # found before decoding
    code, out, err = command("classify", videos["one"], "--weights", weights[name])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err


def test_unknown_weights_suggest_near_ones(command, videos, monkeypatch):
    monkeypatch.setattr("kinetics_i3d.weights.read.CATALOG", {"rgb_figures": None, "other": None})
    code, out, err = command("classify", videos["one"], "--weights", "rgb_figure")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "rgb_figures" in err and "other" not in err


def test_the_process_keeps_stderr_to_one_line(videos, weights):
    words = ["classify", videos["one"], "--weights", weights["nameless"]]
    # JAX, which Keras imports where it is installed, asks this process for more noise.
    quiet = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-m", "kinetics_i3d", *map(str, words)],
        env=quiet,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_picture_is_written_and_none_by_a_failure(command, videos, weights, tmp_path, kept):
    options = ("--weights", weights["good"], "--output", tmp_path / "out.png")
    assert command("classify", videos["text"], *options)[0] == 2
    assert list(tmp_path.iterdir()) == []
    code, _, err = command("classify", videos["one"], *options)
    assert code == 0 and err.endswith(f"\npicture: {tmp_path / 'out.png'}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert command("classify", videos["one"], videos["empty"], videos["one"], *options)[0] == 1
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["out.png", "out_one.png", "out_one_2.png"]


def test_a_picture_that_cannot_be_written_loses_no_result(command, videos, weights, tmp_path, kept):
    (tmp_path / "file").touch()
    words = ("--weights", weights["good"], "--output", tmp_path / "file" / "out.png")
    code, out, err = command("classify", videos["one"], videos["two"], *words)
    assert code == 2 and {str(videos["one"]), str(videos["two"])} < {*out.splitlines()}
    assert f"{tmp_path / 'file'}: a folder is needed, and this is a file" in err
    code, out, _ = command("classify", videos["one"], videos["two"], *words, "--json")
    assert code == 2 and len(json.loads(out)) == 2
    code, out, _ = command("doctor", videos["one"], *words, "--json")
    assert code == 2 and json.loads(out)[0]["findings"]


@pytest.mark.parametrize(
    ("verb", "drawing"),
    [
        ("classify", "kinetics_i3d.inference.classify.draw_filmstrip"),
        ("doctor", "kinetics_i3d.inference.doctor.contact_sheet.draw_contact_sheet"),
    ],
)
def test_one_picture_that_fails_is_reported(
    command, videos, weights, tmp_path, kept, monkeypatch, verb, drawing
):
    def draw(path, *_, **__):
        if path.name == "out_one.png":
            raise OSError(28, "No space left on device", str(path))
        path.touch()

    monkeypatch.setattr(drawing, draw)
    words = ("--weights", weights["good"], "--output", tmp_path / "out.png")
    code, _, err = command(verb, videos["one"], videos["two"], *words)
    assert code == 1 and "out_one.png: No space left on device" in err
    assert [path.name for path in tmp_path.iterdir()] == ["out_two.png"]


def test_flow_weights_are_added_to_those_of_rgb(command, videos, monkeypatch):
    asked = []

    def load(weights, streams):
        asked.append((weights, streams))
        raise UserError("not loaded")

    monkeypatch.setattr("kinetics_i3d.cli.classify.load_model", load)
    monkeypatch.setattr("kinetics_i3d.weights.read.fetch_weights", lambda *names, **options: [])
    words = ("classify", videos["one"], "--flow-weights", "flow_kinetics_jhmdb")
    for streams in ((), ("--streams", "rgb,flow")):
        assert command(*words, *streams)[0] == 2
    assert [weights["rgb"] for weights, _ in asked] == ["rgb_kinetics400"] * 2
    code, _, err = command(*words, "--streams", "flow")
    assert code == 2 and "for flow alone use --weights flow_kinetics_jhmdb" in err


def test_pictures_never_share_a_name(tmp_path):
    paths = picture_paths(
        tmp_path / "o.png", ["wave_2.mp4", "a/wave.mp4", "b/WAVE.mp4", "wave.avi"]
    )
    assert [path.name for path in paths] == [
        "o_wave_2.png",
        "o_wave.png",
        "o_WAVE_3.png",
        "o_wave_4.png",
    ]
    assert picture_paths(None, ["a", "b"]) == [None, None]
    (tmp_path / "folder.png").mkdir()
    for wrong in (tmp_path / "o.jpg", tmp_path / "folder.png"):
        with pytest.raises(UserError, match=wrong.name):
            picture_paths(wrong, ["a.mp4"])
