"""The log of the command: time and message, nothing of TensorFlow, each bad file once."""

import contextlib
import io
import json
import logging
import os
import pathlib
import pty
import re
import shlex
import subprocess
import sys

import pytest

from kinetics_i3d.cli import console
from kinetics_i3d.cli.console import LEVEL

ROOT = pathlib.Path(__file__).resolve().parents[2]
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
# absl's and glog's prefix, their notice before it, and the words of TensorFlow's libraries.
FOREIGN = re.compile(
    r"^[IWEF]\d{4} |^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWEF] |^(INFO|WARNING|ERROR):"
    r"|All log messages before absl|tensorflow|oneDNN|XLA|StreamExecutor|cuda",
    re.IGNORECASE,
)


def record(message, level, path):
    return logging.LogRecord("absl", level, path, 151, message, (7,), None)


OURS = os.path.join(console.PACKAGE, "training", "loop.py")
THEIRS = os.path.join("site-packages", "tensorflow", "builder_impl.py")


def test_a_line_is_time_and_message_and_a_warning_says_so():
    form = console.LogFormatter().format
    assert re.fullmatch(TIME + "step 7", form(record("step %d", logging.INFO, OURS)))
    line = form(record("skipped: %d", logging.WARNING, OURS))
    assert re.fullmatch(TIME + "warning: skipped: 7", line)


def test_what_other_packages_inform_of_is_left_out_unless_requested(monkeypatch):
    monkeypatch.setenv(LEVEL, "3")
    assert console.is_shown(record("step %d", logging.INFO, OURS))
    assert console.is_shown(record("deprecated %d", logging.WARNING, THEIRS))
    retraced = record("%d calls triggered tf.function retracing.", logging.WARNING, THEIRS)
    assert not console.is_shown(retraced)
    assert not console.is_shown(record("Assets written to %d", logging.INFO, THEIRS))
    monkeypatch.setenv(LEVEL, "1")
    assert console.is_shown(record("Assets written to %d", logging.INFO, THEIRS))
    assert console.is_shown(retraced)


def test_a_quiet_command_logs_warnings_and_a_verbose_one_everything(monkeypatch):
    monkeypatch.setenv(LEVEL, "3")
    console.set_verbosity(console.QUIET)
    assert not console.is_shown(record("step %d", logging.INFO, OURS))
    assert console.is_shown(record("skipped: %d", logging.WARNING, OURS))
    console.set_verbosity(console.VERBOSE)
    assert console.is_shown(record("Assets written to %d", logging.INFO, THEIRS))
    console.set_verbosity(console.NORMAL)


