"""evaluation.json, report.html and the mistakes: right, whole, readable, and self-contained."""

import dataclasses
import html.parser
import json
import re

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation import mistakes, page_style
from kinetics_i3d.evaluation.compare import Change, Comparison, compare
from kinetics_i3d.evaluation.mistakes import STRIP, draw_mistakes, mistake_strips
from kinetics_i3d.evaluation.report import read_report, report_of, write_report
from kinetics_i3d.evaluation.result import Evaluation
from kinetics_i3d.video.writer import write_video

LABELS = ("sit", "stand <up>", "passing American football (not in game) & 'more' " * 2)
SPEC = ClipSpec("tiny", fps=10, short_side=40, size=20)
FLOW = dataclasses.replace(SPEC, stream="flow")
FILES = ("evaluation.json", "report.html", "confusion.png", "worst_mistakes.png")


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Six videos of different greys; one is gone, three are wrong."""
    folder = tmp_path_factory.mktemp("greys")
    paths = [folder / f"v&{number}.mp4" for number in range(6)]
    for number, path in enumerate(paths[:5]):
        write_video(path, [np.full((48, 64, 3), 40 * number + 20, np.uint8)] * 6, fps=10)
    rgb = [[3, 0, 0], [0, 3, 0], [1, 0, 0], [2, 0, 0], [0, 0, 2], [0, 0, 4]]
    flow = [[0, 1, 0], [0, 1, 0], [0, 0, 1.5], [0, 0.5, 0], [0, 0.25, 0], [0, 0, 1]]
    return Evaluation(
        LABELS,
        tuple(map(str, paths)),
        np.array([0, 1, 2, 1, 0, 1]),
        {"rgb": np.array(rgb, np.float32), "flow": np.array(flow, np.float32)},
        ("/x/<bad>.mp4: no video",),
        specs={"rgb": SPEC, "flow": FLOW},
        digests={"rgb": "1" * 64, "flow": "2" * 64},
    )


def test_the_report_equals_a_loop_by_hand(found):
    about = {"dataset": "d", "split": "s", "weights": {"rgb": "one", "flow": "two"}, "missing": 4}
    report = report_of(found, **about)
    assert json.loads(json.dumps(report)) == report
    for row, each in enumerate(report["videos_tested"]):
        rgb, flow = found.logits["rgb"][row], found.logits["flow"][row]
        logits = [float(rgb[label] + flow[label]) for label in range(3)]
        odds = [np.exp(value) / sum(np.exp(logits)) for value in logits]
        target = int(found.targets[row])
        order = sorted(range(3), key=lambda label, logits=logits: (-logits[label], label))
        assert each["path"] == found.paths[row] and each["label"] == LABELS[target]
        assert each["prediction"] == LABELS[order[0]]
        assert each["probability"] == pytest.approx(odds[order[0]])
        assert each["label_probability"] == pytest.approx(odds[target])
        assert each["rank"] == order.index(target) + 1
    assert [each["rank"] for each in report["videos_tested"]] == [1, 1, 1, 2, 3, 3]
    assert report["top1"] == 0.5 and report["streams"]["rgb"]["top1"] == pytest.approx(1 / 3)
    assert report["weights"]["flow"] == {"name": "two", "digest": "2" * 64}
    assert ClipSpec(**report["clip_specs"]["flow"]) == FLOW
    assert (report["dataset"], report["split"], report["missing"]) == ("d", "s", 4)
    assert report["views"] == "center" and report["format"] == 1
    for row, each in enumerate(report["classes"]):
        counts = [each["taken_for"].get(label, 0) for label in LABELS]
        counts[row] = each["right"]
        assert counts == found.confusion()[row].tolist()
        assert each["videos"] == sum(counts)


def test_the_keys_are_those_that_are_documented(found):
    report = report_of(found)
    documented = set(re.findall(r"`(\w+)`", report_of.__doc__))
    summary = set(found.summary())
    assert {*report} - summary <= documented
    for rows in ("classes", "videos_tested"):
        assert {*report[rows][0]} <= documented
    assert list(report) == [
        *("format", "version", "dataset", "split", "missing", "views", "weights", "clip_specs"),
        *("videos", "skipped", "top1", "top5", "mean_class", "top1_interval", "calibration_error"),
        *("streams", "labels", "classes", "videos_tested", "videos_skipped"),
    ]


class Reader(html.parser.HTMLParser):
    """Takes a page apart, and complains of tags that are not closed in order."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def written(found, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new"
    wrong = dataclasses.replace(found, logits={"rgb": -found.logits["rgb"]})
    comparison = compare(report_of(wrong), report_of(found))
    about = {"dataset": "greys & co", "split": "test", "weights": {"rgb": "a/one.h5"}}
    page = write_report(folder, found, report_of(found, **about), comparison=comparison)
    return folder, page.read_text(encoding="utf-8")


def test_all_files_are_there_and_the_json_reads_back(found, written):
    folder, _ = written
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    report = read_report(folder / "evaluation.json")
    assert report == read_report(folder) and report["top1"] == 0.5
    assert {name: report[name] for name in found.summary()} == found.summary()


