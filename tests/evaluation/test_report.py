"""evaluation.json and report.html: correct, self-contained, accessible, escaped, deterministic."""

import dataclasses
import html.parser
import json
import re
import sys

import numpy as np
import pytest

from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import UserError
from kinetics_i3d.evaluation.compare import Change, Comparison, compare
from kinetics_i3d.evaluation.report import make_report, read_report, write_report
from kinetics_i3d.evaluation.result import Evaluation

FILES = ("evaluation.json", "report.html", "confusion.png", "reliability.png", "worst_mistakes.png")


def test_report_equals_a_plain_loop(grays):
    about = {"dataset": "d", "split": "s", "weights": {"rgb": "one", "flow": "two"}, "missing": 4}
    report = make_report(grays, **about)
    assert json.loads(json.dumps(report)) == report
    for row, video in enumerate(report["videos_tested"]):
        rgb, flow = grays.logits["rgb"][row], grays.logits["flow"][row]
        logits = [float(rgb[label] + flow[label]) for label in range(3)]
        odds = [np.exp(value) / sum(np.exp(logits)) for value in logits]
        target = int(grays.targets[row])
        order = sorted(range(3), key=lambda label, logits=logits: (-logits[label], label))
        assert video["path"] == grays.paths[row] and video["label"] == grays.labels[target]
        assert video["prediction"] == grays.labels[order[0]]
        assert video["probability"] == pytest.approx(odds[order[0]])
        assert video["label_probability"] == pytest.approx(odds[target])
        assert video["rank"] == order.index(target) + 1
    assert [video["rank"] for video in report["videos_tested"]] == [1, 1, 1, 2, 3, 3]
    assert report["top1"] == 0.5 and report["streams"]["rgb"]["top1"] == pytest.approx(1 / 3)
    assert report["weights"]["flow"] == {"name": "two", "digest": "2" * 64}
    assert ClipSpec(**report["clip_specs"]["flow"]) == grays.specs["flow"]
    assert (report["dataset"], report["split"], report["missing"]) == ("d", "s", 4)
    assert report["views"] == "center" and report["format"] == 1
    for row, result in enumerate(report["classes"]):
        counts = [result["taken_for"].get(label, 0) for label in grays.labels]
        counts[row] = result["right"]
        assert counts == grays.confusion()[row].tolist()
        assert result["videos"] == sum(counts)


