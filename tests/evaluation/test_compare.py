"""`compare`: what changed between two evaluations, against sets built by hand."""

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.evaluation.compare import Change, compare


def report(ranks, *, folder="/data", label=None):
    """Videos 0, 1, ... of the classes a, b, c in turn, with the rank of the right label of each."""
    rows = []
    for number, rank in enumerate(ranks):
        if rank is not None:
            own = label or "abc"[number % 3]
            rows.append(
                {
                    "path": f"{folder}/{own}/{number}.mp4",
                    "label": own,
                    "prediction": own if rank == 1 else "x",
                    "rank": rank,
                }
            )
    return {"videos_tested": rows}


OLD = report([1, 1, 1, 2, 7, 1, 5, 6])
NEW = report([1, 3, 6, 1, 5, 1, 1, 1])


def test_every_video_that_changed_sides_is_named():
    found = compare(OLD, NEW)
    assert [each.path[-5] for each in found.lost] == ["1", "2"]
    assert [each.path[-5] for each in found.won] == ["3", "6", "7"]
    assert found.lost[0] == Change("/data/b/1.mp4", "b", "b", "x")
    assert found.won[2] == Change("/data/b/7.mp4", "b", "x", "b")
    # Of five videos two and three: 2 of 2^5 outcomes are as even on each side, all are as far.
    assert found.videos == 8 and found.p_value == 1.0


def test_accuracies_are_those_of_the_shared_videos():
    found = compare(OLD, NEW)
    assert found.old["top1"] == 4 / 8 and found.new["top1"] == 5 / 8
    assert found.old["top5"] == 6 / 8 and found.new["top5"] == 7 / 8
    # Classes a: 0 3 6, b: 1 4 7, c: 2 5.
    assert found.old["mean_class"] == pytest.approx((1 / 3 + 1 / 3 + 2 / 2) / 3)
    assert found.new["mean_class"] == pytest.approx((3 / 3 + 1 / 3 + 1 / 2) / 3)
    part = compare(report([1, 1, None, 2]), report([None, 2, 1, 1]))
    assert part.videos == 2 and part.old["top1"] == part.new["top1"] == 0.5
    assert part.only_old == ("/data/a/0.mp4",) and part.only_new == ("/data/c/2.mp4",)
    assert (len(part.lost), len(part.won)) == (1, 1)


def test_the_p_value_is_that_of_fair_coins():
    found = compare(report([1] * 10), report([2] * 8 + [1] * 2))
    assert found.p_value == 2 / 2**8
    assert compare(OLD, OLD).p_value == 1.0


def test_a_dataset_that_was_moved_is_known_again():
    moved = compare(report([1, 2, 1]), report([2, 2, 1], folder="/elsewhere/data"))
    assert moved.videos == 3 and moved.lost[0].path == "/elsewhere/data/a/0.mp4"
    # Names that are not unique do not tell which is which.
    twice = report([1, 2, 1], folder="/x")
    twice["videos_tested"] += report([1, 2, 1], folder="/y")["videos_tested"]
    with pytest.raises(DatasetError, match="no video is in both"):
        compare(twice, report([1, 2, 1], folder="/z"))


def test_what_cannot_be_compared_is_told():
    with pytest.raises(DatasetError, match=r"earlier one has /data/a/0.mp4, the later one none"):
        compare(OLD, report([]))
    other = report([1, 1])
    other["videos_tested"][1]["label"] = "z"
    with pytest.raises(DatasetError, match=r"other labels than before: /data/b/1.mp4 \(b and z\)$"):
        compare(OLD, other)


def test_all_of_it_is_json_ready():
    fields = compare(OLD, NEW).to_dict()
    assert fields["lost"][0]["label"] == "b" and fields["p_value"] == 1.0


def test_videos_of_a_moved_dataset_are_told_apart_by_their_folders():
    def rows(root, wrong):
        names = ("sit/a.mp4", "stand/a.mp4")
        return [
            {
                "path": f"{root}/{name}",
                "label": name.split("/")[0],
                "prediction": "sit",
                "rank": 1 + (name in wrong),
            }
            for name in names
        ]

    old = {"videos_tested": rows("here", ())}
    found = compare(old, {"videos_tested": rows("there", ("stand/a.mp4",))})
    assert found.videos == 2 and [change.path for change in found.lost] == ["there/stand/a.mp4"]
