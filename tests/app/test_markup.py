"""The HTML of results: complete, escaped, without addresses."""

import base64
import io
import re

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.app import markup
from kinetics_i3d.app.analysis import Analysis
from kinetics_i3d.core.clip_spec import DEEPMIND
from kinetics_i3d.inference.doctor.report import Finding, Report

EVIL = "<script>alert(1)</script>"
FRAME = np.full((18, 24, 3), 200, np.uint8)


@pytest.fixture
def timeline():
    rows = np.array([[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.1, 0.9, 0.0]], np.float32)
    start = np.array([0.0, 2.0, 4.0])
    return ki3d.Timeline("video.mp4", ("sit_down", "stand", "wave"), rows, start, start + 2)


@pytest.fixture
def analysis(timeline):
    predictions = (("sit_down", 0.625), (EVIL, 0.25), ("wave", 1e-6))
    return Analysis(
        EVIL + ".mp4",
        "mine.h5",
        3,
        predictions,
        1.25,
        strip=[(0.5, FRAME), (1.5, FRAME)],
        flow=[FRAME, FRAME],
        timeline=timeline,
        segments=ki3d.find_segments(timeline),
        attention=[(0.25, FRAME)],
        complete=True,
    )


def test_labels_are_bars_and_text_is_escaped(analysis):
    html = markup.results_html(analysis)
    assert "<h2>sit down, stand</h2>" in html and "62.5 %" in html and "width:62.50%" in html
    assert "<script" not in html and html.count("&lt;script&gt;") == 2
    assert "mine.h5: 3 actions, 1.2 s to classify" in html


def test_the_timeline_has_a_row_for_each_important_label(analysis):
    drawn = markup.timeline_rows(analysis)
    assert [row["label"] for row in drawn["rows"]] == ["sit_down", "stand", "wave"]
    assert drawn["rows"][0]["segments"] == [(0, pytest.approx(100 * 4 / 6))]
    assert drawn["rows"][1]["most"] == pytest.approx(0.9)
    numbers = [float(number) for number in re.findall(r"[\d.]+", drawn["rows"][0]["path"])]
    assert min(numbers) >= 0 and max(numbers) == 1000
    assert drawn["ticks"] == [
        (0, "0:00"),
        (pytest.approx(100 / 3), "0:02"),
        (pytest.approx(200 / 3), "0:04"),
    ]
    assert html_count(markup.results_html(analysis), "svg") == 3


def test_pictures_are_inside_the_page(analysis):
    from PIL import Image

    html = markup.pictures_html(analysis)
    sources = re.findall(r'src="([^"]*)"', html)
    assert len(sources) == 5 and "Looking closer" not in html
    for source in sources:
        head, _, data = source.partition(",")
        assert head == "data:image/jpeg;base64"
        picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert picture.shape == FRAME.shape and np.abs(picture.astype(int) - 200).max() < 6


def test_what_is_not_computed_yet_is_announced():
    begun = Analysis("a.mp4", "mine.h5", 3, (("sit", 0.5),), 1.0)
    assert "Looking closer" in markup.pictures_html(begun)
    assert "Over time" not in markup.results_html(begun)


def test_networks_are_compared_side_by_side(analysis):
    html = markup.comparison_html([analysis, None])
    assert html_count(html, "section") == 2 and "Classifying" in html


def test_findings_of_the_doctor(analysis):
    findings = (
        Finding("ok", "fps", "25 a second"),
        Finding("error", "range", "0 to 1", "-1 to 1", "clip * 2 - 1"),
    )
    html = markup.report_html(Report("clip.npy", "array", DEEPMIND, findings))
    assert "The network would misread this file" in html and "<code>clip * 2 - 1</code>" in html
    warning = Finding("warning", "size", "small")
    html = markup.report_html(Report("a.mp4", "video", DEEPMIND, (warning,)))
    assert "Usable, with 1 remark<" in html
    assert "No problems" in markup.report_html(Report("a.mp4", "video", DEEPMIND, findings[:1]))


def test_an_error_is_one_alert():
    assert markup.error_html(EVIL).count("&lt;script&gt;") == 1
    assert 'role="alert"' in markup.error_html("no video")


def test_nothing_has_an_address_on_another_server(analysis):
    pages = [markup.results_html(analysis), markup.pictures_html(analysis), markup.style()]
    assert not re.search(r"https?://|url\(|@import", "".join(pages))


def html_count(html, tag):
    return len(re.findall(rf"<{tag}[ >]", html))
