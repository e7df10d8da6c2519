"""`kinetics-i3d evaluate`: what it prints and writes, two streams, comparisons and mistakes."""

import csv
import json
import pathlib

import numpy as np
import pytest

from kinetics_i3d.cli import evaluate as verb
from kinetics_i3d.core.clip_spec import ClipSpec
from kinetics_i3d.core.errors import DatasetError, WeightsError
from kinetics_i3d.data.video_dataset import Video, VideoDataset
from kinetics_i3d.data.views import VIEWS
from kinetics_i3d.evaluation.compare import Change, Comparison
from kinetics_i3d.evaluation.result import Evaluation, LogitCache
from kinetics_i3d.flow.cache import write_flow_file
from kinetics_i3d.flow.settings import FlowSettings
from kinetics_i3d.weights.catalog import PAIRS

LABELS = ("sit", "stand", "wave")  # of the fixture `weights`
FLOW = ClipSpec("tiny_flow", stream="flow", fps=10, short_side=36, size=32)
LOW = ("--precision", "bfloat16")
PLOTS = ["confusion.png", "reliability.png", "worst_mistakes.png"]
FILES = sorted([*PLOTS, "evaluation.json", "logits", "report.html"])


@pytest.fixture
def dataset(tmp_path, videos):
    """A table of two videos and of a file that is none."""
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split"))
        for name, label in zip(("one", "two", "text"), LABELS, strict=True):
            (tmp_path / f"{name}.mp4").write_bytes(videos[name].read_bytes())
            writer.writerow((f"{name}.mp4", label, "test"))
    return table


@pytest.fixture(scope="session")
def flow_weights(tmp_path_factory, short):
    """A checkpoint of a flow network with the labels of `weights`."""
    import keras

    import kinetics_i3d as ki3d

    path = tmp_path_factory.mktemp("flow_weights") / "flow.h5"
    keras.utils.set_random_seed(5)
    shape = (None, None, None, 2)
    model = ki3d.InceptionI3D(architecture=short, classes=3, input_shape=shape)
    ki3d.save_weights(model, path, labels=LABELS, clip_spec=FLOW)
    return path


def test_the_choice_of_views_is_that_of_the_library():
    # The verb has a list of its own, so that --help reads no videos' code.
    assert tuple(VIEWS) == verb.VIEWS


@pytest.mark.slow
def test_the_precision_is_that_of_the_model(command, dataset, weights, monkeypatch):
    from kinetics_i3d.inference import optimize as module

    def optimize(model, **arguments):
        raise WeightsError(f"asked for {arguments}")

    monkeypatch.setattr(module, "optimize", optimize)
    words = ("evaluate", dataset, "--weights", weights["good"], "--precision")
    code, _, err = command(*words, "bfloat16")
    assert code == 2 and "asked for {'precision': 'bfloat16', 'calibration': None}" in err
    code, _, err = command(*words, "int8", "--calibration", "videos.csv")
    assert code == 2 and "asked for {'precision': 'int8', 'calibration': 'videos.csv'}" in err
    monkeypatch.setattr(module, "has_bfloat16", lambda: True)
    code, _, err = command(*words, "auto")
    assert code == 2 and "precision: bfloat16" in err and "asked for {'precision': 'bf" in err
    monkeypatch.setattr(module, "has_bfloat16", lambda: None)
    code, _, err = command(*words, "auto")
    assert code == 1 and "precision: float32" in err  # a video is broken


@pytest.mark.parametrize("verb", ["evaluate", "classify"])
@pytest.mark.parametrize(
    "words", [("--precision", "int8"), ("--calibration", "a.csv"), ("--calibration", "a.csv", *LOW)]
)
def test_eight_bits_and_videos_to_calibrate_by_go_together(command, dataset, verb, words):
    weights = ("--weights", "rgb_figures") if verb == "evaluate" else ()
    code, _, err = command(verb, dataset, *weights, *words)
    assert code == 2 and "--calibration DATASET must be given with --precision int8" in err


