"""`combine` and `compare` against evaluations built by hand."""

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.evaluation.compare import Change, check_labels, combine, compare
from kinetics_i3d.evaluation.result import Evaluation

LABELS = ("sit", "stand", "wave", "run")
SPECS = {"rgb": DEEPMIND, "flow": DEEPMIND_FLOW}


def make_evaluation(stream="rgb", *, seed=0, videos=12, **fields):
    rng = np.random.default_rng(seed)
    made = {
        "labels": LABELS,
        "paths": tuple(f"v/{number}.mp4" for number in range(videos)),
        "targets": np.arange(videos) % 3,  # nobody runs
        "logits": {stream: rng.normal(0, 2, (videos, 4)).astype(np.float32)},
        "specs": {stream: SPECS[stream]},
        "digests": {stream: f"{seed:064x}"},
    }
    return Evaluation(**made | fields)


def shuffled(original, seed):
    order = np.random.default_rng(seed).permutation(len(original.paths))
    return Evaluation(
        original.labels,
        tuple(original.paths[index] for index in order),
        original.targets[order],
        {name: logits[order] for name, logits in original.logits.items()},
        original.skipped,
        original.views,
        original.specs,
        original.digests,
    )


def test_combine_adds_logits_in_any_order():
    rgb, flow = make_evaluation(), make_evaluation("flow", seed=1)
    joint = combine(rgb, shuffled(flow, 5))
    for row, path in enumerate(rgb.paths):
        for label in range(4):
            added = rgb.logits["rgb"][row][label] + flow.logits["flow"][row][label]
            assert joint.scores[row, label] == pytest.approx(added, rel=1e-6)
        assert joint.paths[row] == path
    assert joint.specs == SPECS and [*joint.digests] == ["rgb", "flow"]
    for name, single in (("rgb", rgb), ("flow", flow)):
        selected = joint.stream(name)
        assert selected.summary() == single.summary() and selected.specs == single.specs
        assert selected.digests == single.digests
    assert all((joint.predictions != single.predictions).any() for single in (rgb, flow))
    with pytest.raises(ValueError, match=r"`name` must be one of \['rgb', 'flow'\]"):
        joint.stream("sound")


DIFFERENT = [
    ({"labels": ("sit", "stand", "run", "wave")}, r"class 2 is 'wave' and 'run', class 3"),
    ({"labels": (*LABELS[:3], "a", "b")}, r"4 and 5 of them, class 3 is 'run' and 'a'"),
    ({"views": "flips"}, "the views differ: center and flips"),
    (
        {"paths": (*(f"v/{number}.mp4" for number in range(11)), "w.mp4")},
        r"only in rgb: v/11.mp4; only in flow: w.mp4",
    ),
    (
        {"paths": tuple(f"w/{number}.mp4" for number in range(12))},
        r"only in rgb: v/0.mp4, v/1.mp4, v/10.mp4, v/11.mp4, v/2.mp4 and 7 more; only in flow: w/0",
    ),
    (
        {"targets": np.array([0, 1, 2] * 3 + [0, 2, 2])},
        r"the classes of videos differ: v/10.mp4 \(stand and wave\)$",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), DIFFERENT)
def test_combine_lists_the_differences(changes, expected):
    with pytest.raises(DatasetError, match=expected) as raised:
        combine(make_evaluation(), make_evaluation("flow", **changes))
    assert "\n" not in str(raised.value) and str(raised.value).startswith("rgb and flow: ")


def test_combine_rejects_duplicate_videos():
    paths = (*(f"v/{number}.mp4" for number in range(11)), "v/0.mp4")
    twice = [make_evaluation(stream, paths=paths) for stream in ("rgb", "flow")]
    with pytest.raises(DatasetError, match=r"occur twice: v/0.mp4"):
        combine(*twice)


def test_combine_rejects_two_of_one_stream():
    with pytest.raises(ValueError, match=r"must be of a different stream.*\['rgb'\] in both"):
        combine(make_evaluation(), make_evaluation(seed=2))


def test_check_labels_accepts_equal_labels():
    check_labels("two", LABELS, list(LABELS))


def test_combine_merges_skipped_messages():
    rgb = make_evaluation(skipped=("a: bad", "b: bad"))
    flow = make_evaluation("flow", skipped=("b: bad", "c: bad"))
    assert combine(rgb, flow).skipped == ("a: bad", "b: bad", "c: bad")


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


def test_lost_and_won_videos_are_listed():
    result = compare(OLD, NEW)
    assert [change.path[-5] for change in result.lost] == ["1", "2"]
    assert [change.path[-5] for change in result.won] == ["3", "6", "7"]
    assert result.lost[0] == Change("/data/b/1.mp4", "b", "b", "x")
    assert result.won[2] == Change("/data/b/7.mp4", "b", "x", "b")
    # Of five videos two and three: 2 of 2^5 outcomes are as even on each side, all are as far.
    assert result.videos == 8 and result.p_value == 1.0


def test_accuracies_cover_the_shared_videos():
    result = compare(OLD, NEW)
    assert result.old["top1"] == 4 / 8 and result.new["top1"] == 5 / 8
    assert result.old["top5"] == 6 / 8 and result.new["top5"] == 7 / 8
    # Classes a: 0 3 6, b: 1 4 7, c: 2 5.
    assert result.old["mean_class"] == pytest.approx((1 / 3 + 1 / 3 + 2 / 2) / 3)
    assert result.new["mean_class"] == pytest.approx((3 / 3 + 1 / 3 + 1 / 2) / 3)
    part = compare(report([1, 1, None, 2]), report([None, 2, 1, 1]))
    assert part.videos == 2 and part.old["top1"] == part.new["top1"] == 0.5
    assert part.only_old == ("/data/a/0.mp4",) and part.only_new == ("/data/c/2.mp4",)
    assert (len(part.lost), len(part.won)) == (1, 1)


def test_p_value_is_that_of_fair_coins():
    result = compare(report([1] * 10), report([2] * 8 + [1] * 2))
    assert result.p_value == 2 / 2**8
    assert compare(OLD, OLD).p_value == 1.0


def test_videos_of_a_moved_dataset_are_matched():
    moved = compare(report([1, 2, 1]), report([2, 2, 1], folder="/elsewhere/data"))
    assert moved.videos == 3 and moved.lost[0].path == "/elsewhere/data/a/0.mp4"
    # Names that are not unique do not tell which is which.
    twice = report([1, 2, 1], folder="/x")
    twice["videos_tested"] += report([1, 2, 1], folder="/y")["videos_tested"]
    with pytest.raises(DatasetError, match="share no video"):
        compare(twice, report([1, 2, 1], folder="/z"))


def test_incomparable_reports_raise():
    with pytest.raises(DatasetError, match=r"earlier one has /data/a/0.mp4, the later one none"):
        compare(OLD, report([]))
    other = report([1, 1])
    other["videos_tested"][1]["label"] = "z"
    with pytest.raises(DatasetError, match=r"labels than before: /data/b/1.mp4 \(b and z\)$"):
        compare(OLD, other)


def test_comparison_is_json_ready():
    fields = compare(OLD, NEW).to_dict()
    assert fields["lost"][0]["label"] == "b" and fields["p_value"] == 1.0


def test_moved_videos_of_one_name_are_matched_by_folder():
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
    result = compare(old, {"videos_tested": rows("there", ("stand/a.mp4",))})
    assert result.videos == 2 and [change.path for change in result.lost] == ["there/stand/a.mp4"]
