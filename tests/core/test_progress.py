"""Progress: bars on terminals, plain lines in logs, silence for those who did not ask."""

import io
import sys
import time

import numpy as np
import pytest
from absl import logging

from kinetics_i3d.core import progress as module
from kinetics_i3d.core.progress import Progress, show_progress, stage, track, waiting


class Stream(io.StringIO):
    """A stream in memory that may say it is a terminal."""

    def __init__(self, is_terminal):
        super().__init__()
        self.is_terminal = is_terminal

    def isatty(self):
        return self.is_terminal


@pytest.fixture
def stderr(monkeypatch):
    """(is a terminal) -> stderr in memory, on which progress is shown at once."""
    monkeypatch.setattr(module, "DELAY", 0.01)
    monkeypatch.setattr(module, "EVERY", 0.01)

    def make(is_terminal):
        stream = Stream(is_terminal)
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return make


def quick():
    for number in range(3):
        time.sleep(0.15)  # bars are drawn ten times a second at most
        yield number


def test_a_terminal_gets_a_bar_that_disappears(stderr, capsys):
    stream = stderr(True)
    with Progress(3, "videos", stage="reading") as progress:
        for number in quick():
            progress(number + 1, note="loss 1.5")
    text = stream.getvalue()
    assert "reading:" in text and "2/3" in text and "videos" in text and "loss 1.5" in text
    assert text.rpartition("\r")[2].strip() == "" and "\n" not in text
    assert capsys.readouterr().out == ""


def test_a_log_gets_plain_lines(stderr):
    stream = stderr(False)
    progress = Progress(3, "videos", stage="reading")
    progress(1)
    assert stream.getvalue() == ""
    progress.shown = progress.begun = time.monotonic() - 40
    progress(1, note="loss 1.5")
    progress.shown -= 40
    progress(3)
    assert stream.getvalue().splitlines() == [
        "reading: 1 of 3 videos, loss 1.5, 1:20 left",
        "reading: 3 of 3 videos",
    ]
    progress.lines, progress.shown = False, 0.0
    progress(3)
    assert len(stream.getvalue().splitlines()) == 2


def test_the_time_left_does_not_count_what_was_done_before(stderr):
    stream = stderr(False)
    progress = Progress(100, "steps", initial=90)
    progress.shown = progress.begun = time.monotonic() - 40
    progress(95)
    assert stream.getvalue() == "95 of 100 steps, 0:40 left\n"


def test_a_number_that_is_not_known_is_left_out(stderr):
    stream = stderr(False)
    progress = Progress(None, "frames")
    progress.shown = 0.0
    progress(250)
    assert stream.getvalue() == "250 frames\n"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_single_item_and_quick_work_show_nothing(stderr, monkeypatch, is_terminal):
    stream = stderr(is_terminal)
    single = Progress(1, "videos")
    single.shown = 0.0
    single(1)
    monkeypatch.setattr(module, "DELAY", 60.0)
    monkeypatch.setattr(module, "EVERY", 60.0)
    with Progress(3, "videos") as progress:
        progress(2)
        progress.clear()
    with show_progress(), waiting("checking"):
        assert list(track("abc", "letters", total=3, noun="letters")) == ["a", "b", "c"]
    assert stream.getvalue().strip("\r\033[K") == ""


@pytest.mark.slow
@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_is_shown_to_those_who_did_not_ask(stderr, is_terminal):
    stream = stderr(is_terminal)
    with waiting("checking"), stage("training", total=3, noun="steps") as show:
        for number in quick():
            show(number, "loss 1.5")
        assert show.bar is None
    assert list(track(quick(), "numbers", total=3, noun="numbers")) == [0, 1, 2]
    assert stream.getvalue() == ""


def test_items_are_counted_by_their_size_and_shown_as_often_as_requested(stderr, monkeypatch):
    stream = stderr(False)
    monkeypatch.setattr(module, "EVERY", 60.0)
    with show_progress(every=0.01):
        batches = track(quick(), "features", total=6, noun="clips", size=lambda number: number + 1)
        assert list(batches) == [0, 1, 2]
    lines = [line.partition(",")[0] for line in stream.getvalue().splitlines()]
    assert lines == [f"features: {done} of 6 clips" for done in (1, 3, 6)]


@pytest.mark.parametrize("every", [-1, np.nan, "30"])
def test_seconds_between_lines_are_0_or_more(every):
    with pytest.raises(ValueError, match="`every` must be seconds"), show_progress(every=every):
        pass


def test_a_stage_without_steps_does_not_flood_a_log(stderr):
    stream = stderr(False)
    with show_progress(every=0), waiting("checking"):
        time.sleep(0.1)
    assert len(stream.getvalue().splitlines()) < 20


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_stage_that_cannot_be_counted_shows_its_time(stderr, is_terminal):
    stream = stderr(is_terminal)
    with show_progress(), waiting("checking model.onnx"):
        time.sleep(0.2)
    assert "checking model.onnx: 0:00" in stream.getvalue()
    assert ("\r" in stream.getvalue()) == is_terminal
    assert stream.getvalue().rpartition("\033[K" if is_terminal else "\n")[2] == ""


def test_only_the_innermost_stage_is_shown(stderr):
    stream = stderr(False)
    with show_progress(), waiting("outer"), waiting("inner"):
        before = len(stream.getvalue())  # a busy machine may be slow to begin the second
        time.sleep(0.2)
        shown = stream.getvalue()[before:]
    assert "inner" in shown and "outer" not in shown


def test_a_line_of_the_log_does_not_begin_behind_a_bar(stderr):
    stream = stderr(True)
    with show_progress(), stage("training", total=3, noun="steps") as show:
        time.sleep(0.15)
        show(1)
        before = stream.getvalue()
        logging.warning("epoch 1")
        cleared = stream.getvalue()[len(before) :]
    assert "1/3" in before
    assert cleared.startswith("\r") and cleared.partition("epoch")[0].strip() == ""


def test_a_bar_of_work_that_failed_is_removed(stderr):
    def fail():
        with show_progress(), stage("reading", total=3, noun="videos") as show:
            time.sleep(0.15)
            show(1)
            raise ZeroDivisionError

    stream = stderr(True)
    with pytest.raises(ZeroDivisionError):
        fail()
    assert "1/3" in stream.getvalue() and stream.getvalue().rpartition("\r")[2].strip() == ""
    assert module._programs == module._stages == module._drawn == []