@pytest.mark.slow
def test_it_prints_and_writes_the_same_numbers(command, dataset, weights, tmp_path, caplog):
    output = tmp_path / "report"
    words = ("evaluate", dataset, "--weights", weights["good"])
    code, out, _ = command(*words, "--output", output)
    assert code == 1 and "text.mp4" in caplog.text  # a video was skipped
    rows = [line.split() for line in out.splitlines()]
    assert rows[:2] == [["videos", "2"], ["skipped", "1"]]
    percents = {" ".join(row[:-2]): float(row[-2]) for row in rows if row[-1] == "%"}
    code, out, _ = command(*words, "--json", "--output", output, "--compare", output)
    summary = json.loads(out)
    comparison = summary.pop("comparison")
    assert code == 1 and comparison["videos"] == 2
    assert len(summary["videos_skipped"]) == 1 and summary["missing"] == 0
    assert comparison["lost"] == comparison["won"] == [] and comparison["p_value"] == 1.0
    for name in ("top1", "top5", "mean_class", "calibration_error"):
        assert percents[name.replace("_", " ")] == pytest.approx(100 * summary[name], abs=0.01)
    report = json.loads((output / "evaluation.json").read_text())
    assert {name: report[name] for name in summary} == summary
    assert [each["label"] for each in report["videos_tested"]] == ["sit", "stand"]
    assert report["clip_specs"]["rgb"]["fps"] == 10 and report["clip_specs"]["rgb"]["size"] == 32
    assert report["weights"]["rgb"]["name"] == str(weights["good"])
    right = [each["label"] == each["prediction"] for each in report["videos_tested"]]
    assert sum(right) / len(right) == summary["top1"]
    assert len(report["videos_skipped"]) == 1 and report["split"] == "test"
    assert sorted(path.name for path in output.iterdir()) == FILES
    page = (output / "report.html").read_text(encoding="utf-8")
    assert "What changed" in page and "text.mp4" in page
    # An evaluation of other videos cannot be compared with; the results are printed nevertheless.
    for row in report["videos_tested"]:
        row["path"] = f"other_{row['label']}.mp4"
    (tmp_path / "other.json").write_text(json.dumps(report))
    code, out, err = command(*words, "--json", "--compare", tmp_path / "other.json")
    assert code == 2 and "the evaluations share no video" in err
    assert json.loads(out)["top1"] == summary["top1"]


@pytest.mark.long
def test_two_streams_are_added_from_what_was_computed(
    command, dataset, weights, flow_weights, tmp_path, monkeypatch
):
    for name in ("one", "two"):
        video = dataset.with_name(f"{name}.mp4")
        write_flow_file(video, spec=FLOW, settings=FlowSettings("farneback"))
    output = tmp_path / "report"
    both = ("--weights", weights["good"], "--flow-weights", flow_weights)
    code, out, _ = command("evaluate", dataset, *both, "--output", output)
    assert code == 1 and out.splitlines()[2].split() == ["rgb", "flow", "both"]
    assert len(list((output / "logits").rglob("*.npy"))) == 4
    stored = [LogitCache.get]

    def get(self, video):
        stored.append(stored[0](self, video))
        return stored[-1]

    monkeypatch.setattr(LogitCache, "get", get)
    joint = json.loads(command("evaluate", dataset, *both, "--json", "--output", output)[1])
    # Two good videos of rgb and of flow; of the bad one nothing is kept, and flow does not ask.
    assert [each is None for each in stored[1:]] == [False, False, True, False, False]
    code, out, _ = command("evaluate", dataset, "--weights", flow_weights, "--json")
    assert code == 1 and json.loads(out)["streams"]["flow"] == joint["streams"]["flow"] | {
        "skipped": 1
    }
    logits = {"rgb": np.stack(stored[1:3]), "flow": np.stack(stored[4:6])}
    by_hand = Evaluation(LABELS, ("a", "b"), np.array([0, 1]), logits, ("text",))
    assert {name: joint[name] for name in by_hand.summary()} == by_hand.summary()
    report = json.loads((output / "evaluation.json").read_text())
    assert [each["name"] for each in report["weights"].values()] == [*map(str, both[1::2])]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--split", "dev"), "no videos in split 'dev'"),
        (("--weights", "rgb_figurs"), "did you mean rgb_figures"),
        (("--flow-weights", "/none.h5"), "/none.h5: no such weights file"),
        (("--views", "all"), "invalid choice: 'all'"),
        (("--compare", "/none.json"), "/none.json: cannot be read (No such file or directory)"),
    ],
)
def test_mistakes_are_one_line(command, dataset, weights, tmp_path, words, message):
    arguments = ("evaluate", dataset, "--weights", weights["good"], *words)
    code, out, err = command(*arguments, "--output", tmp_path / "report")
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert not (tmp_path / "report").exists()


