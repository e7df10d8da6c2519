"""Means, spreads and claims by hand, the page word for word, and the bars pixel by pixel."""

import json
import math

import numpy as np
import pytest

from kinetics_i3d.core.canvas import ACCENT
from kinetics_i3d.experiments import page
from kinetics_i3d.experiments.page import as_markdown, draw_bars
from kinetics_i3d.experiments.paper import claims_of
from kinetics_i3d.experiments.plan import make_plan
from kinetics_i3d.experiments.results import Score, results_of, scores_of
from kinetics_i3d.experiments.runner import write_tables

LSTM = ("ConvNetLSTM", "rgb", "scratch", "original")
RGB, FLOW, BOTH = (
    ("TwoStreamI3D", stream, "scratch", "original") for stream in ("rgb", "flow", "both")
)


def cell(top1, top5=1.0, videos=100):
    return {"top1": top1, "top5": top5, "videos": videos}


def score(*top1, videos=10_000, order=1):
    """Of the first videos, or with `order=-1` of the last, as many are right as the mean says."""
    share = sum(top1) / len(top1) / 100
    names = [str(number) for number in range(videos)][::order]
    right = {name: float(place < share * videos) for place, name in enumerate(names)}
    return Score(top1, top1, tuple(range(len(top1))), videos, right)


def half(name):
    """Of a cell: of two videos one is right, which one its seed says."""
    seed = int(name[-1])
    return {"sit/a.mp4": seed % 2 == 0, "sit/b.mp4": seed % 2 == 1}


def test_mean_and_spread_by_hand():
    done = {
        "C3D.rgb.scratch.original.2": cell(0.58, 0.9),
        "C3D.rgb.scratch.original.0": cell(0.50, 0.6),
        "C3D.rgb.scratch.original.1": cell(0.54, 0.6, videos=99),
        "C3D.rgb.scratch.full.0": cell(0.5),
    }
    right = {name: half(name) for name in done}
    del right["C3D.rgb.scratch.original.1"]["sit/a.mp4"]  # could not be read
    scores = scores_of(done, right)
    found = scores["C3D", "rgb", "scratch", "original"]
    assert found.top1 == pytest.approx((50, 54, 58)) and found.seeds == (0, 1, 2)
    # Deviations -4, 0, 4: 32 by 2 degrees of freedom.
    assert (found.mean, found.spread) == (pytest.approx(54), pytest.approx(4))
    assert found.mean_top5 == pytest.approx(70) and found.videos == 99
    assert found.right == {"sit/b.mp4": pytest.approx(1 / 3)}
    single = scores["C3D", "rgb", "scratch", "full"]
    assert single.spread is None
    assert single.chance_error == pytest.approx(5)  # of 100 flips of a coin


def test_a_rank_is_claimed_where_it_is_more_than_chance():
    def verdict(i3d, lstm):
        claims = claims_of({RGB: i3d, LSTM: lstm})
        return [(one["verdict"], one["sentence"]) for one in claims]

    head = "I3D RGB above ConvNet+LSTM (Original, from scratch): "
    # Spreads of sqrt(2) each make 2.
    assert verdict(score(60, 62), score(50, 52)) == [
        (
            "yes",
            f"{head}yes, by 10.0 points (spread 2.0 over seeds, 0.3 by the number of videos).",
        )
    ]
    assert verdict(score(50, 52), score(60, 62))[0][1].startswith(f"{head}no, it is 10.0 points b")
    assert verdict(score(51, 53), score(50, 52))[0][1].startswith(
        f"{head}not decided, the difference is +1.0 points (spread 2.0"
    )
    # Few videos leave the same difference undecided, where it is not the same ones that are right.
    i3d, same = (score(top1, top1, videos=100) for top1 in (58, 50))
    other = score(50, 50, videos=100, order=-1)
    assert [verdict(i3d, lstm)[0][0] for lstm in (same, other)] == ["yes", "not decided"]
    # 8 videos of 100 are right on one side alone; or 50 on one and 42 on the other.
    errors = [claims_of({RGB: i3d, LSTM: lstm})[0]["chance_error"] for lstm in (same, other)]
    assert errors == pytest.approx([100 * math.sqrt(each / 99) for each in (0.0736, 0.9136)])
    assert verdict(i3d, score(0, 0, videos=1))[0][0] == "not decided"
    # A single run has no spread, and nothing is claimed of it.
    assert verdict(score(60, 62), score(50)) == [] and verdict(score(60), score(50)) == []


def test_claims_compare_what_belongs_together():
    high, low = score(80, 80), score(20, 20)
    groups = {
        RGB: low,
        FLOW: low,
        BOTH: high,
        ("TwoStreamI3D", "rgb", "imagenet", "original"): high,
        ("C3D", "rgb", "scratch", "original"): low,
        ("TwoStreamI3D", "rgb", "imagenet", "fixed"): low,
        ("TwoStreamI3D", "rgb", "given", "full"): high,
    }
    said = [claim["sentence"].split(" (spread")[0] for claim in claims_of(groups)]
    assert said == [
        "I3D RGB above 3D-ConvNet (Original, from scratch): not decided, the difference is +0.0 "
        "points",
        "I3D RGB+Flow above I3D RGB (Original, from scratch): yes, by 60.0 points",
        "I3D RGB+Flow above I3D Flow (Original, from scratch): yes, by 60.0 points",
        "I3D RGB above 3D-ConvNet (Original, ImageNet first and from scratch): yes, by 60.0 points",
        "I3D RGB, ImageNet first above from scratch (Original): yes, by 60.0 points",
        "I3D RGB, Fixed above Original (ImageNet first): no, it is 60.0 points below",
        "I3D RGB, Full-FT above Original (given weights): yes, by 60.0 points",
    ]


