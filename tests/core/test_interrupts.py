"""Ctrl-C and SIGTERM that a library has swallowed are heeded before anything gets its name."""

import contextlib
import os
import signal
import sys

import pytest

from kinetics_i3d.cli import systems
from kinetics_i3d.cli.main import main
from kinetics_i3d.core.files import atomic_folder, atomic_path
from kinetics_i3d.core.interrupts import (
    check_interrupt,
    forget_interrupt,
    interrupted_code,
    remember_interrupts,
)


@pytest.fixture(autouse=True)
def handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    terminate, hook = signal.getsignal(signal.SIGTERM), sys.unraisablehook
    remember_interrupts()
    yield
    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGTERM, terminate)
    forget_interrupt()


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