def test_the_page_is_whole_and_loads_nothing(written):
    _, page = written
    reader = Reader(page)
    for tag, attrs in reader.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attrs.get(name, "data:").startswith("data:"), (tag, name)
    assert "://" not in re.sub(r'"data:image[^"]*"', "", page) and "url(" not in page
    policy = next(a["content"] for a in reader.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:")
    assert not {tag for tag, _ in reader.tags} & {"link", "iframe", "object", "form"}


def test_the_page_tells_the_numbers_in_escaped_text(found, written):
    _, page = written
    reader = Reader(page)
    text = reader.text.replace("\N{NO-BREAK SPACE}", " ")
    for said in ("50.00 %", "33.33 %", "greys & co", "one.h5 + flow", "/x/<bad>.mp4: no video"):
        assert said in text
    low, high = found.summary()["top1_interval"]
    assert f"{100 * low:.1f} % to {100 * high:.1f} %" in text
    assert "stand <up>" in text and "<up>" not in page
    assert "2 turned from right to wrong and 3 from wrong to right" in text


def test_the_page_can_be_used_without_eyes_or_mouse(found, written):
    _, page = written
    reader = Reader(page)
    assert reader.all("html")[0]["lang"] == "en" and len(reader.all("h1")) == 1
    alts = [image["alt"] for image in reader.all("img")]
    # Two of three mistakes have a video still; then the confusion picture.
    assert len(alts) == 3 and all(len(alt) > 20 for alt in alts)
    assert "Frames of a video of stand <up>, which was taken for sit" in alts
    assert alts[-1].startswith("Confusion matrix") and "for sit 1 times" in alts[-1]
    assert {head["scope"] for head in reader.all("th")} == {"row", "col"}
    ids = [attrs["id"] for attrs in reader.all("h2")]
    assert [attrs["aria-labelledby"] for attrs in reader.all("section")] == ids
    regions = [attrs for attrs in reader.all("div") if "scroll" in attrs.get("class", "")]
    assert regions and all(a["tabindex"] == "0" and a["aria-label"] for a in regions)


def test_classes_stand_worst_first_and_say_what_they_are_sorted_by(written):
    _, page = written
    (table,) = re.findall(r'<table class="sortable">.*?</table>', page, re.DOTALL)
    values = [float(value) for value in re.findall(r'data-value="([\d.]+)"', table)]
    assert values == sorted(values) and len(values) == 3
    assert page_style.SCRIPT in page


def luminance(color):
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("colours", [page_style.LIGHT, page_style.DARK])
@pytest.mark.parametrize("behind", ["paper", "panel"])
def test_text_has_contrast(colours, behind):
    for name in ("ink", "muted", "accent", "wrong", "right"):
        pair = sorted(luminance(colours[each]) for each in (name, behind))
        assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, name


def test_strips_show_the_frames_and_what_the_model_sees(found):
    assert found.mistakes() == [5, 4, 3]
    strips = mistake_strips(found, [3, 4, 5])
    assert strips[2] is None  # its video is gone
    for number, strip in zip((3, 4), strips, strict=False):
        assert strip.shape == (STRIP[1], STRIP[0], 3)
        grey = 40 * number + 20
        for index in range(mistakes.FRAMES):
            left = index * (mistakes.CELL[0] + mistakes.GAP)
            middle = strip[STRIP[1] // 2, left + mistakes.CELL[0] // 2]
            np.testing.assert_allclose(middle, grey, atol=4)
            np.testing.assert_allclose(strip[STRIP[1] // 2, left + 6], grey / 2, atol=4)


def test_the_picture_of_mistakes_has_a_place_for_each(found, tmp_path):
    from PIL import Image

    draw_mistakes(tmp_path / "m.png", found, title="title")
    three = np.asarray(Image.open(tmp_path / "m.png"))
    assert three.shape[1] == 2 * STRIP[0] + mistakes.GUTTER + 2 * mistakes.MARGIN
    x, y = mistakes.MARGIN, mistakes.TITLE + 22 + 44
    # The first has no video any more; the second stands beside it, and is grey.
    assert (three[y + 4, x + STRIP[0] - 4] == mistakes.BEHIND).all()
    second = three[y + STRIP[1] // 2, x + STRIP[0] + mistakes.GUTTER + mistakes.CELL[0] // 2]
    np.testing.assert_allclose(second, 180, atol=4)
    assert (three[:, -20:] == 255).all() and (three[-12:] == 255).all()
    draw_mistakes(tmp_path / "m.png", found, count=1)
    one = np.asarray(Image.open(tmp_path / "m.png"))
    assert three.shape[0] - one.shape[0] == mistakes.ROW


def test_an_evaluation_without_mistakes_is_told_so(found, tmp_path):
    right = np.eye(3, dtype=np.float32)[found.targets]
    best = dataclasses.replace(found, logits={"rgb": right}, skipped=())
    page = write_report(tmp_path, best, report_of(best)).read_text(encoding="utf-8")
    assert "There are no mistakes." in page and "Videos left out" not in page
    assert "What changed" not in page and "No class was taken for another" in page
    Reader(page)


def test_long_lists_of_changes_are_cut(found, tmp_path):
    changes = tuple(Change(f"/d/{n}.mp4", "sit", "sit", "x") for n in range(30))
    numbers = {"top1": 0.5, "top5": 1.0, "mean_class": 0.5}
    comparison = Comparison(60, numbers, numbers, changes, (), 0.5)
    page = write_report(tmp_path, found, report_of(found), comparison=comparison).read_text(
        encoding="utf-8"
    )
    assert page.count("d/") >= 20 and "and 10 more" in page and "Right before, wrong now" in page
    assert "Wrong before, right now" not in page


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "list indices"),
        ('{"format": 2}', "its format is 2, not 1"),
        ('{"format": 1}', "videos_tested"),
        ('{"format": 1, "videos_tested": [{"rank": "1"}]}', "a video without rank"),
        ('{"format": 1, "videos_tested": [{"rank": 1, "path": "a"}]}', "a video without rank"),
    ],
)
def test_what_is_no_report_is_refused_in_one_line(tmp_path, text, why):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(why)) as raised:
        read_report(path)
    assert str(raised.value).startswith(f"{path}: not an evaluation") and "\n" not in str(
        raised.value
    )
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        read_report(tmp_path / "none.json")
