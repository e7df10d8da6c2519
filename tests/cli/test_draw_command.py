"""`kinetics-i3d draw`: each kind writes its picture, and mistakes are one line."""

import json

import numpy as np
import pytest

from kinetics_i3d.cli.draw import KINDS, _read_confusion
from kinetics_i3d.training.outputs import write_history
from kinetics_i3d.video.limits import is_bounded

pytestmark = pytest.mark.slow


@pytest.fixture
def sources(tmp_path, videos):
    """The words of each kind."""
    run = tmp_path / "run"
    run.mkdir()
    row = {"epoch": 1, "step": 1, "loss": 1.0, "accuracy": 0.5, "learning_rate": 0.1}
    write_history(run / "history.csv", [row])
    report = {
        "labels": ["sit", "stand"],
        "classes": [
            {"label": "sit", "right": 3, "taken_for": {"stand": 1}},
            {"label": "stand", "right": 2, "taken_for": {}},
        ],
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(report))
    return {
        "kernels": (),
        "confusion": (tmp_path,),
        "curves": (run,),
        "embedding": (videos["one"], videos["two"]),
        "flow": (videos["three"],),
    } | dict.fromkeys(("filmstrip", "grad-cam", "timeline"), (videos["two"],))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_its_picture(command, weights, sources, tmp_path, kind):
    path = tmp_path / "out" / f"{kind}.png"
    words = () if kind in ("flow", "confusion", "curves") else ("--weights", weights["good"])
    code, out, err = command("draw", kind, *sources[kind], *words, "--output", path, "--json")
    assert (code, json.loads(out)) == (0, {"kind": kind, "output": str(path)}), err
    assert path.stat().st_size > 2000


def test_a_confusion_matrix_is_that_of_the_report(sources, tmp_path):
    counts, labels = _read_confusion(tmp_path / "evaluation.json")
    assert labels == ["sit", "stand"]
    np.testing.assert_array_equal(counts, [[3, 1], [0, 2]])


def test_untrusted_videos_may_be_decoded_in_a_child_process(
    command, sources, tmp_path, monkeypatch
):
    bounded = []
    monkeypatch.setattr(
        "kinetics_i3d.visualization.flow_frames.draw_flow",
        lambda path, *_, **__: bounded.append(is_bounded(path)),
    )
    for words in ((), ("--bounded-decoder",)):
        output = tmp_path / "flow.png"
        assert command("draw", "flow", *sources["flow"], "--output", output, *words)[0] == 0
    assert bounded == [False, True]


def test_grad_cam_takes_a_label_and_an_endpoint(command, weights, videos, tmp_path):
    words = ("draw", "grad-cam", videos["one"], "--weights", weights["good"])
    path = tmp_path / "a.gif"
    code, out, _ = command(*words, "--label", "sit", "--endpoint", "Mixed_4f", "--output", path)
    assert code == 0 and out == f"{path}\n" and path.stat().st_size > 500
    code, _, err = command(*words, "--label", "fly", "--output", path)
    assert code == 2 and "--label must be one of the 3 classes" in err


@pytest.mark.long
def test_a_broken_video_of_an_embedding_is_reported_and_skipped(command, weights, videos, tmp_path):
    words = ("--weights", weights["good"], "--output", tmp_path / "a.png")
    good, bad = (videos["one"], videos["two"]), videos["text"]
    code, _, err = command("draw", "embedding", *good, bad, *words)
    assert code == 1 and err.count("error:") == 1 and "text.mp4" in err
    code, _, err = command("draw", "embedding", good[0], bad, *words)
    assert code == 2 and "needs at least two videos that can be read" in err


def test_flow_of_a_longer_video_says_what_is_drawn(command, videos, tmp_path, caplog):
    words = ("draw", "flow", videos["three"], "--output", tmp_path / "flow.gif")
    assert command(*words)[0] == 0 and caplog.text == ""
    assert command(*words, "--frames", "3")[0] == 0
    assert "only the first 3 frames (0.12 s) are drawn" in caplog.text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("grad-cam", "{two}", "--output", "a.jpg"), "must end in .png, .gif or that of a video"),
        (("kernels", "--output", "a.gif"), "pictures are PNG"),
        (("filmstrip", "{missing}", "--output", "a.png"), "missing.mp4"),
        (("curves", "{folder}", "--output", "a.png"), "no history.csv"),
        (("confusion", "{two}", "--output", "a.png"), "must be UTF-8"),
        (("embedding", "{folder}", "--max-videos", "1", "--output", "a.png"), "must be 2 or more"),
        (("circle", "--output", "a.png"), "circle"),
    ],
)
def test_mistakes_are_one_line(command, videos, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, _, err = command("draw", *(word.format(**videos) for word in words))
    assert code == 2 and message in err and len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())
