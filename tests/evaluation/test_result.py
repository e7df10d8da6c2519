"""`Evaluation` and `combine`: sums of logits, tables and mistakes, against loops by hand."""

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.evaluation.compare import check_labels, combine
from kinetics_i3d.evaluation.result import ClassResult, Evaluation, class_results

LABELS = ("sit", "stand", "wave", "run")
SPECS = {"rgb": DEEPMIND, "flow": DEEPMIND_FLOW}


def evaluation(stream="rgb", *, seed=0, videos=12, **fields):
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


def shuffled(found, seed):
    order = np.random.default_rng(seed).permutation(len(found.paths))
    return Evaluation(
        found.labels,
        tuple(found.paths[place] for place in order),
        found.targets[order],
        {name: logits[order] for name, logits in found.logits.items()},
        found.skipped,
        found.views,
        found.specs,
        found.digests,
    )


def test_logits_are_added_video_by_video_whatever_the_order():
    rgb, flow = evaluation(), evaluation("flow", seed=1)
    joint = combine(rgb, shuffled(flow, 5))
    for row, path in enumerate(rgb.paths):
        for label in range(4):
            added = rgb.logits["rgb"][row][label] + flow.logits["flow"][row][label]
            assert joint.scores[row, label] == pytest.approx(added, rel=1e-6)
        assert joint.paths[row] == path
    assert joint.specs == SPECS and [*joint.digests] == ["rgb", "flow"]
    for name, one in (("rgb", rgb), ("flow", flow)):
        alone = joint.stream(name)
        assert alone.summary() == one.summary() and alone.specs == one.specs
        assert alone.digests == one.digests
    assert all((joint.predictions != one.predictions).any() for one in (rgb, flow))
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


@pytest.mark.parametrize(("changes", "said"), DIFFERENT)
def test_what_does_not_belong_together_is_listed(changes, said):
    with pytest.raises(DatasetError, match=said) as raised:
        combine(evaluation(), evaluation("flow", **changes))
    assert "\n" not in str(raised.value) and str(raised.value).startswith("rgb and flow: ")


def test_a_video_that_occurs_twice_is_refused():
    paths = (*(f"v/{number}.mp4" for number in range(11)), "v/0.mp4")
    twice = [evaluation(stream, paths=paths) for stream in ("rgb", "flow")]
    with pytest.raises(DatasetError, match=r"occur twice: v/0.mp4"):
        combine(*twice)


def test_two_of_one_stream_are_refused():
    with pytest.raises(ValueError, match=r"must be of another stream.*\['rgb'\] in both"):
        combine(evaluation(), evaluation(seed=2))


def test_equal_labels_pass():
    check_labels("two", LABELS, list(LABELS))


def test_what_was_skipped_by_either_is_kept_once():
    rgb = evaluation(skipped=("a: bad", "b: bad"))
    flow = evaluation("flow", skipped=("b: bad", "c: bad"))
    assert combine(rgb, flow).skipped == ("a: bad", "b: bad", "c: bad")


def test_a_part_keeps_its_rows():
    found = evaluation()
    part = found.only(["v/7.mp4", "v/2.mp4", "elsewhere.mp4"])
    assert part.paths == ("v/2.mp4", "v/7.mp4") and part.targets.tolist() == [2, 1]
    np.testing.assert_array_equal(part.logits["rgb"], found.logits["rgb"][[2, 7]])


def test_the_table_of_classes_equals_a_count_by_hand():
    found = evaluation(videos=30)
    rows = class_results(found.confusion(), LABELS)
    for index, row in enumerate(rows):
        taken = [
            LABELS[found.scores[video].argmax()]
            for video in range(30)
            if found.targets[video] == index
        ]
        assert (row.label, row.videos) == (LABELS[index], len(taken))
        assert row.right == taken.count(row.label)
        wrong = {label: taken.count(label) for label in taken if label != row.label}
        assert row.taken_for == wrong
        assert list(row.taken_for.values()) == sorted(wrong.values(), reverse=True)
        if taken:
            assert row.accuracy == row.right / len(taken)
    assert rows[3] == ClassResult("run", 0, 0, {})
    assert rows[3].accuracy is None and rows[3].most_frequent_wrong is None


def test_of_equal_confusions_the_first_label_is_told():
    (row, *_) = class_results([[1, 0, 2, 2], *np.zeros((3, 4), int)], LABELS)
    assert row.most_frequent_wrong == "wave" and row.taken_for == {"wave": 2, "run": 2}


def test_the_worst_mistakes_are_wrong_and_the_surest():
    found = evaluation(videos=40)
    expected = []
    for row in range(40):
        odds = [float(np.exp(value)) for value in found.scores[row].astype(float)]
        best = odds.index(max(odds))
        if best != found.targets[row]:
            expected.append((max(odds) / sum(odds), row))
    expected = [row for _, row in sorted(expected, reverse=True)]
    assert found.mistakes(100) == expected and len(expected) > 8
    assert found.mistakes(3) == expected[:3]


def test_the_summary_holds_the_interval_and_counts():
    found = evaluation(videos=10, skipped=("x",))
    summary = found.summary()
    right = sum(found.scores.argmax(axis=1) == found.targets)
    assert (summary["videos"], summary["skipped"]) == (10, 1)
    low, high = summary["top1_interval"]
    assert low < right / 10 == summary["top1"] < high
    assert 0 < summary["calibration_error"] < 1
