"""The page word for word, and the bar charts."""

import json
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from kinetics_i3d.experiments.page import as_markdown, draw_bars, write_tables
from kinetics_i3d.experiments.plan import make_plan
from kinetics_i3d.experiments.results import make_results


def numbers(top1, top5=1.0, videos=100):
    return {"top1": top1, "top5": top5, "videos": videos}


def half(name):
    """Of two videos one is right; which one depends on the seed."""
    seed = int(name[-1])
    return {"sit/a.mp4": seed % 2 == 0, "sit/b.mp4": seed % 2 == 1}


@pytest.fixture
def results(mini, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    monkeypatch.setattr("platform.python_version", lambda: "3.11")
    done = {
        "ConvNetLSTM.rgb.scratch.original.0": numbers(0.30, 0.6),
        "ConvNetLSTM.rgb.scratch.original.1": numbers(0.32, 0.6),
        "ConvNetLSTM.rgb.imagenet.original.0": numbers(0.40, 0.7),
        "C3D.rgb.scratch.original.0": numbers(0.25),
        "C3D.rgb.given.full.0": numbers(0.45),
        "TwoStreamI3D.rgb.scratch.original.0": numbers(0.60),
        "TwoStreamI3D.rgb.scratch.original.1": numbers(0.62),
        "TwoStreamI3D.both.scratch.original.0": numbers(0.66),
        "TwoStreamI3D.both.scratch.full.0": numbers(0.81),
    }
    about = {
        "dataset": "toy",
        "kind": "hmdb51",
        "classes": 51,
        "training_videos": 70,
        "test_videos": 30,
        "split": "test",
        "frames": None,
        "imagenet": "net.h5",
        "sources": "runs/kinetics",
    }
    failed = {"TwoStreamI3D.flow.scratch.original.0": "the loss of step 3 is nan"}
    right = {name: half(name) for name in done}
    plan = make_plan(mini, images={"imagenet": "x"})
    return make_results(plan, done, failed, about=about, correct=right)


PAGE = """\
# The paper's tables on toy

Top-1 accuracy in % on 30 videos of the split `test`, 51 classes; 70 training videos. Mean ± \
sample standard deviation over seeds, with the number of seeds in parentheses. The paper's number \
is in square brackets.

Scale `mini`: narrow networks, tiny clips and few steps, for `kinetics-i3d figures`: tests the \
pipeline, not the systems.

ImageNet first: net.h5.

Fixed and Full-FT start from: runs/kinetics.

Made with python 3.11, kinetics-i3d 1.0, keras 1.0, tensorflow 1.0, numpy 1.0.

## Table 2: systems trained on these videos alone

| system | initialization | RGB | Flow | RGB+Flow |
| --- | --- | --- | --- | --- |
| (a) ConvNet+LSTM | from scratch | 31.0 ± 1.4 (2) [18.3] | – | – |
| (a) ConvNet+LSTM | ImageNet first | 40.0 (1) [36.0] | – | – |
| (b) 3D-ConvNet | from scratch | 25.0 (1) [24.3] | – | – |
| (e) Two-Stream I3D | from scratch | 61.0 ± 1.4 (2) | – | 66.0 (1) [62.2] |

## Table 3: from scratch and from image weights

| system | initialization | from scratch | from image weights | gain |
| --- | --- | --- | --- | --- |
| (a) ConvNet+LSTM | ImageNet first | 31.0 ± 1.4 (2) [18.3], top-5 60.0 \
| 40.0 (1) [36.0], top-5 70.0 | +9.0 |

## Table 4: features from other videos

| system | initialization there | Original | Fixed | Full-FT |
| --- | --- | --- | --- | --- |
| (b) 3D-ConvNet | given weights | 25.0 (1) [24.3] | – | 45.0 (1) |
| (e) I3D RGB+Flow | from scratch | 66.0 (1) [62.2] | – | 81.0 (1) [81.3] |

![Bars](systems.png)

## Hypotheses of the paper

- I3D RGB above ConvNet+LSTM (Original, from scratch): yes, by 30.0 points (±2.0 over seeds, ±0.0 \
by the number of videos).

## Left out

- fixed and full: they need --weights, the weights that they start from
- RGB and Flow of Two-Stream and 3D-Fused: each is one network that reads both streams

## Failed

- TwoStreamI3D.flow.scratch.original.0: the loss of step 3 is nan
"""


def test_page_text(results):
    assert as_markdown(results, charts=[("Bars", "systems.png")]) == PAGE


def test_page_of_another_dataset_has_no_numbers_of_the_paper(results):
    for group in results["groups"]:
        group["paper"] = None
    page = as_markdown(results)
    assert "The paper has no numbers for these runs." in page and "[" not in page


def test_numbers_and_charts_are_written(results, tmp_path):
    write_tables(tmp_path, results)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "systems.png",
        "tables.json",
        "tables.md",
        "transfer.png",
    ]
    assert json.loads((tmp_path / "tables.json").read_text()) == results
    lstm = results["groups"][0]
    assert lstm["top1"] == pytest.approx([30, 32]) and lstm["paper"] == 18.3
    assert "](transfer.png)" in (tmp_path / "tables.md").read_text()


def test_without_the_reports_extra_there_are_no_charts(results, tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_tables(tmp_path, results)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tables.json", "tables.md"]
    assert (tmp_path / "tables.md").read_text() == as_markdown(results)
    (record,) = caplog.records
    assert 'pip install "kinetics-i3d[reports]"' in record.message


def test_bars_end_at_the_means_and_marks_are_at_seeds_and_the_papers_number(tmp_path, monkeypatch):
    drawn = {}

    def record(method):
        original = getattr(matplotlib.axes.Axes, method)

        def call(self, *args, **options):
            drawn[options.get("label")] = args
            return original(self, *args, **options)

        monkeypatch.setattr(matplotlib.axes.Axes, method, call)

    record("barh")
    record("plot")
    group = {"system": "C3D", "stream": "rgb", "init": "scratch", "transfer": "original"}
    group |= {"top1": [20.0, 80.0], "mean": 50.0, "spread": 42.4, "paper": 90.0}
    draw_bars(tmp_path / "b.png", [group, {**group, "mean": 100.0, "paper": None}], title="$x")
    rows, means = drawn["mean top-1 accuracy in %"]
    assert (list(rows), means) == ([0, 1], [50.0, 100.0])
    assert drawn["one seed"][:2] == ((20.0, 80.0, 20.0, 80.0), (0, 0, 1, 1))
    assert drawn["paper"][:2] == ((90.0,), (0,))
    pixels = np.asarray(Image.open(tmp_path / "b.png").convert("L"))
    assert (pixels[:12] == 255).all() and (pixels[:, -12:] == 255).all() and pixels.min() < 100
    with pytest.raises(ValueError, match="`groups` must not be empty"):
        draw_bars(tmp_path / "none.png", [], title="x")
