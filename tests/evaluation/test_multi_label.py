"""Evaluations of videos that may have several labels: metrics, report, page, comparison."""

import dataclasses
import json

import numpy as np
import pytest

from kinetics_i3d.cli.evaluate import as_text
from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.evaluation.compare import combine, compare
from kinetics_i3d.evaluation.report import make_report, read_report, write_report
from kinetics_i3d.evaluation.result import Evaluation

LABELS = ("sit", "stand <up>", "wave", "run")
TARGETS = np.array([[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
LOGITS = np.array([[2, 1, -1, 0], [3, -2, 0, 0], [-1, -1, 0.5, 0]], np.float32)


@pytest.fixture
def evaluation():
    return Evaluation(LABELS, ("a.mp4", "b.mp4", "c.mp4"), TARGETS, {"rgb": LOGITS})


def test_multi_label_metrics_are_map_and_hit_at_1(evaluation):
    # sit ranks b, a, c: 1/2; stand ranks a, c, b: 1 and 2/3.
    assert evaluation.summary() == {
        "videos": 3,
        "skipped": 0,
        "map": pytest.approx((1 / 2 + 5 / 6) / 2),
        "hit1": pytest.approx(1 / 3),
    }
    np.testing.assert_allclose(evaluation.probabilities, 1 / (1 + np.exp(-LOGITS.astype(float))))
    assert evaluation.average_precisions()[1:3] == [
        {"label": "stand <up>", "videos": 2, "average_precision": pytest.approx(5 / 6)},
        {"label": "wave", "videos": 0, "average_precision": None},
    ]
    flow = dataclasses.replace(evaluation, logits={"flow": -LOGITS})
    np.testing.assert_array_equal(combine(evaluation, flow).scores, 0 * LOGITS)
    other = dataclasses.replace(flow, targets=~TARGETS)
    with pytest.raises(DatasetError, match=r"the classes of videos differ: a.mp4 \(sit\+stand <up"):
        combine(evaluation, other)


def test_multi_label_report_and_page(evaluation, tmp_path):
    report = make_report(evaluation, dataset="d", split="test")
    assert json.loads(json.dumps(report)) == report
    assert report["multi_label"] and report["map"] == report["streams"]["rgb"]["map"]
    first = report["videos_tested"][0]
    assert first["labels"] == ["sit", "stand <up>"]
    assert list(first["probabilities"]) == ["sit", "stand <up>", "run", "wave"]
    assert report["videos_tested"][2]["labels"] == []
    page = write_report(tmp_path, evaluation, report).read_text()
    assert {file.name for file in tmp_path.iterdir()} == {"evaluation.json", "report.html"}
    assert "66.67" in page and "Mean average precision" in page and "stand &lt;up&gt;" in page
    assert "83.3" in page and "2 classes have no videos here" in page
    assert read_report(tmp_path) == report
    lines = as_text(report).splitlines()
    assert lines[2].split() == ["mAP", "66.67", "%"] and lines[3].split()[0] == "hit@1"
    with pytest.raises(DatasetError, match="several labels cannot be compared"):
        compare(report, report)
