"""The command as a whole: help, versions, exit codes, and one line for a mistake."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

from kinetics_i3d.cli import figures, main
from kinetics_i3d.cli.console import notify
from kinetics_i3d.core.progress import Progress

HEAVY = ("tensorflow", "keras", "av", "PIL", "h5py")


def start(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "kinetics_i3d", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=400,
        **options,
    )


def test_help_goes_to_stdout(capsys):
    for verb in main.VERBS:
        with pytest.raises(SystemExit) as done:
            main.main([verb, "--help"])
        assert done.value.code == 0
        assert f"kinetics-i3d {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--"], "required: VERB; see kinetics-i3d --help"),
        (["clasify"], "'clasify' (did you mean classify?); see kinetics-i3d --help"),
        (["xyz"], "invalid choice: 'xyz' (choose from"),
        (["classify"], "required: VIDEO|FOLDER|LIST; see kinetics-i3d classify --help"),
        (["classify", "a.mp4", "--top", "0"], "--top: must be 1 or more, not 0"),
        (["classify", "a.mp4", "--top", "x"], "--top: invalid whole number value: 'x'"),
        (["classify", "a.mp4", "--weigh", "x"], "--weigh x (did you mean --weights?)"),
        (["draw", "kernels", "--output", "a.png", "b"], "b; see kinetics-i3d draw kernels --help"),
        (["evaluate", "folder"], "required: --weights"),
        (
            ["inflate", "a", "--output", "b", "--channels", "4"],
            "--channels: invalid choice: 4",
        ),
        (["figures", "--output", "out", "--size", "1"], "--size: expected 2 arguments"),
        (["train", "a", "b", "--epochs", "many"], "--epochs: invalid int value: 'many'"),
        (
            ["classify", "a.mp4", "--wieghts", "x"],
            "unrecognized arguments: --wieghts x (did you mean --weights?)",
        ),
        (["classify", "a.mp4", ""], "argument VIDEO|FOLDER|LIST: must not be empty"),
        (["classify", "a.mp4", "--weights", ""], "argument --weights: must not be empty"),
        (["features", "a.mp4", "--output", ""], "argument --output: must not be empty"),
        (["figures", "--output", ""], "argument --output: must not be empty"),
        (["train", "C3D", "--output", "a", "--data", ""], "argument --data: must not be empty"),
    ],
)
def test_wrong_words_are_one_line(command, words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("kinetics-i3d: error: ")
    assert message in err


def verb_that(monkeypatch, act):
    monkeypatch.setattr(figures, "run", act)
    return ["figures", "--output", "out"]


def raiser(error):
    def act(options):
        raise error

    return act


def test_what_is_wrong_outside_is_one_line(monkeypatch, command):
    words = verb_that(monkeypatch, raiser(PermissionError(13, "Permission denied", "/a/b")))
    assert command(*words) == (2, "", "kinetics-i3d: error: /a/b: Permission denied\n")
    words = verb_that(monkeypatch, raiser(FileExistsError("there\nalready")))
    assert command(*words) == (2, "", "kinetics-i3d: error: there already\n")


def test_our_own_faults_keep_their_traceback(monkeypatch):
    with pytest.raises(ValueError, match="not of this package"):
        main.main(verb_that(monkeypatch, raiser(ValueError("not of this package"))))
    with pytest.raises(ZeroDivisionError):
        main.main(verb_that(monkeypatch, lambda options: 1 / 0))


def test_an_interrupt_is_quiet(monkeypatch, command):
    assert command(*verb_that(monkeypatch, raiser(KeyboardInterrupt()))) == (130, "", "")


@pytest.mark.slow
def test_the_process_starts_fast_and_exits_with_the_code():
    code = (
        "import sys; from kinetics_i3d.cli.main import main; code = main(['classify', '/none']);"
        f"print(code, *[name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[0] == "2"
    assert not {"tensorflow", "keras"} & set(done.stdout.split())

    done = start("classify", "/none.mp4", "--weights", "/none.h5")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kinetics-i3d: error: /none.h5: no such weights file\n"


def test_a_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "kinetics_i3d", "figures", "--help"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=400,
        )
    assert done.stderr == ""


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_not_matter(closed):
    command = f"{shlex.quote(sys.executable)} -m kinetics_i3d completion bash {closed}"
    assert subprocess.run(["sh", "-c", command], timeout=400).returncode == 0


def test_full_stdout_is_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "kinetics_i3d", "completion", "bash"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=400,
        )
    assert done.returncode == 2
    assert done.stderr == "kinetics-i3d: error: No space left on device\n"


def test_sigterm_ends_a_verb_by_way_of_finally(tmp_path):
    code = """
import pathlib, sys, time
from kinetics_i3d.cli import figures, main
def wait(options):
    try:
        pathlib.Path(sys.argv[3]).touch()
        time.sleep(300)
    finally:
        pathlib.Path(sys.argv[3]).unlink()
figures.run = wait
main.run()
"""
    begun = tmp_path / "begun"
    process = subprocess.Popen([sys.executable, "-c", code, "figures", "--output", str(begun)])
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not begun.exists()


@pytest.mark.long
def test_a_bug_ends_the_process_in_spite_of_threads_that_wait():
    code = """
import sys
from kinetics_i3d.cli import figures, main
def fail(options):
    import tensorflow as tf
    sys.bug = iter(tf.data.Dataset.range(9).map(lambda n: tf.numpy_function(int, (n,), tf.int64)))
    raise ZeroDivisionError
figures.run = fail
main.run()
"""
    words = [sys.executable, "-c", code, "figures", "--output", "out"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=400)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


def talk(options):
    """Prints what a verb prints beside its result: a notice and progress."""
    notify("a notice")
    progress = Progress(9, "videos", every=0.0)
    progress(3)
    return 0


@pytest.mark.parametrize("order", ["{flag} figures", "figures {flag}"])
@pytest.mark.parametrize("flag", ["-q", "--quiet"])
def test_a_quiet_verb_prints_errors_only(monkeypatch, command, flag, order):
    verb_that(monkeypatch, talk)
    _, _, err = command("figures", "--output", "out")
    assert "note: a notice" in err and "3 of 9 videos" in err
    words = order.format(flag=flag).split()
    assert command(*words, "--output", "out") == (0, "", "")
    verb_that(monkeypatch, raiser(FileNotFoundError(2, "No such file", "video.mp4")))
    _, _, err = command(*words, "--output", "out")
    assert err == "kinetics-i3d: error: video.mp4: No such file\n"


def test_a_verbose_verb_prints_the_traceback_of_a_mistake(monkeypatch, command):
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    words = verb_that(monkeypatch, raiser(FileNotFoundError(2, "No such file", "video.mp4")))
    code, _, err = command(*words, "--verbose")
    assert code == 2 and err.startswith("Traceback")
    assert err.endswith("kinetics-i3d: error: video.mp4: No such file\n")
    assert command(*words)[2].count("\n") == 1  # it does not last