@pytest.fixture
def results(mini, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.0")
    monkeypatch.setattr("platform.python_version", lambda: "3.11")
    done = {
        "ConvNetLSTM.rgb.scratch.original.0": cell(0.30, 0.6),
        "ConvNetLSTM.rgb.scratch.original.1": cell(0.32, 0.6),
        "ConvNetLSTM.rgb.imagenet.original.0": cell(0.40, 0.7),
        "C3D.rgb.scratch.original.0": cell(0.25),
        "C3D.rgb.given.full.0": cell(0.45),
        "TwoStreamI3D.rgb.scratch.original.0": cell(0.60),
        "TwoStreamI3D.rgb.scratch.original.1": cell(0.62),
        "TwoStreamI3D.both.scratch.original.0": cell(0.66),
        "TwoStreamI3D.both.scratch.full.0": cell(0.81),
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
    return results_of(plan, done, failed, about=about, right=right)


PAGE = """\
# The paper's tables on toy

Top-1 accuracy in % on 30 videos of the split `test`, 51 classes; 70 videos to train with. Mean ± \
sample standard deviation over seeds (their number). In square brackets the paper's number.

Scale `mini`: narrow networks, tiny clips and few steps, for `kinetics-i3d figures`: shows that \
all works, not what the systems can do.

ImageNet first: net.h5.

Fixed and Full-FT start from: runs/kinetics.

Made with python 3.11, kinetics-i3d 1.0, keras 1.0, tensorflow 1.0, numpy 1.0.

## Table 2: the systems, trained on these videos alone

| system | start | RGB | Flow | RGB+Flow |
| --- | --- | --- | --- | --- |
| (a) ConvNet+LSTM | from scratch | 31.0 ± 1.4 (2) [18.3] | – | – |
| (a) ConvNet+LSTM | ImageNet first | 40.0 (1) [36.0] | – | – |
| (b) 3D-ConvNet | from scratch | 25.0 (1) [24.3] | – | – |
| (e) Two-Stream I3D | from scratch | 61.0 ± 1.4 (2) | – | 66.0 (1) [62.2] |

## Table 3: from scratch and from images

| system | start | from scratch | from images | gain |
| --- | --- | --- | --- | --- |
| (a) ConvNet+LSTM | ImageNet first | 31.0 ± 1.4 (2) [18.3], top-5 60.0 \
| 40.0 (1) [36.0], top-5 70.0 | +9.0 |

## Table 4: features from other videos

| system | start there | Original | Fixed | Full-FT |
| --- | --- | --- | --- | --- |
| (b) 3D-ConvNet | given weights | 25.0 (1) [24.3] | – | 45.0 (1) |
| (e) I3D RGB+Flow | from scratch | 66.0 (1) [62.2] | – | 81.0 (1) [81.3] |

![Bars](systems.png)

## What the numbers say

- I3D RGB above ConvNet+LSTM (Original, from scratch): yes, by 30.0 points (spread 2.0 over seeds, \
0.0 by the number of videos).

## Left out

- fixed and full: no --source is given, whose weights they start from
- RGB and Flow of Two-Stream and 3D-Fused: they are trained as one network of both streams, whose \
answer is one

## Failed

- TwoStreamI3D.flow.scratch.original.0: the loss of step 3 is nan
"""


def test_the_page_word_for_word(results):
    assert as_markdown(results, pictures=[("Bars", "systems.png")]) == PAGE


def test_the_paper_is_not_named_beside_other_videos(results):
    for group in results["groups"]:
        group["paper"] = None
    page = as_markdown(results)
    assert "The paper has no numbers of this dataset." in page and "[" not in page


def test_numbers_and_pictures_are_written(results, tmp_path):
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


def test_bars_are_as_long_as_their_means_and_dots_stand_at_their_seeds(tmp_path):
    from PIL import Image

    group = {"system": "C3D", "stream": "rgb", "init": "scratch", "transfer": "original"}
    group |= {"top1": [20.0, 80.0], "mean": 50.0, "spread": 42.4, "paper": 90.0}
    draw_bars(tmp_path / "bars.png", [group, {**group, "mean": 100.0, "paper": None}], title="x")
    pixels = np.asarray(Image.open(tmp_path / "bars.png"))
    left, top = page.MARGIN + page.NAME, page.MARGIN + 44

    def columns(row, color, above=0):
        line = pixels[top + row * page.ROW + page.ROW // 2 + above, left : left + page.BARS + 4]
        return np.flatnonzero((line == color).all(axis=1))

    # Above the dots, which cover the bar's middle.
    assert [len(columns(row, page.PALE, above=-6)) for row in (0, 1)] == [260, 520]
    dots = columns(0, ACCENT)
    assert {int(np.median(dots[dots < 260])), int(np.median(dots[dots > 260]))} == {104, 416}
    assert columns(0, page.PAPER_MARK).tolist() == [467, 468, 469]
    assert columns(1, page.PAPER_MARK).size == 0
    with pytest.raises(ValueError, match="`groups` must be one or more"):
        draw_bars(tmp_path / "none.png", [], title="x")
