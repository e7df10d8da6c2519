"""Ctrl-C and SIGTERM that a library has swallowed are heeded before anything gets its name."""

import contextlib
import os
import signal
import sys
import threading
import types

import pytest

from kinetics_i3d.cli import systems
from kinetics_i3d.cli.main import main
from kinetics_i3d.core import interrupts
from kinetics_i3d.core.files import atomic_folder, atomic_path
from kinetics_i3d.core.interrupts import (
    check_interrupt,
    forget_interrupt,
    interrupted_code,
    remember_interrupts,
)

pytestmark = pytest.mark.usefixtures("remembered_interrupts")


RAISED = {signal.SIGINT: KeyboardInterrupt, signal.SIGTERM: SystemExit}


def swallow_an_interrupt(number):
    with contextlib.suppress(RAISED[number]):
        os.kill(os.getpid(), number)
        raise AssertionError("a signal raises at once")


@pytest.mark.parametrize("number", RAISED)
@pytest.mark.parametrize("writer", [atomic_path, atomic_folder])
def test_nothing_gets_its_name_after_a_swallowed_interrupt(tmp_path, writer, number):
    with pytest.raises(RAISED[number]), writer(tmp_path / "a"):
        swallow_an_interrupt(number)
    assert list(tmp_path.iterdir()) == []
    forget_interrupt()
    with writer(tmp_path / "a"):
        pass
    assert len(list(tmp_path.iterdir())) == 1


def test_an_interrupt_in_a_destructor_is_heeded_without_a_traceback(tmp_path, capsys):
    class Interrupted:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    class Broken:
        def __del__(self):
            raise RuntimeError("another error")

    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a"):
        Interrupted()
    assert capsys.readouterr().err == "" and list(tmp_path.iterdir()) == []
    Broken()
    assert "another error" in capsys.readouterr().err


def test_work_of_a_finally_is_done(tmp_path):
    def interrupted():
        try:
            os.kill(os.getpid(), signal.SIGINT)
        finally:
            with atomic_path(tmp_path / "state") as temporary:
                temporary.write_text("saved")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (tmp_path / "state").read_text() == "saved"
    with pytest.raises(KeyboardInterrupt):
        check_interrupt()


@pytest.mark.parametrize("number", RAISED)
def test_an_interrupt_that_a_library_wraps_ends_a_verb_as_any_other(monkeypatch, capsys, number):
    def convert(options):
        try:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # the first one waits until this returns
        except RAISED[number] as error:
            raise RuntimeError("converting failed") from error

    monkeypatch.setattr(systems, "run", convert)
    assert main(["systems"]) == interrupted_code() == 128 + number
    assert capsys.readouterr().err == ""
    forget_interrupt()
    assert interrupted_code() is None


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    remember_interrupts()
    os.kill(os.getpid(), signal.SIGINT)
    check_interrupt()


def in_module(name, function):
    """A function as if it were defined in another module."""
    return types.FunctionType(function.__code__, {**globals(), "__name__": name})


def call_library(library, *arguments):
    library(*arguments)
    return "after"


@pytest.mark.parametrize("number", RAISED)
def test_a_library_finishes_the_call_that_a_signal_interrupts(number):
    def library(steps, number):
        os.kill(os.getpid(), number)
        steps.append("finished")

    package, library = in_module("kinetics_i3d.cli.some", call_library), in_module("lib", library)
    steps = []
    with pytest.raises(RAISED[number]):
        steps.append(package(library, steps, number))
    assert steps == ["finished"] and sys.gettrace() is None


def test_an_error_of_a_library_after_a_signal_is_the_interrupt():
    def library():
        os.kill(os.getpid(), signal.SIGINT)
        raise RuntimeError("the library's own")

    with pytest.raises(KeyboardInterrupt):
        in_module("kinetics_i3d.cli.some", call_library)(in_module("library", library))


def test_a_second_signal_interrupts_a_library():
    def library(steps):
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("first")
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("second")

    steps = []
    with pytest.raises(KeyboardInterrupt):
        in_module("kinetics_i3d.cli.some", call_library)(in_module("library", library), steps)
    assert steps == ["first"] and sys.gettrace() is None


def test_a_library_that_takes_too_long_is_interrupted(monkeypatch):
    def library(steps):
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(60)  # a system call, which Python would resume
        steps.append("finished")

    monkeypatch.setattr(interrupts, "PATIENCE", 0.1)
    steps = []
    with pytest.raises(KeyboardInterrupt):
        in_module("kinetics_i3d.cli.some", call_library)(in_module("library", library), steps)
    assert steps == [] and sys.gettrace() is None


def test_the_standard_library_is_interrupted_at_once():
    def wait(steps):
        os.kill(os.getpid(), signal.SIGINT)
        steps.append("finished")

    steps = []
    with pytest.raises(KeyboardInterrupt):
        in_module("kinetics_i3d.cli.some", call_library)(in_module("threading", wait), steps)
    assert steps == []


def test_an_error_that_wraps_an_interrupt_in_a_destructor_is_not_printed(capsys):
    class Wrapping:
        def __del__(self):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except SystemExit as error:
                raise SystemError("returned a result with an exception set") from error

    Wrapping()
    with pytest.raises(SystemExit):
        check_interrupt()
    assert capsys.readouterr().err == ""