def videos_of(*splits):
    rows = [Video(pathlib.Path(f"{n}.mp4"), "sit", split, str(n)) for n, split in enumerate(splits)]
    return VideoDataset("mine", ("sit",), tuple(rows))


def test_a_dataset_without_splits_is_evaluated_whole_with_one_line(capsys):
    dataset = videos_of("all", "all")
    assert verb.choose_videos(dataset, None) == (dataset, "all")
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "mine has no splits: evaluating all 2 videos" in err
    assert "RUN/videos.csv --split val" in err
    assert verb.choose_videos(dataset, "all") == (dataset, "all")
    assert capsys.readouterr().err == ""


def test_a_missing_split_names_the_options_that_there_are():
    dataset = videos_of("train", "val")
    with pytest.raises(DatasetError, match=r"split 'test'.*use --split train or --split val"):
        verb.choose_videos(dataset, None)
    with pytest.raises(DatasetError, match=r"split 'dev'.*use --split train or --split val"):
        verb.choose_videos(dataset, "dev")
    chosen, split = verb.choose_videos(dataset, "val")
    assert (len(chosen), split) == (1, "val")


@pytest.mark.slow
def test_weights_of_the_wrong_stream_and_videos_that_all_fail(
    command, dataset, weights, tmp_path, videos
):
    words = ("evaluate", dataset, "--weights", weights["good"], "--flow-weights", weights["good"])
    code, out, err = command(*words)
    assert (code, out) == (2, "") and "reads rgb, must read flow" in err
    table = tmp_path / "bad.csv"
    table.write_text("path,label,split\ntext.mp4,sit,test\n")
    code, out, err = command("evaluate", table, "--weights", weights["good"])
    assert (code, out) == (2, "") and "none of 1 videos could be decoded; the first: " in err


def test_a_pair_is_both_its_members():
    for name, pair in PAIRS.items():
        assert verb.member_names(name) == [(pair.rgb, "rgb"), (pair.flow, "flow")]
    assert verb.member_names("a", "b") == [("a", "rgb"), ("b", "flow")]
    assert verb.member_names("a.h5") == [("a.h5", None)]


def test_a_comparison_in_lines():
    old, new = ({"top1": top1, "top5": 1.0, "mean_class": 0.25} for top1 in (0.5, 0.75))
    won = tuple(Change(f"{number}.mp4", "sit", "wave", "sit") for number in range(23))
    found = Comparison(40, old, new, (), won, 2.4e-7, ("x.mp4",), ())
    lines = verb.comparison_text(found).splitlines()
    assert lines[0].split() == ["on", "40", "videos", "before", "now", "change"]
    assert lines[1].split() == ["top1", "50.00", "%", "75.00", "%", "+25.00"]
    assert "right before, wrong now: 0" in lines and "wrong before, right now: 23" in lines
    assert "  0.mp4 (sit): wave before, sit now" in lines and "  and 3 more" in lines
    assert "tested before only: 1 videos" in lines and lines[-1].endswith("(McNemar): 2.4e-07")
