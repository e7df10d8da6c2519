"""Warnings about files: one per file and run, and every one outside of a run."""

import logging
import pathlib

import pytest

from kinetics_i3d.core.file_warnings import one_warning_per_file, warn_about


@pytest.fixture
def logged(caplog):
    """() -> the messages that were logged since the last call."""

    def take():
        messages = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return messages

    with caplog.at_level(logging.WARNING, logger="absl"):
        yield take


def test_a_run_warns_once_about_each_file(logged):
    with one_warning_per_file():
        warn_about("a.mp4", "skipped: %s", "a")
        warn_about(pathlib.Path("folder/../a.mp4"), "skipped: %s", "a again")
        warn_about("b.mp4", "skipped: %s", "b")
        with one_warning_per_file():  # belongs to the outer run
            warn_about("a.mp4", "damaged: %s", "a")
        warn_about("b.mp4", "damaged: %s", "b")
    assert logged() == ["skipped: a", "skipped: b"]
    with one_warning_per_file():
        warn_about("a.mp4", "skipped: %s", "a")
    assert logged() == ["skipped: a"]


def test_outside_of_a_run_and_without_a_path_every_warning_is_logged(logged):
    for _ in range(2):
        warn_about("a.mp4", "skipped: %s", "a")
    with one_warning_per_file():
        for _ in range(2):
            warn_about(object(), "frames")
    assert logged() == ["skipped: a", "skipped: a", "frames", "frames"]

    def fail():
        with one_warning_per_file():
            warn_about("a.mp4", "one")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    warn_about("a.mp4", "two")
    assert logged() == ["one", "two"]
