"""`kinetics-i3d watch`: its lines, and the ways in which it ends."""

import functools
import json
import os
import pathlib
import runpy
import signal
import subprocess
import sys

import pytest

from kinetics_i3d.cli import watch as verb
from kinetics_i3d.core.interrupts import interrupted_code

pytestmark = pytest.mark.slow  # runs networks

ROOT = pathlib.Path(__file__).resolve().parents[2]
serve_in_real_time = runpy.run_path(str(ROOT / "benchmarks" / "live_server.py"))[
    "serve_in_real_time"
]


@pytest.fixture(scope="module")
def load_once():
    from kinetics_i3d.models.load import load_model

    return functools.cache(load_model)


@pytest.fixture
def watch(command, weights, load_once, monkeypatch):
    """(source, *words) -> (exit code, stdout, stderr)."""
    monkeypatch.setattr("kinetics_i3d.models.load.load_model", load_once)
    words = ("--weights", weights["good"], "--window", "10", "--every", "0.5")

    def call(source, *more):
        timeout = "30" if str(source).startswith("http") else "0.1"
        return command("watch", source, *words, "--timeout", timeout, *more)

    return call


def test_each_window_is_a_line_and_the_end_a_summary(watch, videos):
    code, out, err = watch(videos["two"], "--top", "2")
    lines = [line.split() for line in out.splitlines()]
    assert code == 0 and [line[:2] for line in lines] == [
        ["1.00", "s"],
        ["1.50", "s"],
        ["2.00", "s"],
    ]
    assert all(line.count("%,") == 1 and "(latency" in line for line in lines)
    assert err.startswith(f"{videos['two']}: 3 windows in 2.0 s of video, latency median ")
    assert err.endswith("0 frames dropped\n") and err.count("\n") == 1


def test_json_lines_are_the_predictions_of_classify(watch, command, videos, weights):
    code, out, _ = watch(videos["two"], "--json", "--top", "3")
    first, *_ = rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["end"] for row in rows] == [1.0, 1.5, 2.0]
    assert sorted(first) == ["dropped", "end", "latency", "predictions", "start"]
    _, out, _ = command(
        "classify", f"{videos['two']}#t=0,1", "--weights", weights["good"], "--json"
    )
    (expected,) = json.loads(out)
    shares = [row["probability"] for row in expected["predictions"]]
    assert [row["probability"] for row in first["predictions"]] == pytest.approx(shares, abs=1e-5)


def test_a_video_shorter_than_a_window_is_one_line(watch, videos):
    code, out, err = watch(videos["three"])
    assert (code, out.count("\n")) == (0, 1)
    assert "1 window in 0.5 s of video" in err


@pytest.mark.parametrize(
    ("name", "message"),
    [("missing", "there is no such file"), ("empty", "not a video"), ("text", "not a video")],
)
def test_what_cannot_be_opened_is_one_line(watch, videos, name, message):
    code, out, err = watch(videos[name])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"kinetics-i3d: error: {videos[name]}: {message}")


def test_an_address_is_shown_without_its_password(watch):
    code, out, err = watch("http://me:secret@127.0.0.1:1/a.ts")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "http://me:***@127.0.0.1:1/a.ts: cannot be opened" in err


def test_wrong_words_are_one_line(command):
    for words, message in (
        (("ftp://me:secret@a/b",), "begins with one of ('http'"),
        (("0", "--every", "0"), "--every: must be above 0, not 0"),
        (("0", "--timeout", "soon"), "--timeout: invalid number of seconds value: 'soon'"),
    ):
        code, out, err = command("watch", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err and "secret" not in err


def test_a_lost_connection_is_a_line_after_the_others(watch, videos):
    with serve_in_real_time(videos["two"], seconds=1.8, ends=False) as address:
        code, out, err = watch(address)
    error, summary = err.splitlines()
    assert code == 1 and out.count("\n") >= 1
    assert error == (
        f"kinetics-i3d: error: {address}: the connection was lost "
        "(the sender closed the connection)"
    )
    assert summary.startswith(f"{address}: ") and "windows in" in summary


def test_a_stream_that_ends_at_once_is_one_line(watch, videos):
    with serve_in_real_time(videos["two"], seconds=-1) as address:
        code, out, err = watch(address)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"{address}: " in err


def test_sigterm_ends_as_the_end_of_the_stream_does(
    watch, videos, monkeypatch, remembered_interrupts
):
    printed = []

    def stop(prediction):
        printed.append(prediction)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(verb, "_print_text", stop)
    code, _, err = watch(videos["two"])
    assert (code, len(printed), err.count("\n"), interrupted_code()) == (0, 1, 1, None)


def _heed_ctrl_c():
    """A shell has the programs that it starts in the background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.long
def test_ctrl_c_ends_a_stream_with_a_summary(videos, tmp_path):
    with serve_in_real_time(ROOT / "examples" / "wave.mp4", seconds=3600) as address:
        words = ["watch", address, "--weights", "rgb_figures", "--window", "16", "--every", "0.4"]
        process = subprocess.Popen(
            [sys.executable, "-m", "kinetics_i3d", *words, "--json"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_ctrl_c,
        )
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert json.loads(first)["predictions"]
    assert process.returncode == 0
    assert err.count("\n") == 1, err
    assert err.startswith(f"{address}: ") and "frames dropped" in err
