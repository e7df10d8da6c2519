"""The paper's numbers and hypotheses, against each other and by hand."""

import math

import pytest

from kinetics_i3d.experiments.paper import (
    FROM_IMAGENET,
    FROM_SCRATCH,
    TRANSFER,
    check_hypotheses,
    paper_number,
)
from kinetics_i3d.experiments.results import Score

LSTM = ("ConvNetLSTM", "rgb", "scratch", "original")
RGB, FLOW, BOTH = (
    ("TwoStreamI3D", stream, "scratch", "original") for stream in ("rgb", "flow", "both")
)


def score(*top1, videos=10_000, order=1):
    """Of the first videos, or with `order=-1` of the last, as many are right as the mean says."""
    share = sum(top1) / len(top1) / 100
    names = [str(number) for number in range(videos)][::order]
    right = {name: float(place < share * videos) for place, name in enumerate(names)}
    return Score(top1, top1, tuple(range(len(top1))), videos, right)


def test_tables_of_the_paper_are_consistent():
    seen = 0
    for kind, table in TRANSFER.items():
        for system, starts in table.items():
            for init, (original, _, _) in starts.items():
                table_2 = {"imagenet": FROM_IMAGENET, "scratch": FROM_SCRATCH}[init]
                row = table_2[kind].get(system)
                if row is not None:
                    assert row[0 if row[2] is None else 2] == original
                    seen += 1
    assert seen == 10
    for group, kind, wanted in (
        (("TwoStreamI3D", "flow", "imagenet", "original"), "ucf101", 90.6),
        (("TwoStreamI3D", "both", "scratch", "original"), "hmdb51", 62.2),
        (("TwoStreamI3D", "both", "scratch", "full"), "hmdb51", 81.3),
        (("TwoStreamI3D", "rgb", "scratch", "full"), "hmdb51", None),
        (("TwoStreamI3D", "rgb", "scratch", "original"), "kinetics", 68.4),
        (("ConvNetLSTM", "rgb", "scratch", "fixed"), "ucf101", 82.6),
        (("C3D", "rgb", "scratch", "original"), "kinetics", 56.1),
        (("C3D", "rgb", "scratch", "full"), "kinetics", None),
        (("TwoStream", "both", "frames", "original"), "ucf101", None),
        (("TwoStream", "both", "imagenet", "original"), "jhmdb", None),
        (("TwoStream", "both", "imagenet", "original"), None, None),
    ):
        assert paper_number(kind, group) == wanted, group


def test_hypotheses_are_decided_beyond_chance():
    def verdict(i3d, lstm):
        hypotheses = check_hypotheses({RGB: i3d, LSTM: lstm})
        return [(row["verdict"], row["sentence"]) for row in hypotheses]

    head = "I3D RGB above ConvNet+LSTM (Original, from scratch): "
    # Spreads of sqrt(2) each make 2.
    assert verdict(score(60, 62), score(50, 52)) == [
        (
            "yes",
            f"{head}yes, by 10.0 points (±2.0 over seeds, ±0.3 by the number of videos).",
        )
    ]
    assert verdict(score(50, 52), score(60, 62))[0][1].startswith(f"{head}no, it is 10.0 points b")
    assert verdict(score(51, 53), score(50, 52))[0][1].startswith(
        f"{head}not decided, the difference is +1.0 points (±2.0"
    )
    # With few videos the same difference is undecided if different ones are right.
    i3d, same = (score(top1, top1, videos=100) for top1 in (58, 50))
    other = score(50, 50, videos=100, order=-1)
    assert [verdict(i3d, lstm)[0][0] for lstm in (same, other)] == ["yes", "not decided"]
    # 8 videos of 100 are right on one side only; or 50 on one and 42 on the other.
    errors = [check_hypotheses({RGB: i3d, LSTM: lstm})[0]["chance_error"] for lstm in (same, other)]
    expected = [100 * math.sqrt(variance / 99) for variance in (0.0736, 0.9136)]
    assert errors == pytest.approx(expected)
    assert verdict(i3d, score(0, 0, videos=1))[0][0] == "not decided"
    # A single run has no spread, so nothing is tested.
    assert verdict(score(60, 62), score(50)) == [] and verdict(score(60), score(50)) == []


def test_hypotheses_compare_matching_groups():
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
    message = [row["sentence"].split(" (±")[0] for row in check_hypotheses(groups)]
    assert message == [
        "I3D RGB above 3D-ConvNet (Original, from scratch): not decided, the difference is +0.0 "
        "points",
        "I3D RGB+Flow above I3D RGB (Original, from scratch): yes, by 60.0 points",
        "I3D RGB+Flow above I3D Flow (Original, from scratch): yes, by 60.0 points",
        "I3D RGB above 3D-ConvNet (Original, ImageNet first and from scratch): yes, by 60.0 points",
        "I3D RGB, ImageNet first above from scratch (Original): yes, by 60.0 points",
        "I3D RGB, Fixed above Original (ImageNet first): no, it is 60.0 points below",
        "I3D RGB, Full-FT above Original (given weights): yes, by 60.0 points",
    ]
