"""Two real trainings and their sum, from figures to the page; an image network of frames."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from kinetics_i3d.data.datasets import open_dataset
from kinetics_i3d.evaluation.protocols import evaluate
from kinetics_i3d.experiments import runner
from kinetics_i3d.experiments.plan import plan_tables
from kinetics_i3d.experiments.runner import make_tables
from kinetics_i3d.experiments.scales import SCALES
from kinetics_i3d.experiments.single_frames import train_on_frames
from kinetics_i3d.figures.render import render_figure
from kinetics_i3d.models.conv_net_lstm import ConvNetLSTM
from kinetics_i3d.models.inception_v1 import InceptionV1
from kinetics_i3d.video.writer import write_video
from kinetics_i3d.weights.assign import named_variables

SMALLEST = {
    "frames": 9,
    "size": 32,
    "test_size": 32,
    "test_short_side": 36,
    "steps": 2,
    "batch_size": 2,
    "warmup": 0.0,
}


@pytest.fixture(scope="session")
def figures(tmp_path_factory):
    """The path of a table: two actions, two videos each to train and one to test."""
    folder, rows = tmp_path_factory.mktemp("two_figures"), ["path,label,split"]
    for action in ("bow", "wave"):
        for seed in range(3):
            clip = render_figure(action, seed=seed, frames=20, size=(48, 64))
            write_video(folder / f"{action}_{seed}.mp4", clip, fps=25)
            rows.append(f"{action}_{seed}.mp4,{action},{'test' if seed == 2 else 'train'}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder / "table.csv"


@pytest.fixture
def smallest(short):
    mini = SCALES["mini"]
    configs = {
        name: dataclasses.replace(config, architecture=short, **SMALLEST)
        for name, config in mini.configs.items()
        if name != "C3D"
    }
    return dataclasses.replace(mini, configs=configs, seeds=1)


@pytest.mark.long
def test_two_streams_are_trained_added_and_resumed(figures, smallest, tmp_path, monkeypatch):
    videos = open_dataset(shutil.copytree(figures.parent, tmp_path / "data") / figures.name)
    output = tmp_path / "out"
    plan = plan_tables(videos, output, smallest, pattern="TwoStreamI3D.*.scratch.*")
    results = make_tables(videos, output, plan)
    assert results["failed"] == {}
    rgb, flow, both = results["cells"]
    assert both["weights"] == rgb["weights"] | flow["weights"] and both["videos"] == 2
    assert len(list((tmp_path / "data").glob("*.flow.npz"))) == 6
    page = (output / "tables.md").read_text()
    shown = " | ".join(f"{100 * cell['top1']:.1f} (1)" for cell in (rgb, flow, both))
    assert f"| (e) Two-Stream I3D | from scratch | {shown} |" in page
    reports = [
        json.loads((output / "cells" / cell["name"] / "evaluation.json").read_text())
        for cell in (rgb, flow, both)
    ]
    # softmax(a + b) is softmax(a) softmax(b), normalized: of two classes by hand.
    for row in range(2):
        a, b, ab = (report["videos_tested"][row]["label_probability"] for report in reports)
        assert ab == pytest.approx(a * b / (a * b + (1 - a) * (1 - b)), abs=1e-5)

    def none(*_, **__):
        raise AssertionError("a finished run is only read")

    monkeypatch.setattr(runner, "train", none)
    monkeypatch.setattr(runner, "evaluate", none)
    assert make_tables(videos, output, plan) == results
    assert (output / "tables.md").read_text() == page
    monkeypatch.setattr(runner, "evaluate", evaluate)
    (output / "cells" / both["name"] / "cell.json").unlink()
    again = make_tables(videos, output, plan)
    assert again["cells"][2]["top1"] == both["top1"]


@pytest.mark.long
@pytest.mark.slow
def test_single_frames_train_an_image_network(figures, smallest, tmp_path):
    path = train_on_frames(open_dataset(figures), smallest, tmp_path / "frames")
    images = named_variables(InceptionV1(weights=path))
    backbone = ConvNetLSTM(weights=tmp_path / "frames" / "weights.h5").streams["rgb"]
    trained = named_variables(backbone)
    assert set(images) - set(trained) == {"Conv2d_0c_1x1/kernel", "Conv2d_0c_1x1/bias"}
    for name, variable in trained.items():
        np.testing.assert_array_equal(variable.numpy(), images[name].numpy())
    before = path.read_bytes()
    assert train_on_frames(None, smallest, tmp_path / "frames") == path
    assert path.read_bytes() == before
