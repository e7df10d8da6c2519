"""`Evaluation`, `class_results` and `LogitCache` against plain loops."""

import hashlib
import importlib.metadata
import json

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import DEEPMIND, DEEPMIND_FLOW
from kinetics_i3d.evaluation.result import ClassResult, Evaluation, LogitCache, class_results

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


def test_select_keeps_rows_in_order():
    evaluation = make_evaluation()
    part = evaluation.select(["v/7.mp4", "v/2.mp4", "elsewhere.mp4"])
    assert part.paths == ("v/2.mp4", "v/7.mp4") and part.targets.tolist() == [2, 1]
    np.testing.assert_array_equal(part.logits["rgb"], evaluation.logits["rgb"][[2, 7]])


def test_class_results_equal_a_plain_count():
    evaluation = make_evaluation(videos=30)
    rows = class_results(evaluation.confusion(), LABELS)
    for index, row in enumerate(rows):
        taken = [
            LABELS[evaluation.scores[video].argmax()]
            for video in range(30)
            if evaluation.targets[video] == index
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


def test_most_frequent_wrong_is_the_first_of_equal_ones():
    (row, *_) = class_results([[1, 0, 2, 2], *np.zeros((3, 4), int)], LABELS)
    assert row.most_frequent_wrong == "wave" and row.taken_for == {"wave": 2, "run": 2}


def test_mistakes_are_sorted_by_confidence():
    evaluation = make_evaluation(videos=40)
    expected = []
    for row in range(40):
        odds = [float(np.exp(value)) for value in evaluation.scores[row].astype(float)]
        best = odds.index(max(odds))
        if best != evaluation.targets[row]:
            expected.append((max(odds) / sum(odds), row))
    expected = [row for _, row in sorted(expected, reverse=True)]
    assert evaluation.mistakes(100) == expected and len(expected) > 8
    assert evaluation.mistakes(3) == expected[:3]


def test_summary_holds_counts_and_interval():
    evaluation = make_evaluation(videos=10, skipped=("x",))
    summary = evaluation.summary()
    right = sum(evaluation.scores.argmax(axis=1) == evaluation.targets)
    assert (summary["videos"], summary["skipped"]) == (10, 1)
    low, high = summary["top1_interval"]
    assert low < right / 10 == summary["top1"] < high
    assert 0 < summary["calibration_error"] < 1


LOGITS = np.array([0.25, -3.0, 1e-7], np.float32)
VIDEO = {"video": {"bytes": 12, "sha256": "ab"}}


@pytest.fixture
def cache(tmp_path):
    return LogitCache(tmp_path / "logits", depends_on={"weights": "w", "views": "v"}, classes=3)


def test_a_file_is_named_by_the_hash_of_all_that_its_logits_depend_on(cache):
    parts = {"weights": "w", "views": "v", "video": {"bytes": 10}}
    parts |= {"format": 1, "version": importlib.metadata.version("kinetics-i3d")}
    key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    assert cache.path({"bytes": 10}) == cache.folder / key[:2] / f"{key}.npy"


def test_cached_logits_are_bit_exact_and_nothing_is_created_before(cache, tmp_path):
    assert cache.get(VIDEO) is None and list(tmp_path.iterdir()) == []
    cache.put(VIDEO, LOGITS)
    logits = cache.get(VIDEO)
    assert logits.tobytes() == LOGITS.tobytes() and logits.dtype == np.float32
    assert [path.suffix for path in cache.path(VIDEO).parent.iterdir()] == [".npy"]


@pytest.mark.parametrize("depends_on", [{"weights": "w"}, {"weights": "w", "views": "x"}, {}])
def test_cache_key_covers_what_the_logits_depend_on(cache, depends_on):
    cache.put(VIDEO, LOGITS)
    other = LogitCache(cache.folder, depends_on=depends_on, classes=3)
    assert other.get(VIDEO) is None
    assert cache.get({"video": {"bytes": 13, "sha256": "ab"}}) is None
    same = LogitCache(cache.folder, depends_on={"views": "v", "weights": "w"}, classes=3)
    assert same.get(VIDEO) is not None


@pytest.mark.parametrize(
    "damage", ["empty", "cut", "text", "shape", "kind", "unknown", "object", "folder"]
)
def test_damaged_cache_file_is_a_miss_and_is_replaced(cache, damage, caplog):
    cache.put(VIDEO, LOGITS)
    path = cache.path(VIDEO)
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "text":
        path.write_text("logits")
    elif damage == "shape":
        np.save(path, LOGITS[:2])
    elif damage == "kind":
        np.save(path, LOGITS.astype(np.float64))
    elif damage == "unknown":
        path.write_bytes(path.read_bytes().replace(b"<f4", b"<f6"))
    elif damage == "object":
        np.save(path, np.array([None, 1, 2], object), allow_pickle=True)
    else:
        path.unlink()
        path.mkdir()
    assert cache.get(VIDEO) is None
    if damage != "folder":
        cache.put(VIDEO, LOGITS)
        np.testing.assert_array_equal(cache.get(VIDEO), LOGITS)


def test_cache_key_covers_the_package_version(cache, monkeypatch):
    cache.put(VIDEO, LOGITS)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    later = LogitCache(cache.folder, depends_on={"weights": "w", "views": "v"}, classes=3)
    assert later.get(VIDEO) is None