def on_terminal(*words, **variables):
    """What the command prints on a terminal, with the line ends of a file."""
    reader, writer = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    environment |= {"TERM": "xterm", "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "kinetics_i3d", *words]
    process = subprocess.Popen(command, stdout=writer, stderr=writer, env=environment)
    os.close(writer)
    parts = []
    with contextlib.suppress(OSError):  # the end of a terminal is an error on Linux
        while part := os.read(reader, 4096):
            parts.append(part)
    os.close(reader)
    process.wait(400)
    return b"".join(parts).decode().replace("\r\n", "\n")


@pytest.mark.long
def test_colors_are_for_terminals_without_no_color():
    help_text, mistake = on_terminal("fvd", "--help"), on_terminal("fvd")
    assert "\x1b[1moptions:\x1b[0m\n" in help_text and "\x1b[1musage:\x1b[0m " in help_text
    assert mistake.startswith("kinetics-i3d: \x1b[1;31merror:\x1b[0m the following arguments")
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal("fvd", **variables)
        assert "\noptions:\n" in on_terminal("fvd", "--help", **variables)


@pytest.mark.parametrize("foreign", [
    "I1128 16:42:04.432807 140219900951424 loop.py:151] step 61 of 420: loss 0.2",
    "2026-11-28 18:37:08.851236: I external/local_xla/xla/stream_executor/cuda/cuda.cc:31] no",
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "WARNING:tensorflow:5 out of the last 5 calls triggered retracing",
])  # fmt: skip
def test_the_pattern_of_this_test_finds_foreign_lines(foreign):
    assert FOREIGN.search(foreign)
    assert not FOREIGN.search("2026-11-28 18:41:17 step 3 of 6: loss 0.740, 0.05 steps/s")


def test_importing_the_package_leaves_the_log_alone():
    code = (
        "import logging, kinetics_i3d, kinetics_i3d.cli.main; from absl import logging as absl;"
        "handler = absl.get_absl_handler(); print(logging.getLogger().handlers, handler.filters,"
        "type(handler.python_handler.formatter).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] [] PythonFormatter\n"


def start(*words):
    """The command in a process of its own, as a user starts it: (exit code, lines of stderr)."""
    environment = {name: value for name, value in os.environ.items() if name != LEVEL}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-m", "kinetics_i3d", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=400,
        env=environment,
    )
    return done.returncode, done.stderr.splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Class folders of example clips: five good files and two that are none."""
    folder = tmp_path_factory.mktemp("videos")
    for action, names in (("sit_down", "abc"), ("wave", "de")):
        (folder / action).mkdir()
        for name in names:
            clip = ROOT / "examples" / f"{action}.mp4"
            (folder / action / f"{name}.mp4").write_bytes(clip.read_bytes())
    for name in ("sit_down/broken", "wave/broken_too"):
        (folder / f"{name}.mp4").write_text(f"no video at all, {name}")
    rows = [f"sit_down/{name}.mp4,sit_down,train" for name in ("a", "b", "broken")]
    rows += ["wave/d.mp4,wave,train", "wave/e.mp4,wave,val", "wave/broken_too.mp4,wave,val"]
    (folder / "table.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    return folder


@pytest.mark.slow
def test_doctor_prints_no_line_of_tensorflow():
    video = ROOT / "examples" / "wave.mp4"
    assert start("doctor", video, "--weights", "rgb_figures") == (0, [])


@pytest.mark.long
def test_classify_prints_no_line_of_tensorflow_and_each_bad_file_once(folder):
    code, lines = start("classify", folder, "--weights", "rgb_figures")
    # A machine under load takes the 30 seconds after which the progress is printed.
    lines = [line for line in lines if not re.match(r"\d of 7 videos, ", line)]
    assert code == 1 and lines[0] == "weights: rgb_figures, 12 actions"
    assert [re.search(r"/(\w+)\.mp4: ", line)[1] for line in lines[1:]] == ["broken", "broken_too"]


@pytest.mark.long
def test_export_prints_no_line_of_tensorflow(tmp_path):
    code, lines = start("export", "rgb_figures", "--to", "savedmodel", "--output", tmp_path / "out")
    assert code == 0 and (tmp_path / "out" / "saved_model.pb").is_file()
    # Progress, on a machine under load.
    assert not [line for line in lines if not line.startswith(("checking ", "writing "))]


@pytest.mark.long
def test_train_prints_time_and_message_and_each_bad_file_once(folder, tmp_path):
    words = ("train", "InceptionI3D", "--data", folder / "table.csv", "--output", tmp_path / "run")
    words += ("--weights", "rgb_figures", "--head", "new", "--transfer", "full", "--frames", "16")
    sizes = ("--size", "32", "--test-size", "32", "--test-short-side", "36")
    runs = ("--batch-size", "2", "--epochs", "2", "--validation", "val", "--precision", "float32")
    code, lines = start(*words, *sizes, *runs)
    assert code == 0
    assert not [line for line in lines if FOREIGN.search(line)]
    assert all(re.match(TIME, line) for line in lines if re.search(r"\bstep \d+ of", line))
    assert sum("step 4 of 4: loss " in line for line in lines) == 1
    for name in ("broken", "broken_too"):
        reported = [line for line in lines if f"/{name}.mp4" in line]
        assert len(reported) == 1 and re.match(f"{TIME}warning: skipped: ", reported[0])


def test_a_closed_stdout_is_no_error():
    command = f"exec {shlex.quote(sys.executable)} -m kinetics_i3d weights >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_control_characters_are_escaped_on_stdout_and_in_errors(capsys):
    stream = console.EscapedText(io.BytesIO(), encoding="utf-8")
    stream.write("\x1b[31mwave\tünïcode\u202e\n")
    stream.flush()
    assert stream.buffer.getvalue().decode() == "\\u001b[31mwave\tünïcode\\u202e\n"
    console.complain(ValueError("a\x1b]0;b\nc"))
    assert capsys.readouterr().err == "kinetics-i3d: error: a\\u001b]0;b c\n"


def test_escaped_json_remains_json():
    text = "a\x7fb\x85c\u202ed"
    escaped = console.escape_controls(json.dumps(text, ensure_ascii=False))
    assert "\x7f" not in escaped and json.loads(escaped) == text