def test_the_keys_are_those_that_are_documented(grays):
    report = make_report(grays)
    documented = set(re.findall(r"`(\w+)`", make_report.__doc__))
    summary = set(grays.summary())
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
def written(grays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "new"
    wrong = dataclasses.replace(grays, logits={"rgb": -grays.logits["rgb"]})
    comparison = compare(make_report(wrong), make_report(grays))
    about = {"dataset": "grays & co", "split": "test", "weights": {"rgb": "a/one.h5"}}
    page = write_report(folder, grays, make_report(grays, **about), comparison=comparison)
    return folder, page.read_text(encoding="utf-8")


def test_all_files_are_written_and_the_json_reads_back(grays, written):
    folder, _ = written
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    report = read_report(folder / "evaluation.json")
    assert report == read_report(folder) and report["top1"] == 0.5
    assert {name: report[name] for name in grays.summary()} == grays.summary()


def test_page_is_well_formed_and_loads_nothing(written):
    _, page = written
    reader = Reader(page)
    for tag, attrs in reader.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert attrs.get(name, "data:").startswith("data:"), (tag, name)
    assert "://" not in re.sub(r'"data:image[^"]*"', "", page) and "url(" not in page
    policy = next(a["content"] for a in reader.all("meta") if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'; img-src data:")
    assert not {tag for tag, _ in reader.tags} & {"link", "iframe", "object", "form"}


def test_page_shows_the_numbers_in_escaped_text(grays, written):
    _, page = written
    reader = Reader(page)
    text = " ".join(reader.text.split())
    for reason in ("50.00 %", "33.33 %", "grays & co", "one.h5 + flow", "/x/<bad>.mp4: no video"):
        assert reason in text
    low, high = grays.summary()["top1_interval"]
    assert f"{100 * low:.1f} % to {100 * high:.1f} %" in text
    assert "stand <up>" in text and "<up>" not in page
    assert "2 changed from right to wrong and 3 from wrong to right" in text


def test_page_is_accessible(grays, written):
    _, page = written
    reader = Reader(page)
    assert reader.all("html")[0]["lang"] == "en" and len(reader.all("h1")) == 1
    alts = [image["alt"] for image in reader.all("img")]
    # Two of three mistakes have a video; then the confusion matrix and the reliability diagram.
    assert len(alts) == 4 and all(len(alt) > 20 for alt in alts)
    assert "Frames of a video of stand <up> that was predicted as sit" in alts
    assert alts[2].startswith("Confusion matrix") and "as sit 1 times" in alts[2]
    assert {head["scope"] for head in reader.all("th")} == {"row", "col"}
    ids = [attrs["id"] for attrs in reader.all("h2")]
    assert [attrs["aria-labelledby"] for attrs in reader.all("section")] == ids
    regions = [attrs for attrs in reader.all("div") if "scroll" in attrs.get("class", "")]
    assert regions and all(a["tabindex"] == "0" and a["aria-label"] for a in regions)


def test_classes_are_sorted_worst_first(written):
    _, page = written
    (table,) = re.findall(r'<table class="sortable">.*?</table>', page, re.DOTALL)
    values = [float(value) for value in re.findall(r'data-value="([\d.]+)"', table)]
    assert values == sorted(values) and len(values) == 3
    assert 'document.querySelectorAll("table.sortable")' in page


def luminance(color):
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize("background", ["paper", "panel"])
def test_page_text_has_contrast(written, theme, background):
    _, page = written
    light_and_dark = re.findall(r"--paper: .*?}", page, re.DOTALL)
    colors = dict(re.findall(r"--(\w+): (#\w{6});", light_and_dark[theme]))
    for name in ("ink", "muted", "accent", "wrong", "right"):
        low, high = sorted(luminance(colors[part]) for part in (name, background))
        assert (high + 0.05) / (low + 0.05) >= 4.5, name


def test_page_of_an_evaluation_without_mistakes(grays, tmp_path):
    right = np.eye(3, dtype=np.float32)[grays.targets]
    best = dataclasses.replace(grays, logits={"rgb": right}, skipped=())
    page = write_report(tmp_path, best, make_report(best)).read_text(encoding="utf-8")
    assert "There are no mistakes." in page and "Skipped videos" not in page
    assert "What changed" not in page and "No class was confused with another" in page
    Reader(page)


def test_page_shortens_long_lists_of_changes(grays, tmp_path):
    changes = tuple(Change(f"/d/{n}.mp4", "sit", "sit", "x") for n in range(30))
    numbers = {"top1": 0.5, "top5": 1.0, "mean_class": 0.5}
    comparison = Comparison(60, numbers, numbers, changes, (), 0.5)
    page = write_report(tmp_path, grays, make_report(grays), comparison=comparison).read_text(
        encoding="utf-8"
    )
    assert page.count("d/") >= 20 and "and 10 more" in page and "Right before, wrong now" in page
    assert "Wrong before, right now" not in page


@pytest.mark.slow
def test_reports_are_deterministic(grays, written, tmp_path):
    folder, _ = written
    for number in range(2):
        write_report(tmp_path / str(number), grays, make_report(grays))
    for name in FILES:
        first, second = ((tmp_path / str(number) / name).read_bytes() for number in range(2))
        assert first == second, name
    plots = ("confusion.png", "reliability.png")
    assert all((folder / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" for name in plots)


@pytest.mark.parametrize("module", ["jinja2", "matplotlib", "PIL"])
def test_without_the_reports_extra_the_json_is_written(
    grays, tmp_path, monkeypatch, caplog, module
):
    report = make_report(grays)
    monkeypatch.setitem(sys.modules, module, None)
    assert write_report(tmp_path, grays, report) == tmp_path / "evaluation.json"
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation.json"]
    assert read_report(tmp_path) == report
    (record,) = caplog.records
    assert 'pip install "kinetics-i3d[reports]"' in record.message and "\n" not in record.message


HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onerror='alert(1)' x=\"",
    "{{ 7 * 7 }}{% raw %}",
    "$\\frac{$",
    "a\nb\x00",
)


@pytest.mark.slow
def test_hostile_labels_and_paths_are_escaped_in_the_page(tmp_path):
    paths = tuple(f"/data/{label.replace('/', '_')}.mp4" for label in HOSTILE)
    logits = {"rgb": np.roll(np.eye(5, dtype=np.float32), 1, axis=1)}
    skipped = tuple(f"{label}: unreadable" for label in HOSTILE)
    evaluation = Evaluation(HOSTILE, paths, np.arange(5), logits, skipped)
    change = Change(paths[0], HOSTILE[0], HOSTILE[1], HOSTILE[2])
    numbers = {"top1": 0.5, "top5": 1.0, "mean_class": 0.5}
    comparison = Comparison(5, numbers, numbers, (change,), (change,), 0.5)
    about = {"dataset": HOSTILE[0], "split": HOSTILE[1], "weights": {"rgb": HOSTILE[0]}}
    report = make_report(evaluation, **about)
    page = write_report(tmp_path, evaluation, report, comparison=comparison)
    reader = Reader(page.read_text(encoding="utf-8"))
    assert len(reader.all("script")) == 1 and "49" not in reader.text
    assert not any("onerror" in attrs for _, attrs in reader.tags)
    assert all(label.strip() in reader.text for label in HOSTILE[:4])


def with_row(**changes):
    row = {"path": "a", "label": "sit", "prediction": "sit", "rank": 1} | changes
    return json.dumps({"format": 1, "videos_tested": [row]})


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "Expecting value"),
        ("[]", "must be a JSON object"),
        ('{"format": 2}', "its format is 2, not 1"),
        ('{"format": 1}', "videos_tested"),
        ('{"format": 1, "videos_tested": [{"rank": "1"}]}', "a video without rank"),
        ('{"format": 1, "videos_tested": [{"rank": 1, "path": "a"}]}', "a video without rank"),
        ('{"format": 1, "videos_tested": ["a"]}', "a video without rank"),
        (with_row(path=1.5), "must have `path` of str"),
        (with_row(rank=True), "must have `rank` of int"),
        (with_row(rank=0), "`rank` must be 1 or more"),
    ],
)
def test_read_report_rejects_other_files_in_one_line(tmp_path, text, why):
    path = tmp_path / "old.json"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(why)) as raised:
        read_report(path)
    assert str(raised.value).startswith(f"{path}: not an evaluation") and "\n" not in str(
        raised.value
    )
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        read_report(tmp_path / "none.json")
