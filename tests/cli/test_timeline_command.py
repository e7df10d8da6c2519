"""`kinetics-i3d timeline`: what it prints and writes, and what it does about bad input."""

import json
import os
import sys

import numpy as np
import pytest

import kinetics_i3d as ki3d
from kinetics_i3d.cli import timeline as verb
from kinetics_i3d.flow.cache import FlowFileError
from kinetics_i3d.inference import features as library
from kinetics_i3d.inference import features_files, timeline
from kinetics_i3d.models import load

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("models_loaded_once")]

WINDOWS = ("--window", "9", "--stride", "4")


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_formats_are_those_of_the_library():
    assert verb.FORMATS == timeline.FORMATS


def test_a_damaged_flow_file_is_reported_and_its_video_skipped(
    command, videos, weights, monkeypatch
):
    extract = library.FeatureExtractor.extract

    def damaged(self, video):
        if str(video) == str(videos["one"]):
            raise FlowFileError("one.mp4.flow.npz: damaged")
        return extract(self, video)

    monkeypatch.setattr(library.FeatureExtractor, "extract", damaged)
    words = ("--weights", weights["good"], *WINDOWS)
    code, out, err = command("timeline", videos["one"], videos["two"], *words)
    assert code == 1 and "one.mp4.flow.npz: damaged" in err and str(videos["two"]) in out


@pytest.mark.long
def test_windows_and_segments_are_printed(command, videos, weights):
    words = ("timeline", videos["two"], "--weights", weights["good"], *WINDOWS)
    expected = ki3d.classify_over_time(videos["two"], weights["good"], window=9, stride=4)
    code, out, _ = command(*words)
    first, *rows = out.splitlines()
    assert code == 0 and first == str(videos["two"]) and len(rows) == len(expected) == 4
    best = expected.probabilities[0].argmax()
    assert rows[0].split() == [
        *("0.00", "–", "0.90", "s"),
        *(f"{100 * expected.probabilities[0, best]:.2f}", "%", expected.labels[best]),
    ]
    rows = command(*words, "--top", "2")[1].splitlines()[1:]
    assert len(rows) == 8 and rows[0].split()[:2] == rows[1].split()[:2] == ["0.00", "–"]
    low = ("--segments", "--threshold", "0.01", "--min-length", "0")
    code, out, _ = command(*words, *low)
    segments = ki3d.find_segments(expected, threshold=0.01, min_length=0)
    assert len(out.splitlines()) == 1 + len(segments)
    assert out.splitlines()[1].split()[-1] == segments[0].label
    assert "no segments" in command(*words, "--segments", "--threshold", "1")[1]


def test_videos_of_one_name_are_printed(command, videos, weights, tmp_path):
    other = tmp_path / "two.mp4"
    other.write_bytes(videos["two"].read_bytes())
    words = ("timeline", videos["two"], other, "--weights", weights["good"], *WINDOWS)
    code, out, _ = command(*words)
    assert code == 0 and {str(videos["two"]), str(other)} < {*out.splitlines()}
    code, _, err = command(*words, "--output", tmp_path / "out")
    assert code == 2 and "would hold the timeline of" in err
    code, _, err = command(*words, "--format", "csv")
    assert (code, err.count("\n")) == (2, 1) and "--format sets the format" in err


def test_json_has_windows_or_segments(command, videos, weights):
    words = ("timeline", videos["two"], videos["text"], "--weights", weights["good"], *WINDOWS)
    code, out, _ = command(*words, "--json", "--top", "2")
    good, bad = json.loads(out)
    assert code == 1 and sorted(bad) == ["error", "video"]
    assert len(good["windows"]) == 4 and len(good["windows"][0]["predictions"]) == 2
    assert "windows" not in json.loads(command(*words, "--json", "--segments")[1])[0]


def test_a_folder_is_written_and_kept(command, tree, weights, tmp_path, monkeypatch):
    output = tmp_path / "out"
    words = ("timeline", tree, "--weights", weights["good"], "--output", output, *WINDOWS)
    low = ("--threshold", "0.01", "--min-length", "0")
    code, out, err = command(*words, *low)
    assert code == 1 and len(out.splitlines()) == 2
    assert f"{output / 'b.jsonl'}: 4 windows, " in out
    (line,) = (line for line in err.splitlines() if line.startswith("kinetics-i3d: error: "))
    assert str(tree / "broken.mp4") in line
    files = {str(path.relative_to(output)) for path in output.rglob("*.*") if path.is_file()}
    names = [f"{name}.{end}" for name in ("b", "inside/a") for end in ("jsonl", "segments.jsonl")]
    assert files >= {*names, "b.logits.npz", "inside/a.logits.npz"}
    assert not any(name.endswith(".png") for name in files)
    assert len(lines_of(output / "b.jsonl")) == 4
    assert lines_of(output / "b.segments.jsonl")[0]["video"] == str(tree / "b.mp4")
    with np.load(output / "b.logits.npz") as archive:
        assert archive["features"].shape == (4, 3)

    # Merged again from the logits that were kept.
    stamp = (output / "b.logits.npz").stat().st_mtime_ns
    command(*words, "--threshold", "1")
    assert (output / "b.segments.jsonl").read_text() == ""
    assert (output / "b.logits.npz").stat().st_mtime_ns == stamp
    # Of other settings: all files are those of the new ones.
    code, out, _ = command(*words[:-1], "8", *low)
    assert "2 windows" in out and len(lines_of(output / "b.jsonl")) == 3
    assert (output / "b.logits.npz").stat().st_mtime_ns != stamp


