"""Means and spreads of the tables by hand."""

import pytest

from kinetics_i3d.experiments.results import correct_videos, group_scores


def numbers(top1, top5=1.0, videos=100):
    return {"top1": top1, "top5": top5, "videos": videos}


def test_videos_with_the_same_short_name_are_counted_separately():
    rows = [
        {"path": f"subject{number}/cam1/0001.mp4", "rank": rank}
        for number, rank in enumerate((1, 2))
    ]
    rows.append({"path": "subject0/cam1/0002.mp4", "rank": 1})
    assert correct_videos({"videos_tested": rows}) == {
        "subject0/cam1/0001.mp4": True,
        "subject1/cam1/0001.mp4": False,
        "cam1/0002.mp4": True,
    }


def half(name):
    """Of two videos one is right; which one depends on the seed."""
    seed = int(name[-1])
    return {"sit/a.mp4": seed % 2 == 0, "sit/b.mp4": seed % 2 == 1}


def test_mean_and_spread_equal_a_calculation_by_hand():
    done = {
        "C3D.rgb.scratch.original.2": numbers(0.58, 0.9),
        "C3D.rgb.scratch.original.0": numbers(0.50, 0.6),
        "C3D.rgb.scratch.original.1": numbers(0.54, 0.6, videos=99),
        "C3D.rgb.scratch.full.0": numbers(0.5),
    }
    right = {name: half(name) for name in done}
    del right["C3D.rgb.scratch.original.1"]["sit/a.mp4"]  # could not be read
    scores = group_scores(done, right)
    score = scores["C3D", "rgb", "scratch", "original"]
    assert score.top1 == pytest.approx((50, 54, 58)) and score.seeds == (0, 1, 2)
    # Deviations -4, 0, 4: 32 by 2 degrees of freedom.
    assert (score.mean, score.spread) == (pytest.approx(54), pytest.approx(4))
    assert score.mean_top5 == pytest.approx(70) and score.videos == 99
    assert score.right == {"sit/b.mp4": pytest.approx(1 / 3)}
    single = scores["C3D", "rgb", "scratch", "full"]
    assert single.spread is None
    assert single.chance_error == pytest.approx(5)  # of 100 flips of a coin
