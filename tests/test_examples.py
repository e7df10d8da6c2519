"""The scripts of `examples/` and the notebook run as they stand, on a few small videos."""

import csv
import dataclasses
import json
import pathlib
import runpy
import sys

import numpy as np
import pytest
from short_network import register

import kinetics_i3d as ki3d

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of two classes with four videos each, all of them the same two clips."""
    folder = tmp_path_factory.mktemp("classes")
    for label in ("kick", "wave"):
        (folder / label).mkdir()
        for number in range(4):
            (folder / label / f"{number}.mp4").symlink_to(EXAMPLES / f"{label}.mp4")
    return folder


@pytest.fixture
def run(monkeypatch, capsys):
    """(script, *arguments) -> what it printed, run as the main program in this process."""

    def call(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return call


def tiny_weights(path, *, stream="rgb", classes=("sit", "stand")):
    """Random weights of a short network, for 32 pixels."""
    channels = {"rgb": 3, "flow": 2}[stream]
    model = ki3d.InceptionI3D(
        architecture=register(), classes=len(classes), input_shape=(None, None, None, channels)
    )
    kernel = model.get_layer("Conv3d_0c_1x1").kernel
    kernel.assign(1000 * kernel)  # logits of an untrained network are tiny
    spec = ki3d.ClipSpec("tiny", stream=stream, fps=12.5, short_side=36, size=32)
    ki3d.save_weights(model, path, labels=classes, clip_spec=spec)
    return path


def test_every_example_is_tested_and_described():
    names = {path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")}
    tests = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("tests/**/test_*.py"))
    pages = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("docs/*.md"))
    names.remove("make_clips.py")  # writes the clips that are committed
    assert not {name for name in names if f'"{name}"' not in tests}
    assert not {name for name in names if f"examples/{name}" not in pages}


@pytest.mark.slow
def test_classify_video(run):
    out = run("classify_video.py", EXAMPLES / "wave.mp4", "rgb_figures")
    assert out.splitlines()[0].endswith("wave") and "clip (1, " in out


@pytest.mark.slow
def test_classify_folder_writes_a_table_and_skips_a_broken_video(run, folder, tmp_path, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    for label in ("kick", "wave"):
        (videos / f"{label}.MP4").symlink_to(folder / label / "0.mp4")
    (videos / "broken.mp4").write_text("no video")
    (videos / "notes.txt").write_text("no video either")
    run("classify_folder.py", videos, tmp_path / "labels.csv", "--weights", "rgb_figures")
    with open(tmp_path / "labels.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["kick", "wave"]
    assert [pathlib.Path(row["path"]).name for row in rows] == ["kick.MP4", "wave.MP4"]
    assert all(0 < float(row["probability"]) <= 1 for row in rows)


@pytest.mark.long
def test_fine_tune(run, folder, tmp_path, monkeypatch):
    recipe = ki3d.config_from_recipe

    def small(name, **changes):
        sizes = {"frames": 16, "size": 32, "test_size": 32, "test_short_side": 36, "batch_size": 2}
        config = recipe(name, **changes)
        return dataclasses.replace(config, **sizes, precision="float32", linear_probe=0)

    monkeypatch.setattr(ki3d, "config_from_recipe", small)
    words = ("--weights", "rgb_figures", "--epochs", "1")
    out = run("fine_tune.py", folder, tmp_path / "run", *words)
    assert "top-1 accuracy: " in out and "% of 2 videos" in out
    assert ki3d.load_model(tmp_path / "run" / "weights.h5").labels == ("kick", "wave")


@pytest.mark.slow
def test_features_to_sklearn(run, folder):
    pytest.importorskip("sklearn")
    out = run("features_to_sklearn.py", folder, "--weights", "rgb_figures", "--folds", "2")
    assert "8 videos, 256 features each" in out and "accuracy: 100.0 %" in out


@pytest.mark.slow
def test_grad_cam_draws_the_class_that_is_requested(run, tmp_path):
    words = (EXAMPLES / "wave.mp4", tmp_path / "cam.gif", "--weights", "rgb_figures")
    out = run("grad_cam.py", *words, "--label", "clap")
    assert out.startswith("clap, ") and (tmp_path / "cam.gif").stat().st_size > 10_000


@pytest.mark.long
def test_two_streams_compute_their_own_flow(run, tmp_path):
    rgb = tiny_weights(tmp_path / "rgb.h5")
    flow = tiny_weights(tmp_path / "flow.h5", stream="flow")
    out = run("two_streams.py", EXAMPLES / "wave.mp4", "--rgb", rgb, "--flow", flow)
    first, *lines = out.splitlines()
    assert "flows of" in first and [line.split()[0] for line in lines] == ["rgb", "flow", "both"]
    # As in one call, up to the 8 bits that flow has there.
    model = ki3d.load_model({"rgb": rgb, "flow": flow})
    label, probability = ki3d.classify(EXAMPLES / "wave.mp4", model, top=1).predictions[0]
    assert lines[-1].endswith(label)
    assert float(lines[-1].split()[1]) / 100 == pytest.approx(probability, abs=0.01)


@pytest.mark.long
def test_keras_layer(run, folder, tmp_path):
    rows = [
        f"{folder}/{label}/{number}.mp4,{label},{'test' if number == 3 else 'train'}"
        for label in ("kick", "wave")
        for number in range(4)
    ]
    table = tmp_path / "videos.csv"
    table.write_text("\n".join(["path,label,split", *rows]) + "\n")
    out = run("keras_layer.py", table, "--frames", 16, "--epochs", 1)
    assert "accuracy: " in out and "of 2 test videos" in out


@pytest.mark.long
def test_use_hub_module(run, tmp_path):
    module = ki3d.export("rgb_figures", tmp_path / "module", to="hub", top=2)
    out = run("use_hub_module.py", module, EXAMPLES / "wave.mp4")
    first, second, logits = out.splitlines()
    probability, label = first.split(" %  ")
    assert label == "wave" and 90 < float(probability) <= 100
    assert float(second.partition(" %")[0]) < 100 - float(probability) + 0.02
    assert "logits (1, 12)" in logits


@pytest.mark.long
def test_fvd_of_folders_keeps_the_features_of_the_real_videos(run, folder, tmp_path):
    weights = tiny_weights(tmp_path / "rgb.h5", classes=tuple(map(str, range(400))))
    real = tmp_path / "real"
    real.symlink_to(folder / "kick")
    for _ in range(2):
        out = run("fvd_of_folders.py", real, folder / "kick", folder / "wave", "--weights", weights)
        rows = {line.split()[0]: line.split()[1:] for line in out.splitlines()[1:]}
        assert rows["kick"][0] == "4" and float(rows["kick"][1]) == pytest.approx(0, abs=1e-3)
        assert float(rows["wave"][1]) > float(rows["kick"][1])
        assert (tmp_path / "real_features.npz").is_file()


@pytest.mark.long
def test_quickstart_notebook_runs_and_has_no_outputs(monkeypatch):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    notebook = json.loads((EXAMPLES / "quickstart.ipynb").read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    pyplot.switch_backend("Agg")
    monkeypatch.chdir(EXAMPLES)
    names = {}
    for cell in cells:
        exec(compile("".join(cell["source"]), "quickstart.ipynb", "exec"), names)
    assert names["result"].predictions[0][0] == "wave"
    assert names["rows"].features.shape[1] == 256
    names["figure"].canvas.draw()
    shown = np.asarray(names["figure"].canvas.buffer_rgba())
    assert shown[..., :3].std() > 10 and len(names["figure"].axes) == 5
    pyplot.close(names["figure"])
