"""`LogitCache`: what was put is got, and anything else on the disk counts as nothing."""

import numpy as np
import pytest

from kinetics_i3d.evaluation.result import LogitCache

LOGITS = np.array([0.25, -3.0, 1e-7], np.float32)
VIDEO = {"video": {"bytes": 12, "sha256": "ab"}}


@pytest.fixture
def cache(tmp_path):
    return LogitCache(tmp_path / "logits", depends={"weights": "w", "views": "v"}, classes=3)


def test_logits_come_back_to_the_bit_and_nothing_is_made_before(cache, tmp_path):
    assert cache.get(VIDEO) is None and list(tmp_path.iterdir()) == []
    cache.put(VIDEO, LOGITS)
    found = cache.get(VIDEO)
    assert found.tobytes() == LOGITS.tobytes() and found.dtype == np.float32
    assert [path.suffix for path in cache.path(VIDEO).parent.iterdir()] == [".npy"]


@pytest.mark.parametrize("depends", [{"weights": "w"}, {"weights": "w", "views": "x"}, {}])
def test_what_they_depend_on_is_part_of_the_key(cache, depends):
    cache.put(VIDEO, LOGITS)
    other = LogitCache(cache.folder, depends=depends, classes=3)
    assert other.get(VIDEO) is None
    assert cache.get({"video": {"bytes": 13, "sha256": "ab"}}) is None
    same = LogitCache(cache.folder, depends={"views": "v", "weights": "w"}, classes=3)
    assert same.get(VIDEO) is not None


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "shape", "kind", "object", "folder"])
def test_damaged_files_count_as_none_and_are_replaced(cache, damage, caplog):
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
    elif damage == "object":
        np.save(path, np.array([None, 1, 2], object), allow_pickle=True)
    else:
        path.unlink()
        path.mkdir()
    assert cache.get(VIDEO) is None
    if damage != "folder":
        cache.put(VIDEO, LOGITS)
        np.testing.assert_array_equal(cache.get(VIDEO), LOGITS)


def test_another_version_computes_anew(cache, monkeypatch):
    cache.put(VIDEO, LOGITS)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "99")
    later = LogitCache(cache.folder, depends={"weights": "w", "views": "v"}, classes=3)
    assert later.get(VIDEO) is None
