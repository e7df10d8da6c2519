"""`kinetics-i3d doctor`: lines, exit codes, JSON, pictures, and no TensorFlow."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kinetics_i3d.core.canvas import pillow


@pytest.fixture
def arrays(tmp_path):
    """Paths of a clip as the fixture `weights` wants it, of one in [0, 1], and of no clip."""
    clip = np.random.default_rng(0).uniform(-1, 1, (12, 32, 32, 3)).astype(np.float32)
    np.save(tmp_path / "good.npy", clip)
    np.save(tmp_path / "unit.npy", (clip + 1) / 2)
    (tmp_path / "text.npy").write_text("no array")
    return {name: tmp_path / f"{name}.npy" for name in ("good", "unit", "text")}


def test_a_line_for_each_finding(command, arrays, weights):
    code, out, err = command("doctor", arrays["unit"], "--weights", weights["good"])
    head, *lines = out.splitlines()
    assert (code, err, head) == (1, "", f"{arrays['unit']} (for tiny, rgb)")
    assert {line.split()[0] for line in lines} == {"ok", "error"}
    assert len({line.index(line.split()[2]) for line in lines if "size" not in line}) <= 2
    (problem,) = [line for line in lines if line.split()[0] == "error"]
    assert problem.split()[1] == "range" and problem.endswith("fix: clip * 2 - 1")


def test_folders_patterns_and_tables_are_examined(command, weights, videos, tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.mp4").write_bytes(videos[name].read_bytes())
    (tmp_path / "t.csv").write_text("path,label,split,start,end\ntwo.mp4,x,test,0.5,1.5\n")
    options = ("--weights", weights["good"], "--json")
    for words, paths in (
        ([tmp_path], ["one.mp4", "two.mp4"]),
        ([f"{tmp_path}/t*.mp4"], ["two.mp4"]),
        ([tmp_path / "t.csv"], ["two.mp4#t=0.5,1.5"]),
    ):
        _, out, _ = command("doctor", *words, *options)
        found = json.loads(out)
        assert [each["path"] for each in found] == [str(tmp_path / path) for path in paths]
        assert not any("error" in each for each in found)
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(12):
        picture = np.full((48, 64, 3), 20 * number, np.uint8)
        pillow()[0].fromarray(picture).save(frames / f"img_{number:05d}.jpg")
    _, out, _ = command("doctor", frames, *options)
    assert "error" not in json.loads(out)[0]
    _, _, err = command("doctor", f"{tmp_path}/two.mp4#t=7,8", *options)
    assert "no picture is shown in this part of the video" in err


def test_codes_over_several_files(command, arrays, weights, videos):
    options = ("--weights", weights["good"])
    assert command("doctor", arrays["good"], *options)[0] == 0
    code, out, err = command("doctor", arrays["text"], videos["one"], *options)
    assert code == 1 and str(videos["one"]) in out
    assert err.startswith(f"kinetics-i3d: error: {arrays['text']}: ") and err.count("\n") == 1
    code, out, err = command("doctor", arrays["text"], videos["missing"], *options)
    assert (code, out, err.count("\n")) == (2, "", 2)


def test_json(command, arrays, weights):
    files = [arrays[name] for name in ("unit", "text", "good")]
    code, out, _ = command("doctor", *files, "--json", "--weights", weights["good"])
    unit, text, good = json.loads(out)
    assert code == 1 and [unit["has_errors"], good["has_errors"]] == [True, False]
    assert sorted(text) == ["error", "path"]
    assert unit["spec"]["name"] == "tiny" and unit["kind"] == "array"
    fixes = [item["fix"] for item in unit["findings"] if item["severity"] == "error"]
    assert fixes == ["clip * 2 - 1"]


def test_specs_by_name_and_by_weights(command, arrays, videos):
    assert "(for fvd, rgb)" in command("doctor", videos["one"], "--spec", "fvd")[1]
    assert "(for deepmind, rgb)" in command("doctor", videos["one"])[1]
    assert "(for figures, rgb)" in command("doctor", videos["one"], "--weights", "rgb_figures")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "rgb_figure"], "did you mean rgb_figures"),
        (["--weights", "none.h5"], "none.h5: no such weights file"),
        (["--spec", "deepmnd"], "--spec: invalid choice: 'deepmnd'"),
        (["--output", "a.jpg"], "must end in .png"),
        (["--video", "b.mp4"], "--video is for arrays"),
    ],
)
def test_mistakes_are_one_line(command, videos, words, message):
    code, out, err = command("doctor", videos["one"], *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err


def test_damaged_weights_are_one_line(command, videos, weights):
    # The damage lies behind the header, or in it; either way nobody reads the arrays.
    code, _, err = command("doctor", videos["one"], "--weights", videos["text"])
    assert code == 2 and "unknown format; supported are TensorFlow" in err


def test_pictures_are_named_as_by_classify(command, arrays, videos, weights, tmp_path):
    options = ("--weights", weights["good"], "--output", tmp_path / "out.png")
    code, _, err = command("doctor", videos["one"], *options)
    assert (code, err) == (0, f"picture: {tmp_path / 'out.png'}\n")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    command("doctor", videos["one"], arrays["text"], arrays["unit"], *options)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "out.png",
        "out_one.png",
        "out_unit.png",
    ]


def test_it_needs_no_tensorflow(videos, weights):
    code = (
        "import sys; from kinetics_i3d.cli.main import main; code = main(sys.argv[1:]);"
        "print(code, *{'tensorflow', 'keras', 'PIL'} & set(sys.modules))"
    )
    words = ["doctor", str(videos["one"]), "--weights", str(weights["good"])]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "0" and done.stderr == ""
