"""Reports as dictionaries and as contact sheets."""

import numpy as np
import pytest
from doctor_cases import FLOW, SPEC, save

from kinetics_i3d.core.errors import UserError
from kinetics_i3d.inference.doctor import examine
from kinetics_i3d.inference.doctor.contact_sheet import draw_contact_sheet
from kinetics_i3d.inference.doctor.report import Finding, Report


def test_the_report_as_a_dictionary():
    finding = Finding("warning", "range", "a", "b", "c")
    result = Report("x.npy", "array", SPEC, (finding,)).to_dict()
    assert result["has_errors"] is False and result["spec"]["name"] == "small"
    assert result["findings"] == [
        {"severity": "warning", "topic": "range", "actual": "a", "expected": "b", "fix": "c"}
    ]
    assert str(finding) == "a; expected: b; fix: c"


@pytest.mark.slow
def test_the_contact_sheet_shows_the_input_of_the_model(tmp_path, video, clip):
    from PIL import Image

    pictures = {}
    for name, array in (("right", clip), ("wrong", (clip + 1) / 2)):
        report = examine(save(tmp_path, array), spec=SPEC)
        draw_contact_sheet(tmp_path / f"{name}.png", report)
        with Image.open(tmp_path / f"{name}.png") as picture:
            pictures[name] = np.asarray(picture).astype(float)
    first = (slice(70, 160), slice(60, 150))
    # Values of [0, 1] read as [-1, 1] are the upper half: gray to white.
    assert pictures["right"][first].mean() + 40 < pictures["wrong"][first].mean()
    assert pictures["wrong"][first].min() >= 100 > pictures["right"][first].min()
    draw_contact_sheet(tmp_path / "video.png", examine(video, spec=SPEC))
    with Image.open(tmp_path / "video.png") as picture:
        assert picture.size[0] == 1200
    flow = np.random.default_rng(0).normal(0, 0.2, (9, 64, 64, 2)).clip(-1, 1)
    draw_contact_sheet(tmp_path / "flow.png", examine(save(tmp_path, flow), spec=FLOW))
    constant = np.full_like(clip, 1000.0)  # all in one bin
    draw_contact_sheet(tmp_path / "constant.png", examine(save(tmp_path, constant), spec=SPEC))
    with pytest.raises(UserError, match=r"\.png"):
        draw_contact_sheet(tmp_path / "sheet.jpg", examine(video, spec=SPEC))