def test_files_of_features_in_the_same_folder_stay(command, videos, weights, tmp_path):
    words = (videos["two"], "--weights", weights["good"], "--output", tmp_path, *WINDOWS)
    assert command("features", *words)[0] == 0
    before = (tmp_path / "two.npz").read_bytes()
    assert command("timeline", *words, "--format", "csv", "--picture")[0] == 0
    assert (tmp_path / "two.npz").read_bytes() == before
    assert (tmp_path / "two.csv").read_text().startswith("video,start,end,label,probability\n")
    assert (tmp_path / "two.png").read_bytes().startswith(b"\x89PNG")
    features = features_files.read_features(tmp_path / "two.npz")
    expected = ki3d.extract_features(videos["two"], weights["good"], window=9, stride=4)
    np.testing.assert_allclose(features.features, expected.features, atol=1e-6)
    assert features.metadata == expected.metadata
    assert features.center.tolist() == expected.center.tolist()


def test_a_pass_over_the_whole_video(command, videos, weights):
    words = ("timeline", videos["two"], "--weights", weights["good"], "--window", "whole", "--json")
    (result,) = json.loads(command(*words)[1])
    assert [(row["start"], row["end"]) for row in result["windows"]] == [(0.0, 1.6), (0.8, 2.0)]


def test_the_logits_of_each_precision_are_kept_apart(command, videos, weights, tmp_path):
    words = ("timeline", videos["two"], "--weights", weights["good"], *WINDOWS)
    words += ("--output", tmp_path)

    def logits(*options):
        assert command(*words, *options)[0] == 0
        return features_files.read_features(tmp_path / "two.logits.npz")

    exact, low = logits(), logits("--precision", "bfloat16")
    assert low.metadata["key"] != exact.metadata["key"]
    difference = np.abs(low.features - exact.features).max()
    assert 0 < difference < 0.05 * np.abs(exact.features).max()


def test_labels_replace_the_names_of_the_classes(command, videos, weights, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "as_model", load.as_model)  # the kept model stays nameless
    (tmp_path / "names.txt").write_text("x\ny\nz\n")
    words = ("timeline", videos["one"], "--weights", weights["nameless"], *WINDOWS)
    code, out, _ = command(*words, "--labels", tmp_path / "names.txt")
    assert code == 0 and out.split()[-1] in ("x", "y", "z")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--window", "4"), "--window must be at least 9 frames"),
        (("--window", "whole", "--stride", "8"), "--stride must be left out with --window whole"),
        (
            ("--window", "whole", "--precision", "int8", "--calibration", "a.csv"),
            "--window must be frames or seconds with --precision int8",
        ),
        (("--precision", "int8"), "--calibration DATASET must be given with --precision int8"),
        (("--threshold", "70"), "--threshold must be above 0 and at most 1"),
        (("--min-length", "-1"), "--min-length must be seconds"),
        (("--picture",), "--picture needs --output FOLDER"),
        (("--format", "xml"), "--format: invalid choice: 'xml'"),
        (("--window", "99", "--short", "error"), "12 frames at 10 fps, but a window has 99"),
    ],
)
def test_wrong_options_are_one_line(
    command, videos, weights, words, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("timeline", videos["one"], "--weights", weights["good"], *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and message in err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("bad", ["missing", "text"])
def test_no_video_at_all_is_one_line(command, videos, weights, bad):
    code, out, err = command("timeline", videos[bad], "--weights", weights["good"])
    assert (code, out, err.count("\n")) == (2, "", 1) and str(videos[bad]) in err


def test_weights_that_do_not_fit_are_one_line(command, videos, weights):
    code, out, err = command("timeline", videos["one"], "--weights", weights["nameless"])
    assert (code, out, err.count("\n")) == (2, "", 1) and "must name its 3 classes" in err


def test_picture_without_matplotlib_is_one_line(command, videos, weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    words = ("--weights", weights["good"], "--output", tmp_path / "out", "--picture")
    code, out, err = command("timeline", videos["one"], *words)
    assert (code, out, err.count("\n")) == (2, "", 1) and "kinetics-i3d[reports]" in err
    assert not (tmp_path / "out").exists()


def test_segments_do_not_replace_the_windows_of_another_video(command, videos, weights, tmp_path):
    for name in ("talk", "talk.segments"):
        (tmp_path / f"{name}.mp4").write_bytes(videos["two"].read_bytes())
    words = ("timeline", tmp_path, "--weights", weights["good"], "--output", tmp_path / "out")
    code, _, err = command(*words, *WINDOWS)
    assert code == 2 and "talk.segments.mp4: its file would have the name of the segments" in err
